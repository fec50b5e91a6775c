"""Golden signals of many traces in a window of time, and of one stored trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import connections
from django.db.models import Avg, Count, Max, Q, QuerySet, Sum
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Greatest

from trace_streaming.events import MAX_DURATION_MS, format_timestamp
from trace_streaming.events.golden_signals import BUDGET_EVENTS, CALL_ENDS, SIGNAL_EVENTS, golden_signals
from trace_streaming.models import Event, Trace
from trace_streaming.storage.signal_inputs import UNKNOWN
from trace_streaming.storage.store import database
from trace_streaming.storage.times import stored_time

from . import models
from .percentiles import Percentiles

KNOWN_MS: Final = Q(measure__gte=0, measure__lte=MAX_DURATION_MS)
"""Measures that are milliseconds. What earlier versions have stored may be more, and no sum of it is finite."""
_COUNTED: Final = {"completed": "tool_call_complete", "failed": "tool_call_error", "plans": "plan_created"}


def window_signals(
    start: datetime,
    end: datetime,
    *,
    owner: Any = None,
    tool: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Golden signals of the events that happened from one time up to, and without, another.

    The formulas are those of :func:`trace_streaming.golden_signals.golden_signals`, over the events of all traces:

    - ``total_steps``: calls that completed; ``errors``: calls that failed.
    - ``success_rate`` = completed / (completed + failed); ``error_rate`` and ``tool_error_rate`` = failed / the same.
    - ``latency`` of the calls that ended in the window, ``approval_wait_time`` of the approvals that were answered in
      it, wherever they began; in ms. Percentiles are nearest-rank, and exact.
    - ``traces``: those with a signal: a call that ended, a plan, an answered approval, or a budget.
    - ``mean_steps_per_task`` = completed / tasks: plans, and these traces where they have no plan in the window.
    - ``models``, where models were called: see :func:`trace_streaming.events.model_signals.model_signals`.
    - ``budget_utilization``: the mean, over the traces that tell it, of the highest that each has told.

    What was pruned is not counted.

    :param start: aware
    :param end: aware
    :param owner: primary key of the user whose traces are counted; None: all
    :param tool: only this tool's calls and approvals; then tasks and budgets are not known
    :param metadata: values that traces must have under these keys
    """
    measured = measured_events(start, end, owner, tool, metadata or {})
    by_trace = measured.values("trace").annotate(
        # Counts the measures, as the index has them, not the rows.
        **{name: Count("measure", filter=Q(event=event)) for name, event in _COUNTED.items()},
        highest=Max("measure", filter=Q(event__in=BUDGET_EVENTS)),
    )
    found = by_trace.aggregate(
        traces=Count("trace"),
        total_steps=Sum("completed", default=0),
        errors=Sum("failed", default=0),
        tasks=Sum(Greatest("plans", 1), default=0),
        utilization=Avg("highest"),
    )
    completed, failed = found["total_steps"], found["errors"]
    by_model = models.of_window(start, end, owner, metadata or {}) if tool is None else []
    return {
        **({"models": by_model} if by_model else {}),
        "from": format_timestamp(start),
        "to": format_timestamp(end),
        "traces": found["traces"],
        "total_steps": completed,
        "errors": failed,
        "success_rate": ratio(completed, completed + failed),
        "error_rate": ratio(failed, completed + failed),
        "tool_error_rate": ratio(failed, completed + failed),
        "latency": _distribution(measured.filter(event__in=CALL_ENDS), (50, 95, 99)),
        "mean_steps_per_task": ratio(completed, found["tasks"]) if tool is None else None,
        "approval_wait_time": _distribution(measured.filter(event="approval_received"), (95,)),
        "budget_utilization": found["utilization"],
    }


def trace_signals(trace: Trace) -> dict[str, Any]:
    """Golden signals of a stored trace; the same that its emitter says, once all is stored.

    Of models it may say what they cost, where the emitter does not know.
    """
    rows = Event.objects.using(database()).filter(trace=trace, event__in=SIGNAL_EVENTS).order_by("sequence")
    events = list(map(orjson.loads, rows.values_list("text", flat=True).iterator()))
    signals = golden_signals(trace.trace_id, trace.duration / timedelta(milliseconds=1), events)
    if not events and trace.event_count:
        signals["mean_steps_per_task"] = 0.0
    by_model = models.of_trace(trace) if trace.model_calls else []
    return {**signals, **({"models": by_model} if by_model else {}), "total_events": trace.event_count}


def measured_events(
    start: datetime, end: datetime, owner: Any, tool: str | None, metadata: Mapping[str, Any]
) -> QuerySet[Event]:
    """The events that signals of a window are made of, see :func:`window_signals`."""
    measured = Event.objects.using(database()).filter(
        timestamp__gte=stored_time(start), timestamp__lt=stored_time(end), measure__gte=UNKNOWN
    )
    if owner is not None:
        measured = measured.filter(trace__owner=owner)
    if tool is not None:
        measured = measured.filter(tool_name=tool, event__in=[*CALL_ENDS, "approval_received"])
    for number, (key, value) in enumerate(metadata.items()):
        name = f"metadata_{number}"
        measured = measured.alias(**{name: KeyTransform(key, "trace__metadata")}).filter(**{name: value})
    return measured.order_by()


def _distribution(measured: QuerySet[Event], percents: Sequence[int]) -> dict[str, float | None]:
    known = measured.filter(KNOWN_MS)
    names = [f"p{percent}" for percent in percents]
    if connections[known.db].vendor == "postgresql":
        found = known.aggregate(mean=Avg("measure"), ranked=Percentiles("measure", percents))
        return {**dict.fromkeys(names), **dict(zip(names, found["ranked"] or (), strict=False)), "mean": found["mean"]}
    found = known.aggregate(count=Count("measure"), mean=Avg("measure"))
    ordered = known.order_by("measure").values_list("measure", flat=True)
    ranks = [max(-(-percent * found["count"] // 100), 1) for percent in percents]
    values = [ordered[rank - 1] if found["count"] else None for rank in ranks]
    return {**dict(zip(names, values, strict=True)), "mean": found["mean"]}


def ratio(part: float, whole: int) -> float | None:
    """None where there is nothing to take a part of."""
    return part / whole if whole else None
