"""Rows of events, written and read as fast as the database allows: no model is built, and no time is parsed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from trace_streaming.events import EncodedEvent, TraceEvent, encode_event, format_timestamp
from trace_streaming.models import Event
from trace_streaming.wire.frames import byte_length, total_bytes

from .times import time_column

PAGE_EVENTS: Final = 500
PAGE_BYTES: Final = 256 * 1024
CHUNK_EVENTS: Final = 100
"""So many are fetched at once: a page of large ones ends long before ``PAGE_EVENTS``."""
COPY_ROWS: Final = 20
"""From so many rows on, PostgreSQL is given them by COPY."""

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
    """Encode and insert events; many times as fast as ``bulk_create``, which builds and inspects a model per row.

    :param measures: of each event (:mod:`.signal_inputs`)
    :return: the events of each of ``numbered`` as watchers get them
    """
    encoded: list[list[EncodedEvent]] = [[] for _ in numbered]
    count = sum(len(batch.events) for batch in numbered)
    if not count:
        return encoded
    rows = _encoded_rows(time_column(connection), numbered, measures, encoded)
    table, columns = connection.ops.quote_name(Event._meta.db_table), ", ".join(_COLUMNS)
    with connection.cursor() as cursor:
        if count >= COPY_ROWS and connection.vendor == "postgresql" and hasattr(cursor, "copy"):  # psycopg 3
            with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:  # the server stores the first while the next are encoded
                    copy.write_row(row)
        else:
            values = ", ".join(["%s"] * len(_COLUMNS))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", list(rows))  # noqa: S608  our own names  # nosec B608
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


def known_ids(alias: str, trace_pk: int, event_ids: Collection[str]) -> set[str]:
    """Those of the ids that events of the trace have."""
    ids = list(event_ids)
    known: set[str] = set()
    for start in range(0, len(ids), 500):  # SQLite may allow as few as 999 parameters
        events = Event.objects.using(alias).filter(trace=trace_pk, event_id__in=ids[start : start + 500])
        known.update(event_id for event_id in events.values_list("event_id", flat=True) if event_id is not None)
    return known


def read_page(alias: str, trace_pk: int, after: int) -> list[EncodedEvent]:
    """The next events after a sequence: at most ``PAGE_EVENTS``, and no more once ``PAGE_BYTES`` are reached."""
    page: list[EncodedEvent] = []
    room = PAGE_BYTES
    for rows in _chunks(alias, trace_pk, after):
        events = list(map(_as_event, rows))
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
