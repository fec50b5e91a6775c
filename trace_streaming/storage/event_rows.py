"""Rows of events, written and read as fast as the database allows: no model is built, and no time is parsed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from sqlite3 import SQLITE_LIMIT_LENGTH
from typing import Any, Final, NamedTuple, cast

from django.db import DataError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

from trace_streaming.events import EncodedEvent, TraceEvent, encode_event, format_timestamp
from trace_streaming.models import Event
from trace_streaming.wire.frames import MAX_EVENTS_BYTES, byte_length, total_bytes

from . import rows
from .pieces import batched
from .times import time_column

PAGE_EVENTS: Final = 500
PAGE_BYTES: Final = 256 * 1024
IDS_ASKED: Final = 250
"""In one query, each of a trace of its own perhaps: SQLite may allow as few as 999 parameters."""
CHUNK_EVENTS: Final = 100
"""So many are fetched at once: a page of large ones ends long before ``PAGE_EVENTS``."""

_COLUMNS: Final = (
    "trace_id",
    "sequence",
    "event",
    "status",
    "timestamp",
    "text",
    "tool_name",
    "measure",
    "event_id",
)


class Numbered(NamedTuple):
    """Events of one trace on their way into the database."""

    trace_pk: int
    first: int
    """The number of the first of them; the others follow."""
    events: Sequence[TraceEvent]


def insert(
    connection: BaseDatabaseWrapper, numbered: Sequence[Numbered], measures: Sequence[Sequence[float | None]]
) -> list[list[EncodedEvent]]:
    """Encode and insert events.

    :param measures: of each event (:mod:`.signal_inputs`)
    :return: the events of each of ``numbered`` as watchers get them
    """
    encoded: list[list[EncodedEvent]] = [[] for _ in numbered]
    count = sum(len(batch.events) for batch in numbered)
    if not count:
        return encoded
    made = _encoded_rows(time_column(connection), numbered, measures, encoded)
    rows.insert(connection, Event._meta.db_table, _COLUMNS, made, count)
    return encoded


def _encoded_rows(
    as_column: Callable[[str], Any],
    numbered: Sequence[Numbered],
    measures: Sequence[Sequence[float | None]],
    encoded: Sequence[list[EncodedEvent]],
) -> Iterator[tuple[Any, ...]]:
    """Rows of ``_COLUMNS``; each event is added to ``encoded`` when its row is taken."""
    for (trace_pk, first, events), measured, texts in zip(numbered, measures, encoded, strict=True):
        for sequence, (event, measure) in enumerate(zip(events, measured, strict=True), first):
            time = format_timestamp(event.timestamp)
            text = encode_event(event, sequence, time)
            texts.append(text)
            yield (
                trace_pk,
                sequence,
                event.event,
                event.status,
                as_column(time),
                text.text,
                event.tool_name,
                measure,
                event.event_id,
            )


def known_ids(alias: str, asked: Mapping[int, Collection[str]]) -> dict[int, set[str]]:
    """Those of the ids that events have, by trace, of all traces at once."""
    known: dict[int, set[str]] = {trace_pk: set() for trace_pk in asked}
    pairs = [(trace_pk, event_id) for trace_pk, ids in asked.items() for event_id in ids]
    is_postgresql = connections[alias].vendor == "postgresql"
    for trace_pk, event_id in _joined_ids(alias, pairs) if is_postgresql else _any_ids(alias, pairs):
        known[trace_pk].add(event_id)
    return known


def _joined_ids(alias: str, pairs: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """In PostgreSQL, which takes six times as long to plan for the pairs one by one as for two arrays."""
    table = connections[alias].ops.quote_name(Event._meta.db_table)
    sql = (
        "SELECT event.trace_id, event.event_id FROM unnest(%s::bigint[], %s::text[]) AS asked (trace_id, event_id)"  # noqa: S608  our own names  # nosec B608
        f" JOIN {table} AS event ON event.trace_id = asked.trace_id AND event.event_id = asked.event_id"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, [[pk for pk, _ in pairs], [event_id for _, event_id in pairs]])
        return cast("list[tuple[int, str]]", cursor.fetchall())


def _any_ids(alias: str, pairs: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for chunk in batched(pairs, IDS_ASKED):
        ids: dict[int, list[str]] = {}
        for trace_pk, event_id in chunk:
            ids.setdefault(trace_pk, []).append(event_id)
        any_of = Q(*(Q(trace=trace_pk, event_id__in=some) for trace_pk, some in ids.items()), _connector=Q.OR)
        found = Event.objects.using(alias).filter(any_of).values_list("trace_id", "event_id")
        yield from cast("Iterator[tuple[int, str]]", found)


class Joined(NamedTuple):
    """Events that follow each other, as one value."""

    first: int
    last: int
    texts: str
    """A line for each: the JSON text of an event has no line break."""


def read_joined(alias: str, trace_pk: int, after: int, at_most: int) -> Joined | None:
    """The next events after a sequence, put together by the database.

    Python does nothing for each: with every row that a thread fetches it waits for the interpreter's lock, beside a
    busy one for 4,000 rows a second; so it gets 70,000 (SQLite).

    None where there are none, they do not follow each other, are more than a frame has, or the database cannot do it:
    then :func:`read_page` tells more.

    :param at_most: events, of which there are never more than ``PAGE_EVENTS``
    """
    connection = connections[alias]
    if (put_together := _JOINING.get(connection.vendor)) is None:
        return None
    table = connection.ops.quote_name(Event._meta.db_table)
    page = f"SELECT sequence, text FROM {table} WHERE trace_id = %s AND sequence > %s ORDER BY sequence LIMIT %s"  # noqa: S608  our own names  # nosec B608
    count, first, last, texts = put_together(connection, page, [trace_pk, after, min(at_most, PAGE_EVENTS)])
    if first is None or last is None or texts is None or (first, last) != (after + 1, after + count):
        return None
    if byte_length(texts) > MAX_EVENTS_BYTES or texts.count("\n") != count - 1:
        return None
    return Joined(first, last, texts)


_JoinedRow = tuple[int, int | None, int | None, str | None]
"""How many events, the first and last number, and their texts, a line for each; None where they are too long."""


def _joined_in_sqlite(connection: BaseDatabaseWrapper, page: str, parameters: Sequence[int]) -> _JoinedRow:
    """In the order of the page, which is sorted: it has a LIMIT. What gets too long is given up on the way."""
    sql = f"SELECT COUNT(*), MIN(sequence), MAX(sequence), GROUP_CONCAT(text, CHAR(10)) FROM ({page}) page"  # noqa: S608  our own names  # nosec B608
    with connection.cursor() as cursor:
        limit = connection.connection.setlimit(SQLITE_LIMIT_LENGTH, MAX_EVENTS_BYTES)
        try:
            cursor.execute(sql, parameters)
            return cast("_JoinedRow", cursor.fetchone())
        except DataError:
            return 0, None, None, None
        finally:
            connection.connection.setlimit(SQLITE_LIMIT_LENGTH, limit)


def _joined_in_postgresql(connection: BaseDatabaseWrapper, page: str, parameters: Sequence[int]) -> _JoinedRow:
    """They are put together where they are not too long: how long they are is known without reading them."""
    sql = (
        f"WITH page AS MATERIALIZED ({page})"  # noqa: S608  our own names  # nosec B608
        f" SELECT COUNT(*), MIN(sequence), MAX(sequence), CASE WHEN SUM(OCTET_LENGTH(text) + 1) <= {MAX_EVENTS_BYTES}"
        " THEN (SELECT STRING_AGG(text, CHR(10) ORDER BY sequence) FROM page) END FROM page"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cast("_JoinedRow", cursor.fetchone())


_JOINING: Final = {"postgresql": _joined_in_postgresql, "sqlite": _joined_in_sqlite}
"""MySQL cuts what is longer than a session's variable says."""


def read_page(alias: str, trace_pk: int, after: int) -> list[EncodedEvent]:
    """The next events after a sequence: at most ``PAGE_EVENTS``, and no more once ``PAGE_BYTES`` are reached."""
    page: list[EncodedEvent] = []
    room = PAGE_BYTES
    for chunk in _chunks(alias, trace_pk, after):
        events = list(map(_as_event, chunk))
        room -= total_bytes(events)
        page += events
        if room <= 0:
            return _without_what_is_over(page, -room)
    return page


def _without_what_is_over(page: list[EncodedEvent], over: int) -> list[EncodedEvent]:
    """Up to the event that has reached the bound."""
    while (length := byte_length(page[-1].text)) <= over:
        over -= length
        page.pop()
    return page


def _chunks(alias: str, trace_pk: int, after: int) -> Iterator[list[tuple[int, str, str, str]]]:
    """Columns that need no converter, as the driver gives them: the ORM's ``iterator()`` takes twice as long."""
    connection = connections[alias]
    table = connection.ops.quote_name(Event._meta.db_table)
    sql = (
        f"SELECT sequence, event, status, text FROM {table}"  # noqa: S608  our own names  # nosec B608
        f" WHERE trace_id = %s AND sequence > %s ORDER BY sequence LIMIT %s"
    )
    # Some drivers fetch all that is asked for, however large: no more is asked for than is needed, as the first tell.
    fetches_all = connection.vendor == "mysql" or connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    at_most, room = CHUNK_EVENTS if fetches_all else PAGE_EVENTS, PAGE_EVENTS
    with connection.cursor() if fetches_all else connection.chunked_cursor() as cursor:
        while room > 0:
            asked = min(at_most, room)
            cursor.execute(sql, [trace_pk, after, asked])
            room -= asked
            while chunk := cursor.fetchmany(CHUNK_EVENTS):
                yield chunk
                after, asked = chunk[-1][0], asked - len(chunk)
                at_most = max(at_most, CHUNK_EVENTS * PAGE_BYTES // sum(len(row[3]) for row in chunk))
            if asked:
                return


_as_event: Final = cast("Callable[[Iterable[object]], EncodedEvent]", partial(tuple.__new__, EncodedEvent))
"""As ``EncodedEvent._make``, without a line of Python: for each row, that keeps all other threads from running."""
