"""Spans that are left out, and what is inside of them: found whichever comes first, in whatever process.

Whoever stores a span looks for its parent among those that are left out when it is committed; whoever leaves one out
looks for what is inside of it when that is committed. So of two that do it at the same time one sees the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import orjson
from django.db import connections, transaction
from django.db.models import Q
from django.db.models.constants import OnConflict

from trace_streaming.events import format_timestamp
from trace_streaming.models import EndedRoot, Event, LeftOutSpan, Trace, stored_now

from .pieces import batched
from .times import as_utc, time_column

KEPT: Final = timedelta(days=1)
"""What comes later does not find its place."""
_CHUNK: Final = 200
"""In one query: SQLite may allow as few as 999 parameters."""

Place = tuple[str, str]
"""A trace's id, and a span's."""


class Child(NamedTuple):
    """A span that is stored."""

    span_id: str
    parent_id: str
    """What it was inside of when it was made."""
    told_parent: str
    """What its start says that it is inside of; empty: of nothing."""
    name: str
    event: str
    """The name of its end, or of its start, where it has not ended."""
    timestamp: datetime
    """Of its start."""


def leave_out(alias: str, spans: Mapping[Place, str]) -> None:
    """Remember them, and what each is inside of; those that are known stay as they are.

    ``bulk_create`` takes seven times as long.
    """
    if not spans:
        return
    connection = connections[alias]
    now = time_column(connection)(format_timestamp(as_utc(stored_now())))
    rows = [(trace, span, parent, now) for (trace, span), parent in spans.items()]
    ops, ignore = connection.ops, OnConflict.IGNORE
    into = f"{ops.insert_statement(on_conflict=ignore)} {ops.quote_name(LeftOutSpan._meta.db_table)}"
    suffix = ops.on_conflict_suffix_sql([], ignore, [], [])
    with connection.cursor() as cursor, transaction.atomic(using=alias):
        for chunk in batched(rows, _CHUNK):
            values = ", ".join(["(%s, %s, %s, %s)"] * len(chunk))
            sql = f"{into} (trace_id, span_id, parent_id, stored_at) VALUES {values} {suffix}"
            cursor.execute(sql, [value for row in chunk for value in row])


def begun(alias: str, trace_ids: Iterable[str]) -> set[str]:
    """Those of the traces that are there."""
    return {
        trace_id
        for chunk in batched(trace_ids, _CHUNK)
        for trace_id in Trace.objects.using(alias).filter(trace_id__in=chunk).values_list("trace_id", flat=True)
    }


def parents(alias: str, asked: Collection[Place]) -> dict[Place, str]:
    """Of those that are left out, and of all that these are inside of, what each is inside of."""
    found: dict[Place, str] = {}
    waiting = set(asked)
    while waiting:
        rows = [
            row
            for chunk in batched(waiting, _CHUNK)
            for row in LeftOutSpan.objects.using(alias)
            .filter(trace_id__in={trace for trace, _ in chunk}, span_id__in={span for _, span in chunk})
            .values_list("trace_id", "span_id", "parent_id")
        ]
        new = {(trace, span): parent for trace, span, parent in rows if (trace, span) not in found}
        found |= new
        waiting = {(trace, parent) for (trace, _), parent in new.items() if parent} - found.keys()
    return found


def below(alias: str, trace_id: str, spans: Iterable[str]) -> set[str]:
    """These, and all that are left out inside of them."""
    found = set(spans)
    waiting = set(found)
    while waiting:
        rows = [
            span
            for chunk in batched(waiting, _CHUNK)
            for span in LeftOutSpan.objects.using(alias)
            .filter(trace_id=trace_id, parent_id__in=chunk)
            .values_list("span_id", flat=True)
        ]
        waiting = set(rows) - found
        found |= waiting
    return found


def children(alias: str, trace_id: str, parent_ids: Iterable[str]) -> list[Child]:
    """What is stored of the trace and was inside of these when it was made: the ids of starts begin with theirs."""
    events = Event.objects.using(alias).filter(trace__trace_id=trace_id)
    rows = []
    for chunk in batched(parent_ids, _CHUNK // 2):
        asked = [Q(event_id__gte=f"{parent}{'0' * 16}", event_id__lte=f"{parent}{'f' * 16}.start") for parent in chunk]
        starts = events.filter(Q(*asked, _connector=Q.OR), event__endswith="_start")
        rows += list(starts.values_list("event_id", "event", "text", "timestamp"))
    found = [Child(*_parts(id_ or ""), *_told(text), event, as_utc(at)) for id_, event, text, at in rows]
    ends = {f"{child.span_id}.end": child.span_id for child in found}
    ended: dict[str, str] = {}
    for ids in batched(ends, _CHUNK):
        for event_id, event in events.filter(event_id__in=ids).values_list("event_id", "event"):
            ended[ends[event_id or ""]] = event
    return [child._replace(event=ended.get(child.span_id, child.event)) for child in found]


def _parts(event_id: str) -> tuple[str, str]:
    return event_id[16:32], event_id[:16]


def _told(text: str) -> tuple[str, str]:
    told = orjson.loads(text)["details"]
    return str(told.get("parent_call_id") or ""), str(told.get("tool") or told.get("name") or "")


def forget(alias: str) -> None:
    """What is older than ``KEPT``."""
    before = stored_now() - KEPT
    for model in (LeftOutSpan, EndedRoot):
        model._default_manager.using(alias).filter(stored_at__lt=before).delete()


def forget_trace(alias: str, trace_id: str) -> None:
    """All that is known of a trace that goes."""
    for model in (LeftOutSpan, EndedRoot):
        model._default_manager.using(alias).filter(trace_id=trace_id).delete()
