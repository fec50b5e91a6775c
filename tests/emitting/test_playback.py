"""Recordings are read and played again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from trace_streaming import trace_ended
from trace_streaming.emitting.playback import BadLine, RecordedEvent, play, read_recording
from trace_streaming.redaction import redact
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def captured() -> Iterator[list[dict[str, Any]]]:
    with capture_events() as events:
        yield events


@pytest.fixture
def ended() -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """The traces that were ended, with their states."""
    found: list[tuple[str, str]] = []

    def receive(end: Any, **kwargs: Any) -> None:
        found.append((end.trace_id, end.state))

    trace_ended.connect(receive)
    yield lambda: found
    trace_ended.disconnect(receive)


def line(**fields: Any) -> str:
    return json.dumps({"event": "plan_created", "trace_id": "t", **fields})


def events_of(*lines: str) -> list[RecordedEvent]:
    events = list(read_recording(lines))
    assert not [event for event in events if isinstance(event, BadLine)]
    return [event for event in events if isinstance(event, RecordedEvent)]


def test_a_recording_is_played_as_it_was(recording: Path, captured: list[dict[str, Any]]) -> None:
    """Every line of a real run comes out again: same events, order, traces, statuses and redacted details."""
    lines = recording.read_text().splitlines()
    emitters = play(
        events_of(*lines),
        rename=lambda trace_id: f"again-{trace_id}",
        speed=0,
        sleep=lambda seconds: pytest.fail(f"slept {seconds}"),
    )
    read = [json.loads(text) for text in lines]
    read = [{**event, "details": redact(event["details"])} for event in read]
    keys = ("event", "details", "status")
    assert [[event[key] for key in keys] for event in captured] == [[event[key] for key in keys] for event in read]
    assert [event["trace_id"] for event in captured] == [f"again-{event['trace_id']}" for event in read]
    assert list(emitters) == list(dict.fromkeys(event["trace_id"] for event in captured))
    assert all(emitter.ended for emitter in emitters.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        (b"\xff", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ("[]", "not a JSON object"),
        ("5", "not a JSON object"),
        ("{}", "event is missing"),
        ('{"event": "plan_created"}', "trace_id is missing"),
        (line(event="nope"), "Non-canonical event: nope"),
        (line(event=["plan_created"]), "Non-canonical event"),
        (line(status="done"), "Non-canonical status: done"),
        (line(trace_id="a b"), "Invalid trace id"),
        (line(trace_id=5), "Invalid trace id"),
        (line(details=[1]), "details is not an object"),
        (line(timestamp="yesterday"), "yesterday"),
        (line(timestamp=5), "argument must be str"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(text: str | bytes, reason: str) -> None:
    """The reader says where and why, counting blank lines too."""
    first, bad, last = read_recording([line(), "", text, " \n", line()])
    assert isinstance(bad, BadLine)
    assert bad.number == 3
    assert reason in bad.reason
    assert first == last == RecordedEvent("plan_created", "t", {}, "pending")


def test_declared_events_may_be_recorded(settings: Settings) -> None:
    """A project's own recordings hold its own events."""
    assert isinstance(next(read_recording([line(event="memory_read")])), BadLine)
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["memory_read"]
    assert events_of(line(event="memory_read"))[0].event == "memory_read"


def at(*seconds: float | None) -> list[RecordedEvent]:
    start = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    return [
        RecordedEvent("plan_created", "t", {}, "success", None if s is None else datetime.fromtimestamp(start + s, UTC))
        for s in seconds
    ]


@pytest.mark.parametrize(
    ("seconds", "speed", "pauses"),
    [
        ([0, 1, 3], 1, [1, 2]),
        ([0, 1, 3], 2, [0.5, 1]),
        ([0, 1, 3], 0, []),
        ([0, None, 3], 1, [3]),
        ([None, 1, 3], 1, [2]),
        ([], 1, []),
        ([0, 2, 1, 3], 1, [2, 0, 1]),
    ],
)
def test_the_recorded_pace_is_kept(seconds: list[float | None], speed: float, pauses: list[float]) -> None:
    """Pauses are those of the recording, divided by the speed; together never more than it took."""
    slept: list[float] = []
    play(at(*seconds), speed=speed, sleep=slept.append)
    assert slept == pauses


def test_times_with_and_without_a_zone_may_be_mixed() -> None:
    """A recording that was put together from two sources is played to its end."""
    events = events_of(line(timestamp="2026-01-05T12:00:00"), line(timestamp="2026-01-05T12:00:02+00:00"))
    slept: list[float] = []
    emitters = play(events, sleep=slept.append)
    assert slept == [2]
    assert len(emitters["t"].events) == 2


@pytest.mark.parametrize(("status", "state"), [("success", "success"), ("warning", "success"), ("error", "error")])
def test_a_trace_ends_as_its_events_did(status: str, state: str, ended: Callable[[], list[tuple[str, str]]]) -> None:
    """One event with an error is enough, and only for its own trace."""
    play(events_of(line(status=status), line(trace_id="other")))
    assert ended() == [("t", state), ("other", "success")]


def test_a_playing_that_is_broken_off_ends_its_traces(ended: Callable[[], list[tuple[str, str]]]) -> None:
    """Ctrl-C in the middle leaves no trace that runs for ever."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(at(0, 1), sleep=interrupt)
    assert [trace_id for trace_id, _ in ended()] == ["t"]
