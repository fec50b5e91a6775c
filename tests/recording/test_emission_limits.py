"""How fast and how far a trace may grow: what is shed is counted, said, and never what matters."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.access import token_buckets
from trace_streaming.conf import Rate
from trace_streaming.events import APPROVAL_EVENTS, TraceEnd, TraceEvent, TraceLoss, TraceRecord, TraceStart
from trace_streaming.models import Trace
from trace_streaming.recording import emission_limits
from trace_streaming.recording.emission_limits import EmissionLimits
from trace_streaming.recording.recorder import recorder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATE = Rate(2, 1)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    monkeypatch.setattr(emission_limits, "monotonic", clock)
    return clock


def emit_from(trace_id: str, threads: int, emit: Callable[[TraceEmitter], None]) -> TraceEmitter:
    """One emitter, used by several threads at once, ended and stored."""
    try:
        with TraceEmitter(trace_id) as emitter:
            running = [threading.Thread(target=emit, args=(emitter,)) for _ in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()
        assert emitter.flush(60)
    finally:
        recorder._reset()
    return emitter


def event(name: str = "plan_created", status: str = "success", trace_id: str = "t") -> TraceEvent:
    return TraceEvent(name, trace_id, NOW, "{}", status)


def names(records: list[TraceRecord]) -> list[str]:
    return [record.event if isinstance(record, TraceEvent) else type(record).__name__ for record in records]


def test_what_is_too_much_is_shed_and_then_said(clock: Clock) -> None:
    """Before the next event that is kept stands how many were not."""
    limits = EmissionLimits()
    kept = [limits.kept(event(), RATE, None) for _ in range(5)]
    assert [len(records) for records in kept] == [1, 1, 0, 0, 0]
    clock.now += 1
    loss, marker, last = limits.kept(event(), RATE, None)
    assert (isinstance(loss, TraceLoss) and loss.count, last) == (3, event())
    assert isinstance(marker, TraceEvent)
    assert (marker.event, marker.status) == ("budget_exceeded", "warning")
    assert json.loads(marker.details) == {"budget": "events_per_trace", "rate": "2 in 1 s", "shed": 3}
    assert names(limits.kept(event(), RATE, None)) == ["plan_created"]


def test_other_traces_are_not_shed() -> None:
    """One that runs wild is alone with its limit."""
    limits = EmissionLimits()
    for _ in range(10):
        limits.kept(event(), RATE, None)
    assert names(limits.kept(event(trace_id="other"), RATE, None)) == ["plan_created"]


@pytest.mark.parametrize("name", sorted(APPROVAL_EVENTS))
def test_approvals_are_always_kept(name: str) -> None:
    """Somebody waits for them."""
    limits = EmissionLimits()
    kept = [limits.kept(event(name), RATE, None) for _ in range(100)]
    assert all(records[-1] == event(name) for records in kept)


def test_errors_starts_and_ends_are_always_kept() -> None:
    """They say what has happened."""
    limits = EmissionLimits()
    for _ in range(3):
        limits.kept(event(), RATE, None)
    start = TraceStart("t", NOW, None, "{}")
    assert limits.kept(start, RATE, None) == [start]
    assert names(limits.kept(event(status="error"), RATE, None)) == ["TraceLoss", "budget_exceeded", "plan_created"]
    limits.kept(event(), RATE, None)
    end = TraceEnd("t", "success", NOW)
    assert names(limits.kept(end, RATE, None)) == ["TraceLoss", "budget_exceeded", "TraceEnd"]


def test_a_trace_that_is_always_shed_from_is_told_once_a_second(clock: Clock) -> None:
    """Markers are not a flood of their own; none of the shed is forgotten by them."""
    limits = EmissionLimits()
    said = shed = 0
    for _ in range(1000):
        clock.now += 0.01
        records = limits.kept(event(), RATE, None)
        shed += not records
        said += sum(record.count for record in records if isinstance(record, TraceLoss))
        assert len(records) in (0, 1, 3)
    said += sum(record.count for record in limits.remaining() if isinstance(record, TraceLoss))
    assert said == shed > 900
    assert limits.remaining() == []


def test_a_bounded_number_of_traces_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that makes a million of them does not hold them."""
    monkeypatch.setattr(emission_limits, "MAX_BUCKETS", 3)
    limits = EmissionLimits()
    for number in range(10):
        for _ in range(3):
            limits.kept(event(trace_id=str(number)), RATE, None)
    assert len(limits._shed) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("threads", [1, 4])
def test_an_emitter_that_runs_wild(settings: Settings, threads: int) -> None:
    """Stored: what the rate allows, every error, the marker; ``lost_count`` has the rest; ``.events`` has all."""
    settings.TRACE_STREAMING_LIMITS = {"events_per_trace": "5/hour"}

    def emit(emitter: TraceEmitter) -> None:
        for number in range(100):
            if number == 50:
                emitter.emit("tool_call_error", {}, "error")
            else:
                emitter.emit("plan_created", {}, "success")

    emitter = emit_from("wild", threads, emit)
    trace = Trace.objects.get(trace_id="wild")
    stored = list(trace.events.values_list("event", flat=True))
    assert len(emitter.events) == 100 * threads
    assert stored.count("tool_call_error") == threads
    assert stored.count("plan_created") == 5
    assert trace.lost_count == 99 * threads - 5
    assert "budget_exceeded" in stored


def test_a_trace_has_so_many_events_in_all(clock: Clock) -> None:
    """The first that is too many says so at once; time brings no more, and other traces have their own."""
    limits = EmissionLimits()
    kept = [limits.kept(event(), None, 3) for _ in range(6)]
    assert [len(records) for records in kept] == [1, 1, 1, 2, 0, 0]
    loss, marker = kept[3]
    assert isinstance(loss, TraceLoss)
    assert loss.count == 1
    assert isinstance(marker, TraceEvent)
    assert json.loads(marker.details) == {"budget": "total_events_per_trace", "total": 3, "shed": 1}
    clock.now += 10**6
    assert limits.kept(event(), None, 3) == []
    assert names(limits.kept(event(trace_id="other"), None, 3)) == ["plan_created"]
    assert [record.count for record in limits.remaining() if isinstance(record, TraceLoss)] == [3]


@pytest.mark.parametrize("important", [event("approval_requested"), event("tool_call_error", "error")])
def test_a_full_trace_keeps_what_matters_and_says_what_it_sheds(clock: Clock, important: TraceEvent) -> None:
    """Approvals and errors pass, and bring the count of what was shed before them, once a second."""
    limits = EmissionLimits()
    for _ in range(3):
        limits.kept(event(), None, 2)
    for _ in range(4):
        assert limits.kept(event(), None, 2) == []
    assert limits.kept(important, None, 2) == [important]
    clock.now += 1
    loss, _, last = limits.kept(important, None, 2)
    assert (isinstance(loss, TraceLoss) and loss.count, last) == (4, important)


def test_what_matters_counts_and_what_the_rate_sheds_does_not(clock: Clock) -> None:
    """The total is of what was recorded."""
    limits = EmissionLimits()
    for _ in range(50):
        limits.kept(event(), RATE, 4)  # keeps two
    limits.kept(event(status="error"), RATE, 4)
    clock.now += 1
    assert limits.kept(event(), RATE, 4)[-1] == event()
    assert names(limits.kept(event(), RATE, 4)) == ["TraceLoss", "budget_exceeded"]


def test_a_trace_that_ends_and_goes_on_is_no_less_full(clock: Clock) -> None:
    """Its end tells what was shed; it does not begin anew."""
    limits = EmissionLimits()
    for _ in range(5):
        limits.kept(event(), None, 2)
    assert names(limits.kept(TraceEnd("t", "success", NOW), None, 2)) == ["TraceLoss", "budget_exceeded", "TraceEnd"]
    assert limits.kept(event(), None, 2) == []
    assert not limits.has_room("t", 2)


def test_a_bounded_number_of_totals_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those unused for longest begin anew."""
    monkeypatch.setattr(emission_limits, "MAX_BUCKETS", 3)
    limits = EmissionLimits()
    for number in range(10):
        limits.kept(event(trace_id=str(number)), None, 1)
    assert [number for number in range(10) if not limits.has_room(str(number), 1)] == [7, 8, 9]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("threads", [1, 4])
def test_an_emitter_that_never_ends(settings: Settings, threads: int) -> None:
    """Stored: exactly the total, every error, the markers; ``lost_count`` has the rest."""
    settings.TRACE_STREAMING_LIMITS = {"total_events_per_trace": 20}

    def emit(emitter: TraceEmitter) -> None:
        for _ in range(100):
            emitter.emit("plan_created", {}, "success")
        emitter.emit("tool_call_error", {}, "error")

    emit_from("endless", threads, emit)
    trace = Trace.objects.get(trace_id="endless")
    stored = list(trace.events.values_list("event", flat=True))
    assert (stored.count("plan_created"), stored.count("tool_call_error")) == (20, threads)  # each error came later
    assert trace.lost_count == 100 * threads - stored.count("plan_created")
    assert "budget_exceeded" in stored
