"""Golden signals over time, and of each tool: one pass over the index, however many parts are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from math import ceil
from statistics import fmean
from typing import Any, Final

from django.db import connections
from django.db.models import Avg, Count, DateTimeField, F, Func, Q, QuerySet, Value

from trace_streaming.events import MAX_DURATION_MS, format_timestamp
from trace_streaming.events.golden_signals import CALL_ENDS, percentile
from trace_streaming.models import Event
from trace_streaming.storage.times import as_utc, stored_time

from . import models
from .percentiles import Percentiles
from .windows import KNOWN_MS, measured_events, ratio

MAX_STEPS: Final = 500
_USUAL_STEPS: Final = 60
_STEPS: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 7 * 86400)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime(3, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 1, 1, tzinfo=UTC)
"""Between them a step may begin before a window, and end behind it."""
_CALL_PERCENTS: Final = (50, 95, 99)
_WAIT_PERCENTS: Final = (95,)


def usual_step(start: datetime, end: datetime) -> int:
    """The shortest of the round steps, or of weeks, in seconds, of which the window has at most 60."""
    shortest = (end - start).total_seconds() / _USUAL_STEPS
    return next((step for step in _STEPS if step >= shortest), ceil(shortest / _STEPS[-1]) * _STEPS[-1])


def series_signals(
    start: datetime,
    end: datetime,
    step: int,
    *,
    owner: Any = None,
    tool: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Signals of each step of a window, oldest first; the formulas are those of a window.

    Steps begin at multiples of their length since 1970, so that a window that moves has the same ones; the first is
    whole, the last ends with the window. A step in which nothing happened is there, too, and what cannot be known of
    it is None.

    A step in which models were called has ``models``, too.

    :param start: aware; like the other parameters, of :func:`trace_streaming.signal_windows.window_signals`
    :param step: seconds; the window has at most ``MAX_STEPS`` of them
    """
    length = timedelta(seconds=step)
    start, end = max(start, _EARLIEST), min(end, _LATEST)
    first = _EPOCH + (start - _EPOCH) // length * length
    measured = measured_events(first, end, owner, tool, metadata or {})
    origin = Value(stored_time(first), output_field=DateTimeField())
    begun = Func(Value(length), F("timestamp"), origin, function="DATE_BIN", output_field=DateTimeField())

    def number_of(time: Any) -> int:
        return int((as_utc(time) - first) // length)

    parts = _parts(measured, begun, "timestamp", number_of)
    by_model = models.by_step(first, end, owner, metadata or {}, begun, number_of) if tool is None else {}
    points = []
    for number in range(-((first - end) // length)):
        at = first + number * length
        points.append({"at": format_timestamp(at), **parts.get(number, _NOTHING)})
        if number in by_model:
            points[-1]["models"] = by_model[number]
    return {"from": format_timestamp(first), "to": format_timestamp(end), "step_seconds": step, "points": points}


def tool_signals(
    start: datetime, end: datetime, limit: int, *, owner: Any = None, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The tools of a window: ``slowest`` by the 95th percentile of their calls, ``failing`` by how many failed.

    Each with the signals of its calls, the first first; tools without a known duration are not slow, and those without
    an error do not fail. Calls that name no tool are one, whose name is None.

    :param limit: at most so many in each list
    """
    measured = measured_events(start, end, owner, None, metadata or {}).filter(event__in=CALL_ENDS)
    parts = _parts(measured, F("tool_name"), "tool_name", lambda name: name)
    tools = [{"tool": name, **part} for name, part in parts.items()]
    for tool in tools:
        del tool["approval_wait_time"]
    return {
        "from": format_timestamp(start),
        "to": format_timestamp(end),
        "tools": len(tools),
        "slowest": nlargest(limit, (t for t in tools if t["latency"]["p95"] is not None), key=_p95),
        "failing": nlargest(limit, (t for t in tools if t["errors"]), key=lambda t: (t["errors"], t["error_rate"])),
    }


def _p95(tool: Mapping[str, Any]) -> float:
    return float(tool["latency"]["p95"])


def _parts(
    measured: QuerySet[Event], expression: Any, column: str, name: Callable[[Any], Any]
) -> dict[Any, dict[str, Any]]:
    """Signals of each part of the events.

    :param expression: what PostgreSQL divides them by
    :param column: what is read to divide them where the database knows no percentiles
    :param name: of a part, from the value of either
    """
    if connections[measured.db].vendor == "postgresql":
        return {name(row["part"]): _counted(row) for row in _aggregated(measured, expression)}
    events: dict[Any, list[tuple[str, float]]] = defaultdict(list)
    for value, event, measure in measured.values_list(column, "event", "measure").iterator():
        events[name(value)].append((event, measure))
    return {part: _counted(_row(measures)) for part, measures in events.items()}


def _aggregated(measured: QuerySet[Event], expression: Any) -> Iterable[Mapping[str, Any]]:
    calls = Q(event__in=CALL_ENDS) & KNOWN_MS
    waits = Q(event="approval_received") & KNOWN_MS
    return measured.values(part=expression).annotate(
        completed=Count("measure", filter=Q(event="tool_call_complete")),
        failed=Count("measure", filter=Q(event="tool_call_error")),
        call_mean=Avg("measure", filter=calls),
        call_ranks=Percentiles("measure", _CALL_PERCENTS, filter=calls),
        wait_mean=Avg("measure", filter=waits),
        wait_ranks=Percentiles("measure", _WAIT_PERCENTS, filter=waits),
    )


def _row(events: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """What PostgreSQL makes of them."""
    calls = sorted(ms for event, ms in events if event in CALL_ENDS and 0 <= ms <= MAX_DURATION_MS)
    waits = sorted(ms for event, ms in events if event == "approval_received" and 0 <= ms <= MAX_DURATION_MS)
    return {
        "completed": sum(event == "tool_call_complete" for event, _ in events),
        "failed": sum(event == "tool_call_error" for event, _ in events),
        "call_mean": fmean(calls) if calls else None,
        "call_ranks": [percentile(calls, percent) for percent in _CALL_PERCENTS] if calls else None,
        "wait_mean": fmean(waits) if waits else None,
        "wait_ranks": [percentile(waits, percent) for percent in _WAIT_PERCENTS] if waits else None,
    }


def _counted(row: Mapping[str, Any]) -> dict[str, Any]:
    """Under the names that a window's signals have."""
    completed, failed = row["completed"], row["failed"]
    calls = row["call_ranks"] or [None] * len(_CALL_PERCENTS)
    waits = row["wait_ranks"] or [None] * len(_WAIT_PERCENTS)
    return {
        "total_steps": completed,
        "errors": failed,
        "success_rate": ratio(completed, completed + failed),
        "error_rate": ratio(failed, completed + failed),
        "tool_error_rate": ratio(failed, completed + failed),
        "latency": {**{f"p{p}": ms for p, ms in zip(_CALL_PERCENTS, calls, strict=True)}, "mean": row["call_mean"]},
        "approval_wait_time": {
            **{f"p{p}": ms for p, ms in zip(_WAIT_PERCENTS, waits, strict=True)},
            "mean": row["wait_mean"],
        },
    }


_NOTHING: Final = _counted(_row([]))
