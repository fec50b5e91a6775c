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
from django.db.models import Q

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
MAX_REMEMBERED: Final = 10_000
"""Traces; with fewer than are running, each would be read from its beginning again and again."""
MAX_TRACES_ASKED: Final = 200
"""In one query: SQLite may allow as few as 999 parameters."""

_starts: dict[int, tuple[Starts, int]] = {}
"""What had begun in traces whose calls do not say how long they took, and up to which sequence; the newest last."""


class Measured(NamedTuple):
    """What is measured of events of one trace that are stored together."""

    measures: Sequence[float | None]
    """Of each event."""
    model_ms: Mapping[int, float | None]
    """By index, how long the calls of models took that do not say it."""


def of(alias: str, batches: Sequence[Numbered]) -> list[Measured]:
    """A number for each of the events; called with the row locks of their traces held.

    Of a call that ended: its milliseconds; of an answered approval: the milliseconds that it waited; of a budget event:
    the share that is used. ``UNKNOWN`` where nobody knows, and for a plan; None for events that no signal is made of.
    """
    measures = [[_measure(event) for event in numbered.events] for numbered in batches]
    unmeasured = [
        [i for i, event in enumerate(numbered.events) if told[i] is None and _is_measured(event)]
        for numbered, told in zip(batches, measures, strict=True)
    ]
    untimed = [
        [i for i, event in enumerate(numbered.events) if event.event in MODEL_ENDS and event.duration_ms is None]
        for numbered in batches
    ]
    asked = [index for index in range(len(batches)) if unmeasured[index] or untimed[index]]
    elapsed = dict(zip(asked, _elapsed(alias, [batches[index] for index in asked]), strict=True))
    for index in asked:
        for place in unmeasured[index]:
            ms = elapsed[index][place]
            measures[index][place] = UNKNOWN if ms is None else ms
    return [
        Measured(told, {place: elapsed[index][place] for place in untimed[index]})
        for index, told in enumerate(measures)
    ]


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


def _elapsed(alias: str, batches: Sequence[Numbered]) -> list[list[float | None]]:
    """How long each of the events took, as the log of its trace has it.

    Only the part of a log is read that was stored since the last time, of all traces at once. What began is remembered
    once it is committed; what was rolled back, or stored by another process, is read again.
    """
    if not batches:
        return []
    starts: dict[int, Starts] = {}
    unread: list[Q] = []
    for numbered in batches:
        starts[numbered.trace_pk], position = _known_starts(numbered)
        if position + 1 < numbered.first:
            unread.append(Q(trace=numbered.trace_pk, sequence__gt=position, sequence__lt=numbered.first))
    for index in range(0, len(unread), MAX_TRACES_ASKED):
        missing = Q(*unread[index : index + MAX_TRACES_ASKED], _connector=Q.OR)
        between = Event.objects.using(alias).filter(missing, event__in=TIMED_EVENTS)
        rows = between.order_by("trace_id", "sequence").values_list("trace_id", "event", "text", "timestamp")
        for pk, name, text, timestamp in rows:
            starts[pk].elapsed_ms(name, orjson.loads(text)["details"], as_utc(timestamp))
    elapsed = [
        [
            starts[numbered.trace_pk].elapsed_ms(event.event, orjson.loads(event.details), event.timestamp)
            if event.event in TIMED_EVENTS
            else None
            for event in numbered.events
        ]
        for numbered in batches
    ]
    ends = {numbered.trace_pk: numbered.first + len(numbered.events) - 1 for numbered in batches}
    transaction.on_commit(partial(_remember, starts, ends), using=alias)
    return elapsed


def _known_starts(numbered: Numbered) -> tuple[Starts, int]:
    """What had begun in a trace, and up to which sequence that is known."""
    starts, position = _starts.pop(numbered.trace_pk, (None, 0))
    return (Starts(), 0) if starts is None or position >= numbered.first else (starts, position)


def _remember(starts: Mapping[int, Starts], positions: Mapping[int, int]) -> None:
    for trace, position in positions.items():
        _starts[trace] = starts[trace], position
    while len(_starts) > MAX_REMEMBERED:
        _starts.pop(next(iter(_starts)), None)
