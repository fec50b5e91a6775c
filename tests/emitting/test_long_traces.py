"""An emitter remembers a bounded number of its events, and its signals stay right."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.emitting.playback import RecordedEvent, play
from trace_streaming.signals import trace_ended
from trace_streaming.testing import capture_events


def test_the_oldest_events_go_and_are_still_counted(settings: Settings) -> None:
    """A run of weeks fills no memory; what was emitted is counted, whether it is remembered or not."""
    settings.TRACE_STREAMING_EMITTER_EVENTS = 10
    with capture_events():
        emitter = TraceEmitter()
        emitter.emit("plan_created")
        emitter.emit("budget_warning", {"used": 1, "total": 2})
        for number in range(20):
            emitter.emit("tool_call_complete", {"tool": "a", "duration_ms": number}, "success")
            emitter.emit("tool_call_error", {"tool": "a", "duration_ms": number}, "error")
    assert [event["details"]["duration_ms"] for event in emitter.events] == [15, 15, 16, 16, 17, 17, 18, 18, 19, 19]
    assert emitter.get_trace() == emitter.events
    assert emitter.event_count == 42
    assert "42 events" in repr(emitter)
    signals = emitter.get_golden_signals()
    assert (signals["total_steps"], signals["errors"], signals["total_events"]) == (20, 20, 42)
    assert (signals["mean_steps_per_task"], signals["success_rate"], signals["budget_utilization"]) == (20, 0.5, 0.5)
    assert signals["latency"]["mean"] == 17


def test_all_may_be_kept(settings: Settings) -> None:
    """None is no bound; the usual one is ten thousand."""
    assert TraceEmitter()._max_events == 10_000
    settings.TRACE_STREAMING_EMITTER_EVENTS = None
    assert TraceEmitter()._max_events is None


def test_threads_that_emit_at_once_lose_no_count(settings: Settings) -> None:
    """Each event is remembered or counted, once."""
    settings.TRACE_STREAMING_EMITTER_EVENTS = 5
    with capture_events():
        emitter = TraceEmitter()

        def emit() -> None:
            for _ in range(500):
                emitter.emit("tool_call_complete", {"tool": "a"}, "success")

        threads = [threading.Thread(target=emit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(emitter.events) == 5
    assert emitter.get_golden_signals()["total_steps"] == 2_000


def test_a_played_trace_ends_with_the_error_that_is_not_remembered_any_more(settings: Settings) -> None:
    """The state is of the whole recording."""
    settings.TRACE_STREAMING_EMITTER_EVENTS = 2
    ended: list[str] = []

    def receive(end: Any, **kwargs: Any) -> None:
        ended.append(end.state)

    trace_ended.connect(receive)
    try:
        with capture_events():
            play(RecordedEvent("plan_created", "t", {}, status) for status in ["error", *["success"] * 5])
    finally:
        trace_ended.disconnect(receive)
    assert ended == ["error"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_nothing_of_a_strangers_comes_out_of_an_emit(kind: type[BaseException]) -> None:
    """Not of a value's text, a name's or an error's. Invariant 3."""

    class Raising(Exception):
        def __str__(self) -> str:
            raise kind

        __repr__ = __str__

    with capture_events() as events:
        emitter = TraceEmitter()
        emitter.emit("plan_created", {"a": Raising(), "b": [Raising()]})
        with pytest.raises(ValueError, match="unprintable Raising"):
            emitter.emit(Raising())  # type: ignore[arg-type]
        with pytest.raises(Raising), emitter.tool_call("a"):
            raise Raising
    assert events[0]["details"] == {"a": "[unserialisable Raising]", "b": ["[unserialisable Raising]"]}
    assert events[-1]["details"]["error"] == "[unserialisable Raising]"
