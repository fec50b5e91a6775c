"""Golden signals of one trace, from its events alone. What cannot be known is None, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

Event = Mapping[str, Any]


def golden_signals(trace_id: str, duration_ms: float, events: Sequence[Event]) -> dict[str, Any]:
    """Signals of one trace.

    - ``total_steps``: calls that completed; ``errors``: calls that failed; ``total_events``: all events.
    - ``success_rate`` = completed / (completed + failed); ``error_rate`` and ``tool_error_rate`` = failed / the same.
      Open calls count as neither.
    - ``latency``: ``p50``, ``p95``, ``p99`` and ``mean`` of tool calls, in ms (see :func:`call_durations_ms`).
    - ``mean_steps_per_task`` = completed / plans (``plan_created`` events; a trace without one is one task).
    - ``approval_wait_time``: ``mean`` and ``p95`` in ms, from ``approval_requested`` to ``approval_received``.
    - ``budget_utilization``: the last known of the budget events, 0 to 1.

    Percentiles are nearest-rank (the smallest value with at least p percent of all at or below it).

    :param duration_ms: how long the trace has taken, in milliseconds
    :param events: events as ``TraceEmitter.events`` holds them
    """
    completed = sum(event["event"] == "tool_call_complete" for event in events)
    failed = sum(event["event"] == "tool_call_error" for event in events)
    plans = sum(event["event"] == "plan_created" for event in events)
    waits = approval_waits_ms(events)
    return {
        "trace_id": trace_id,
        "duration_ms": duration_ms,
        "total_steps": completed,
        "errors": failed,
        "success_rate": _ratio(completed, completed + failed),
        "error_rate": _ratio(failed, completed + failed),
        "tool_error_rate": _ratio(failed, completed + failed),
        "latency": _distribution(call_durations_ms(events), (50, 95, 99)),
        "mean_steps_per_task": completed / max(plans, 1) if events else None,
        "approval_wait_time": _distribution(waits, (95,)),
        "budget_utilization": budget_utilization(events),
        "total_events": len(events),
    }


def call_durations_ms(events: Iterable[Event]) -> list[float]:
    """Durations of finished tool calls: ``duration_ms`` when given, else from the call's start.

    A call's start is the one with its ``call_id``; without one, the oldest open start of the same tool.
    """
    durations: list[float] = []
    open_starts: dict[str, list[Event]] = {}
    for event in events:
        details = event["details"]
        key = f"id:{details['call_id']}" if "call_id" in details else f"tool:{_tool(details)}"
        if event["event"] == "tool_call_start":
            open_starts.setdefault(key, []).append(event)
        elif event["event"] in ("tool_call_complete", "tool_call_error"):
            starts = open_starts.get(key)
            start = starts.pop(0) if starts else None
            given = details.get("duration_ms")
            if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
                durations.append(float(given))
            elif start is not None:
                durations.append(_elapsed_ms(start, event))
    return durations


def approval_waits_ms(events: Iterable[Event]) -> list[float]:
    """How long each answered approval waited, in milliseconds; paired by ``approval_id``."""
    waits: list[float] = []
    requested: dict[str, Event] = {}
    for event in events:
        approval_id = str(event["details"].get("approval_id"))
        if event["event"] == "approval_requested":
            requested[approval_id] = event
        elif event["event"] == "approval_received" and (request := requested.pop(approval_id, None)) is not None:
            waits.append(_elapsed_ms(request, event))
    return waits


def budget_utilization(events: Sequence[Event]) -> float | None:
    """The last budget event's utilization, 0 to 1: ``utilization`` when given, 1 when exceeded, else unknown."""
    for event in reversed(events):
        if event["event"] in ("budget_warning", "budget_exceeded"):
            given = event["details"].get("utilization")
            if isinstance(given, int | float) and not isinstance(given, bool):
                return min(max(float(given), 0.0), 1.0)
            if event["event"] == "budget_exceeded":
                return 1.0
    return None


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Nearest-rank percentile of a non-empty ascending sequence."""
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


def _distribution(values: Iterable[float], percents: Sequence[int]) -> dict[str, float | None]:
    ordered = sorted(values)
    signals: dict[str, float | None] = {f"p{p}": percentile(ordered, p) if ordered else None for p in percents}
    return {**signals, "mean": fmean(ordered) if ordered else None}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _tool(details: Mapping[str, Any]) -> object:
    return details.get("tool") or details.get("tool_name")


def _elapsed_ms(start: Event, end: Event) -> float:
    elapsed = datetime.fromisoformat(end["timestamp"]) - datetime.fromisoformat(start["timestamp"])
    return max(elapsed.total_seconds() * 1000, 0.0)
