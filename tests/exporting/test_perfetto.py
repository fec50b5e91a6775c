"""Chrome's trace event format: its schema, and the pairing of calls."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from trace_streaming.events.golden_signals import call_durations_ms
from trace_streaming.exporting import perfetto
from trace_streaming.exporting.perfetto import chrome_events

BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)
PHASES: dict[str, set[str]] = {"X": {"dur"}, "B": set(), "i": {"s"}, "M": set()}


def event(name: str, second: float, sequence: int = 1, /, **details: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "event": name,
        "timestamp": (BEGIN + timedelta(seconds=second)).isoformat(),
        "details": details,
    }
    made |= {"status": "success", "sequence": sequence, "trace_id": "t"}
    lifted = {"tool_name": details.get("tool"), "duration_ms": details.get("duration_ms")}
    return made | {key: value for key, value in lifted.items() if value is not None}


def bars(*events: dict[str, Any]) -> list[tuple[str, str, float, float | None, int]]:
    """Name, phase, start and length in seconds, and lane of what is no metadata."""
    begin = int(BEGIN.timestamp() * 1e6)
    return [
        (
            made["name"],
            made["ph"],
            (made["ts"] - begin) / 1e6,
            made["dur"] / 1e6 if "dur" in made else None,
            made["tid"],
        )
        for made in chrome_events("t", events)
        if made["ph"] != "M"
    ]


def test_a_call_is_a_bar_and_another_event_a_mark() -> None:
    """The bar is from start to end, whatever the call says of its duration."""
    assert bars(
        event("plan_created", 0),
        event("tool_call_start", 1, tool="search", call_id="a"),
        event("tool_call_complete", 3, tool="search", call_id="a", duration_ms=7),
    ) == [("plan_created", "i", 0, None, 0), ("search", "X", 1, 2, 1)]


def test_calls_are_paired_by_their_id_before_their_order() -> None:
    """Calls that overlap have lanes of their own, and a lane is used again."""
    assert bars(
        event("tool_call_start", 0, tool="a", call_id="1"),
        event("tool_call_start", 1, tool="a", call_id="2"),
        event("tool_call_complete", 2, tool="a", call_id="2"),
        event("tool_call_start", 3, tool="b"),
        event("tool_call_start", 4, tool="b"),
        event("tool_call_error", 5, tool="b"),
        event("tool_call_complete", 6, tool="a", call_id="1"),
        event("tool_call_complete", 7, tool="b"),
    ) == [("a", "X", 1, 1, 2), ("b", "X", 3, 2, 2), ("a", "X", 0, 6, 1), ("b", "X", 4, 3, 3)]


def test_halves_of_calls_are_shown_too() -> None:
    """A call that never ended has no end; one whose start is missing is as long as it says, or a mark."""
    assert bars(
        event("tool_call_complete", 2, tool="a", duration_ms=500),
        event("tool_call_complete", 2, tool="a"),
        event("tool_call_start", 3, tool="b"),
    ) == [("a", "X", 1.5, 0.5, 0), ("a", "i", 2, None, 0), ("b", "B", 3, None, 1)]


def test_models_agents_and_steps_are_bars_and_an_end_may_come_first() -> None:
    """By the id alone: a span that was a step at its start, and one whose start comes late."""
    assert bars(
        event("agent_start", 0, name="solo", call_id="g"),
        event("step_start", 1, name="s", call_id="m", parent_call_id="g"),
        event("llm_call_complete", 3, name="gpt-5", call_id="m"),
        event("tool_call_complete", 6, tool="search", call_id="t"),
        event("tool_call_complete", 7, tool="lost", call_id="u", duration_ms=500),
        event("tool_call_start", 4, tool="search", call_id="t"),
        event("agent_complete", 8, name="solo", call_id="g"),
    ) == [
        ("gpt-5", "X", 1, 2, 2),
        ("search", "X", 4, 2, 2),
        ("solo", "X", 0, 8, 1),
        ("lost", "X", 6.5, 0.5, 0),
    ]


def test_ends_that_are_waited_for_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is written without a start."""
    monkeypatch.setattr(perfetto, "MAX_OPEN", 2)
    made = bars(*(event("tool_call_complete", n, tool=f"t{n}", call_id=str(n)) for n in range(5)))
    assert [(name, phase) for name, phase, *_ in made] == [(f"t{n}", "i") for n in range(5)]


def test_open_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is written without an end."""
    monkeypatch.setattr(perfetto, "MAX_OPEN", 2)
    made = bars(*(event("tool_call_start", n, tool=f"t{n}") for n in range(5)))
    assert [(name, phase) for name, phase, *_ in made] == [(f"t{n}", "B") for n in range(5)]
    assert {lane for *_, lane in made} == {1, 2}


def test_a_clock_that_goes_back_gives_no_negative_bar() -> None:
    """Processes have clocks of their own."""
    events = [event("tool_call_start", 5, tool="a"), event("tool_call_complete", 4, tool="a")]
    assert bars(*events) == [("a", "X", 4, 0, 1)]


def test_recordings_have_the_format_s_schema_and_all_their_calls(recording: Path) -> None:
    """Every event is there once, every finished call is a bar, and bars of a lane do not overlap."""
    events = [orjson.loads(line) | {"sequence": n} for n, line in enumerate(recording.read_bytes().splitlines(), 1)]
    events = [event | {"tool_name": event["details"].get("tool")} for event in events]
    made = list(chrome_events("t", events))
    for one in made:
        assert set(one) == {"name", "cat", "ph", "ts", "pid", "tid", "args", *PHASES[one["ph"]]} - (
            {"cat"} if one["ph"] == "M" else set()
        )
        assert isinstance(one["name"], str)
        assert type(one["ts"]) is type(one["pid"]) is type(one["tid"]) is int
    finished = [one for one in made if one["ph"] == "X"]
    assert len(finished) == len(call_durations_ms(events)) > 0
    pairs = sum(one["args"].get("start") is not None for one in finished)
    assert len(made) - sum(one["ph"] == "M" for one in made) == len(events) - pairs
    lanes = defaultdict[int, list[tuple[int, int]]](list)
    for one in finished:
        lanes[one["tid"]].append((one["ts"], one["ts"] + one["dur"]))
    for lane in lanes.values():
        ordered = sorted(lane)
        assert all(first[1] <= second[0] for first, second in pairwise(ordered))
