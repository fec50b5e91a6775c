"""What golden signals take of an event, measured once, while it is stored.

A window's signals are then read from one index over these numbers, exactly, and are what a scan of the events gives:
there is no second book that could say otherwise when events are pruned, spooled or stored by several processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import orjson
from django.db import transaction

from trace_streaming.events import TraceEvent, possible_ms
from trace_streaming.events.golden_signals import (
    BUDGET_EVENTS,
    CALL_ENDS,
    MODEL_ENDS,
    TIMED_EVENTS,
    Starts,
    given_ms,
    is_neither,
    utilization,
)
from trace_streaming.models import Event

from .event_rows import Numbered
from .times import as_utc

UNKNOWN: Final = -1.0
MAX_REMEMBERED: Final = 1_000

_starts: dict[int, tuple[Starts, int]] = {}
"""What had begun in traces whose calls do not say how long they took, and up to which sequence; the newest last."""


class Measured(NamedTuple):
    """What is measured of events that are stored together."""

    measures: Sequence[float | None]
    """Of each event."""
    model_ms: Mapping[int, float | None]
    """By index, how long the calls of models took that do not say it."""


def of(alias: str, numbered: Numbered) -> Measured:
    """A number for each of the events; called with the trace's row lock held.

    Of a call that ended: its milliseconds; of an answered approval: the milliseconds that it waited; of a budget event:
    the share that is used. ``UNKNOWN`` where nobody knows, and for a plan; None for events that no signal is made of.
    """
    measures = [_measure(event) for event in numbered.events]
    unmeasured = [i for i, event in enumerate(numbered.events) if measures[i] is None and _is_measured(event)]
    untimed = [i for i, event in enumerate(numbered.events) if event.event in MODEL_ENDS and event.duration_ms is None]
    elapsed = _elapsed(alias, numbered) if unmeasured or untimed else []
    for index in unmeasured:
        ms = elapsed[index]
        measures[index] = UNKNOWN if ms is None else ms
    return Measured(measures, {index: elapsed[index] for index in untimed})


_MEASURED: Final = CALL_ENDS | {"approval_received"}


def _is_measured(event: TraceEvent) -> bool:
    """Whether signals want to know how long it took."""
    return event.event in _MEASURED and not (event.event in CALL_ENDS and _is_neither(event))


def _is_neither(event: TraceEvent) -> bool:
    return '"outcome"' in event.details and is_neither(orjson.loads(event.details))


def _measure(event: TraceEvent) -> float | None:
    """What the event says by itself."""
    name = event.event
    if name in CALL_ENDS:
        return None if _is_neither(event) else possible_ms(event.duration_ms)
    if name == "plan_created":
        return UNKNOWN
    if name == "approval_received":
        return given_ms(name, orjson.loads(event.details))
    if name in BUDGET_EVENTS:
        return utilization(name, orjson.loads(event.details))
    return None


def _elapsed(alias: str, numbered: Numbered) -> list[float | None]:
    """How long each of the events took, as the trace's log has it.

    Only the part of the log is read that was stored since the last time. What began is remembered once it is
    committed; what was rolled back, or stored by another process, is read again.
    """
    starts, position = _starts.pop(numbered.trace_pk, (None, 0))
    if starts is None or position >= numbered.first:
        starts, position = Starts(), 0
    between = Event.objects.using(alias).filter(
        trace=numbered.trace_pk, sequence__gt=position, sequence__lt=numbered.first, event__in=TIMED_EVENTS
    )
    for name, details, timestamp in between.order_by("sequence").values_list("event", "details", "timestamp"):
        starts.elapsed_ms(name, orjson.loads(details), as_utc(timestamp))
    elapsed = [
        starts.elapsed_ms(event.event, orjson.loads(event.details), event.timestamp)
        if event.event in TIMED_EVENTS
        else None
        for event in numbered.events
    ]
    last = numbered.first + len(numbered.events) - 1
    transaction.on_commit(partial(_remember, numbered.trace_pk, starts, last), using=alias)
    return elapsed


def _remember(trace: int, starts: Starts, position: int) -> None:
    _starts[trace] = starts, position
    while len(_starts) > MAX_REMEMBERED:
        _starts.pop(next(iter(_starts)), None)
