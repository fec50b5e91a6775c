"""The rows of traces, and of what their agents ask: begun, raised and ended with what is appended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from trace_streaming.events import TraceApproval, TraceEnd, TraceEvent, TraceStart, parse_timestamp
from trace_streaming.models import Approval, Trace, stored_now

from .json_columns import storable
from .model_calls import EndedCall, Totals
from .times import stored_time


@dataclass(slots=True)
class Appended:
    """What is appended to one trace at a time."""

    started_at: datetime
    """Time of the first record."""
    starts: list[TraceStart] = field(default_factory=list)
    events: list[TraceEvent] = field(default_factory=list)
    end: TraceEnd | None = None
    approvals: list[TraceApproval] = field(default_factory=list)
    lost: int = 0
    hidden: list[str] = field(default_factory=list)
    """Digests of values that were hidden."""
    calls: list[EndedCall] = field(default_factory=list)
    """Of models, that ended."""
    is_left: bool = False
    """Whether a process that is dead has left it."""

    @property
    def adds_something(self) -> bool:
        """Whether it is not only a repeat."""
        return bool(self.events or self.starts or self.end or self.approvals or self.lost)

    @property
    def first_at(self) -> datetime:
        """The earliest time that an event tells, or else that of the first record; aware, UTC."""
        return min([event.timestamp for event in self.events], default=self.started_at)

    @property
    def last_at(self) -> datetime:
        """The latest time of an event, or that of the first record; aware, UTC."""
        return max([event.timestamp for event in self.events], default=self.started_at)

    @property
    def goes_on(self) -> bool:
        """Whether the trace runs, even if it had ended: a decision that comes late does not make it."""
        return not self.is_left and any(event.event not in DECIDED_EVENTS for event in self.events)

    @property
    def is_taken_up(self) -> bool:
        """Whether the trace runs again that was left unfinished: by what its agent does, and not by what it is told."""
        return self.goes_on or (not self.is_left and bool(self.starts or self.approvals))


def _added(new: Appended) -> tuple[int | float, ...]:
    totals = Totals.of(new.events, new.calls)
    counts = (totals.model_calls, totals.tool_calls, totals.input_tokens, totals.output_tokens)
    return (*counts, int(totals.cost is not None), totals.cost or 0.0)


class TraceGoneError(Exception):
    """A trace was deleted while something was appended to it."""


DECIDED_EVENTS: Final = frozenset({"approval_received", "approval_timeout"})

_begun: dict[str, None] = {}
"""Traces that are likely to be there already, newest last: what is wrong about that shows when they are updated."""
MAX_BEGUN: Final = 10_000


def begin_missing(alias: str, appended: dict[str, Appended]) -> None:
    """Insert those that are likely not to be there; one that is there stays as it is."""
    missing = [_new_trace(trace_id, new) for trace_id, new in appended.items() if trace_id not in _begun]
    # Before the update, which then sees them: this waits for whoever begins one of them at the same moment.
    Trace.objects.using(alias).bulk_create(missing, ignore_conflicts=True)


def raise_heads(alias: str, appended: dict[str, Appended]) -> None:
    """Raise the heads of all traces, and end those that end; :exc:`TraceGoneError`."""
    if _update_heads(connections[alias], appended) != len(appended):
        for trace_id in appended:
            _begun.pop(trace_id, None)
        raise TraceGoneError
    for trace_id, new in appended.items():
        _begun[trace_id] = None
        if new.end is not None:
            Trace.objects.using(alias).filter(trace_id=trace_id).update(
                state=new.end.state, ended_at=stored_time(new.end.timestamp)
            )
    while len(_begun) > MAX_BEGUN:
        del _begun[next(iter(_begun))]


def insert_approvals(alias: str, records: Sequence[TraceApproval]) -> None:
    """What agents ask; an approval that is there stays as it is."""
    if records:
        asked = [Approval(trace_id=record.trace_id, **_approval_fields(record.fields)) for record in records]
        Approval.objects.using(alias).bulk_create(asked, ignore_conflicts=True)


def _approval_fields(text: str) -> dict[str, Any]:
    fields = storable(text)
    for name in ("requested_at", "expires_at"):
        fields[name] = stored_time(parse_timestamp(fields[name]))
    return fields


def _new_trace(trace_id: str, new: Appended) -> Trace:
    trace = Trace(
        trace_id=trace_id,
        started_at=stored_time(new.first_at),
        last_event_at=stored_time(new.last_at),
        stored_at=stored_now(),
    )
    if new.is_left:
        trace.state, trace.ended_at = Trace.State.INCOMPLETE, trace.last_event_at
    if new.starts:
        start = new.starts[0]
        trace.owner_id = start.owner_id
        trace.owned_by_sender = start.owner_id is not None and start.by_sender
        trace.metadata = storable(start.metadata)
    return trace


def _update_heads(connection: BaseDatabaseWrapper, appended: dict[str, Appended]) -> int:
    """Returns how many of the traces there are."""
    quote = connection.ops.quote_name
    # One statement for all traces of the batch; the ORM would need one each.
    sql = (
        f"UPDATE {quote(Trace._meta.db_table)} SET last_sequence = last_sequence + %s,"  # noqa: S608  quoted names only  # nosec B608
        # Before there is an event the times are those of a start. They are set first: MySQL counts from left to right.
        " started_at = CASE WHEN started_at > %s OR (event_count = 0 AND %s > 0) THEN %s ELSE started_at END,"
        " last_event_at = CASE WHEN %s > 0 AND (event_count = 0 OR last_event_at < %s) THEN %s ELSE last_event_at END,"
        " event_count = event_count + %s, error_count = error_count + %s, lost_count = lost_count + %s, stored_at = %s,"
        " model_calls = model_calls + %s, tool_calls = tool_calls + %s,"
        " input_tokens = input_tokens + %s, output_tokens = output_tokens + %s,"
        " cost = CASE WHEN %s = 1 THEN COALESCE(cost, 0) + %s ELSE cost END,"
        " ended_at = CASE WHEN %s = 1 OR (state = %s AND %s = 1) THEN NULL ELSE ended_at END,"
        " state = CASE WHEN %s = 1 OR (state = %s AND %s = 1) THEN %s ELSE state END WHERE trace_id = %s"
    )
    incomplete, running = Trace.State.INCOMPLETE, Trace.State.RUNNING

    def column(time: datetime) -> Any:
        return connection.ops.adapt_datetimefield_value(stored_time(time))

    now = connection.ops.adapt_datetimefield_value(stored_now())
    with connection.cursor() as cursor:
        cursor.executemany(
            sql,
            [
                (
                    len(new.events),
                    *(column(new.first_at), len(new.events), column(new.first_at)),
                    *(len(new.events), column(new.last_at), column(new.last_at)),
                    len(new.events),
                    sum(event.status == "error" for event in new.events),
                    *(new.lost, now),
                    *_added(new),
                    *(int(new.goes_on), incomplete, int(new.is_taken_up)) * 2,
                    running,
                    trace_id,
                )
                for trace_id, new in appended.items()
            ],
        )
        return int(cursor.rowcount)
