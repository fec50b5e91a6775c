"""How fast a trace may grow: what is shed is counted, said, and never what matters."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter, emission_rate, rates
from trace_streaming.emission_rate import EmissionRate
from trace_streaming.events import APPROVAL_EVENTS, TraceEnd, TraceEvent, TraceLoss, TraceRecord, TraceStart
from trace_streaming.models import Trace
from trace_streaming.rates import Rate
from trace_streaming.recorder import recorder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATE = Rate(2, 1)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "monotonic", clock)
    monkeypatch.setattr(emission_rate, "monotonic", clock)
    return clock


def event(name: str = "plan_created", status: str = "success", trace_id: str = "t") -> TraceEvent:
    return TraceEvent(name, trace_id, NOW, "{}", status)


def names(records: list[TraceRecord]) -> list[str]:
    return [record.event if isinstance(record, TraceEvent) else type(record).__name__ for record in records]


def test_what_is_too_much_is_shed_and_then_said(clock: Clock) -> None:
    """Before the next event that is kept stands how many were not."""
    rate = EmissionRate()
    kept = [rate.paced(event(), RATE) for _ in range(5)]
    assert [len(records) for records in kept] == [1, 1, 0, 0, 0]
    clock.now += 1
    loss, marker, last = rate.paced(event(), RATE)
    assert (isinstance(loss, TraceLoss) and loss.count, last) == (3, event())
    assert isinstance(marker, TraceEvent)
    assert (marker.event, marker.status) == ("budget_exceeded", "warning")
    assert json.loads(marker.details) == {"budget": "events_per_trace", "rate": "2 in 1 s", "shed": 3}
    assert names(rate.paced(event(), RATE)) == ["plan_created"]


def test_other_traces_are_not_shed() -> None:
    """One that runs wild is alone with its limit."""
    rate = EmissionRate()
    for _ in range(10):
        rate.paced(event(), RATE)
    assert names(rate.paced(event(trace_id="other"), RATE)) == ["plan_created"]


@pytest.mark.parametrize("name", sorted(APPROVAL_EVENTS))
def test_approvals_are_always_kept(name: str) -> None:
    """Somebody waits for them."""
    rate = EmissionRate()
    kept = [rate.paced(event(name), RATE) for _ in range(100)]
    assert all(records[-1] == event(name) for records in kept)


def test_errors_starts_and_ends_are_always_kept() -> None:
    """They say what has happened."""
    rate = EmissionRate()
    for _ in range(3):
        rate.paced(event(), RATE)
    start = TraceStart("t", NOW, None, "{}")
    assert rate.paced(start, RATE) == [start]
    assert names(rate.paced(event(status="error"), RATE)) == ["TraceLoss", "budget_exceeded", "plan_created"]
    rate.paced(event(), RATE)
    end = TraceEnd("t", "success", NOW)
    assert names(rate.paced(end, RATE)) == ["TraceLoss", "budget_exceeded", "TraceEnd"]


def test_a_trace_that_is_always_shed_from_is_told_once_a_second(clock: Clock) -> None:
    """Markers are not a flood of their own; none of the shed is forgotten by them."""
    rate = EmissionRate()
    said = shed = 0
    for _ in range(1000):
        clock.now += 0.01
        records = rate.paced(event(), RATE)
        shed += not records
        said += sum(record.count for record in records if isinstance(record, TraceLoss))
        assert len(records) in (0, 1, 3)
    said += sum(record.count for record in rate.remaining(RATE) if isinstance(record, TraceLoss))
    assert said == shed > 900
    assert rate.remaining(RATE) == []


def test_a_bounded_number_of_traces_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that makes a million of them does not hold them."""
    monkeypatch.setattr(emission_rate, "MAX_BUCKETS", 3)
    rate = EmissionRate()
    for number in range(10):
        for _ in range(3):
            rate.paced(event(trace_id=str(number)), RATE)
    assert len(rate._shed) == 3


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

    try:
        with TraceEmitter("wild") as emitter:
            running = [threading.Thread(target=emit, args=(emitter,)) for _ in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()
        assert emitter.flush(10)
    finally:
        recorder._reset()
    trace = Trace.objects.get(trace_id="wild")
    stored = list(trace.events.values_list("event", flat=True))
    assert len(emitter.events) == 100 * threads
    assert stored.count("tool_call_error") == threads
    assert stored.count("plan_created") == 5
    assert trace.lost_count == 99 * threads - 5
    assert "budget_exceeded" in stored
