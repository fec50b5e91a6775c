"""Golden signals of one trace, from its events alone. What cannot be known is None, never 0."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any, Final

from .encoding import finite_number, possible_ms
from .pairs import OUTCOMES, pair_key, part_in

Event = Mapping[str, Any]

CALL_ENDS: Final = frozenset({"tool_call_complete", "tool_call_error"})
BUDGET_EVENTS: Final = frozenset({"budget_warning", "budget_exceeded"})
PAIRED_EVENTS: Final = CALL_ENDS | {"tool_call_start", "approval_requested", "approval_received", "approval_timeout"}
STARTS: Final = frozenset({"agent_start", "llm_call_start", "step_start"})
"""What may turn out at its end to have been a call of a tool."""
MODEL_ENDS: Final = frozenset({"llm_call_complete", "llm_call_error"})
TIMED_EVENTS: Final = PAIRED_EVENTS | STARTS | MODEL_ENDS
SIGNAL_EVENTS: Final = TIMED_EVENTS | BUDGET_EVENTS | {"plan_created"}
"""The events that signals are made of; of all others, only the number counts."""
EMISSION_RATE: Final = "events_per_trace"
EMISSION_TOTAL: Final = "total_events_per_trace"
"""Each is the ``budget`` of a ``budget_exceeded`` that tells of events that were shed: none that the agent spends."""


class Forgotten:
    """What is counted of a trace's first events, where the events themselves are not kept."""

    def __init__(self) -> None:
        self.events = 0
        self.counts: Counter[str] = Counter()
        self.budget_utilization: float | None = None

    def add(self, event: Event) -> None:
        """Count one, the oldest of those that are left."""
        name = counted_name(event)
        self.events += 1
        if name in _COUNTED:
            self.counts[name] += 1
        if name in BUDGET_EVENTS and (told := utilization(name, event["details"])) is not None:
            self.budget_utilization = told


def counted_name(event: Event) -> str:
    """As what it is counted; empty for the end of a call that neither succeeded nor failed."""
    name: str = event["event"]
    return "" if name in CALL_ENDS and is_neither(event["details"]) else name


def is_neither(details: Mapping[str, Any]) -> bool:
    """Whether what ended neither succeeded nor failed: its ``outcome`` is one of ``OUTCOMES``."""
    told = details.get("outcome")
    return isinstance(told, str) and told in OUTCOMES


_COUNTED: Final = frozenset({"tool_call_complete", "tool_call_error", "plan_created"})


def golden_signals(
    trace_id: str, duration_ms: float, events: Sequence[Event], forgotten: Forgotten | None = None
) -> dict[str, Any]:
    """Signals of one trace.

    - ``total_steps``: calls that completed; ``errors``: calls that failed; ``total_events``: all events.
    - ``success_rate`` = completed / (completed + failed); ``error_rate`` and ``tool_error_rate`` = failed / the same.
      Open calls count as neither, and so do those that were interrupted, cancelled, abandoned or triggered.
    - ``latency``: ``p50``, ``p95``, ``p99`` and ``mean`` of tool calls, in ms (see :func:`call_durations_ms`).
    - ``mean_steps_per_task`` = completed / plans (``plan_created`` events; a trace without one is one task).
    - ``approval_wait_time``: ``mean`` and ``p95`` in ms (see :func:`approval_waits_ms`).
    - ``budget_utilization`` = used / total of the last budget event that tells it, 0 to 1 (see :func:`utilization`).

    Percentiles are nearest-rank (the smallest value with at least p percent of all at or below it).

    :param duration_ms: how long the trace has taken, in milliseconds
    :param events: events as ``TraceEmitter.events`` holds them
    :param forgotten: what was counted of the events before these; their latencies and waits are not in the signals
    """
    forgotten = forgotten or Forgotten()
    counts = forgotten.counts + Counter(map(counted_name, events))
    completed, failed, plans = counts["tool_call_complete"], counts["tool_call_error"], counts["plan_created"]
    utilized = budget_utilization(events)
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
        "mean_steps_per_task": completed / max(plans, 1) if events or forgotten.events else None,
        "approval_wait_time": _distribution(waits, (95,)),
        "budget_utilization": forgotten.budget_utilization if utilized is None else utilized,
        "total_events": forgotten.events + len(events),
    }


class Starts:
    """Calls and approvals of one trace that have begun and not ended; fed with its events in order.

    Which ends which is said in :mod:`.pairs`; of an end that comes before its start, nobody knows how long it took.
    """

    def __init__(self) -> None:
        self._open: dict[str, deque[datetime]] = {}

    def elapsed_ms(self, name: str, details: Mapping[str, Any], at: datetime) -> float | None:
        """Take an event; where it ends something, how long that took in milliseconds.

        None where its clock was behind that of what began: then nobody knows.
        """
        part = part_in(name, details)
        key = pair_key(part, details)
        if not (part.begins or part.ends):
            return None
        if part.begins:
            if part.kind != "approval" or key not in self._open:  # an approval that is asked again waits since before
                self._open.setdefault(key, deque()).append(at)
            return None
        if (begun := self._open.get(key)) is None:
            return None
        started = begun.popleft()
        if not begun:
            del self._open[key]
        return (at - started).total_seconds() * 1000 if at >= started else None


def call_durations_ms(events: Iterable[Event]) -> list[float]:
    """Durations of finished tool calls: ``duration_ms`` when given, else from the call's start (see :class:`Starts`).

    Calls that have neither have no duration.
    """
    return [ms for event, ms in _elapsed(events) if counted_name(event) in CALL_ENDS and ms is not None]


def approval_waits_ms(events: Iterable[Event]) -> list[float]:
    """How long each answered approval waited: ``waited_ms`` when given, else since it was requested.

    One that timed out was not answered.
    """
    return [ms for event, ms in _elapsed(events) if event["event"] == "approval_received" and ms is not None]


def _elapsed(events: Iterable[Event]) -> Iterator[tuple[Event, float | None]]:
    starts = Starts()
    for event in events:
        if event["event"] in TIMED_EVENTS:
            measured = starts.elapsed_ms(event["event"], event["details"], datetime.fromisoformat(event["timestamp"]))
            given = given_ms(event["event"], event["details"])
            yield event, measured if given is None else given


def given_ms(name: str, details: Mapping[str, Any]) -> float | None:
    """How long an event itself says that it took, in milliseconds: ``duration_ms``, of an approval ``waited_ms``.

    None where it says nothing, or nothing that can be.
    """
    return possible_ms(details.get("waited_ms" if name == "approval_received" else "duration_ms"))


def utilization(name: str, details: Mapping[str, Any]) -> float | None:
    """What a budget event tells, 0 to 1.

    ``utilization``, else ``used`` or ``spent`` / ``total``, ``limit`` or ``ceiling``; else 1 for ``budget_exceeded``.
    """
    if details.get("budget") in (EMISSION_RATE, EMISSION_TOTAL):
        return None
    share = _number(details, "utilization")
    total = _number(details, "total", "limit", "ceiling")
    used = _number(details, "used", "spent")
    if share is None and total is not None and total > 0 and used is not None:
        share = used / total
    if share is not None:
        return min(max(share, 0.0), 1.0)
    return 1.0 if name == "budget_exceeded" else None


def budget_utilization(events: Sequence[Event]) -> float | None:
    """The :func:`utilization` of the last budget event that tells it."""
    for event in reversed(events):
        if event["event"] in BUDGET_EVENTS and (told := utilization(event["event"], event["details"])) is not None:
            return told
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


def _number(details: Mapping[str, Any], *names: str) -> float | None:
    """The first of these that is a finite number."""
    numbers = (finite_number(details.get(name)) for name in names)
    return next((number for number in numbers if number is not None), None)
