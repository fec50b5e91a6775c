"""The golden signals of a trace."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import RECORDINGS
from trace_streaming.events import CANONICAL_EVENTS, format_timestamp
from trace_streaming.events.golden_signals import call_durations_ms, golden_signals, percentile

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(name: str, at_ms: float = 0, **details: Any) -> dict[str, Any]:
    return {"event": name, "timestamp": format_timestamp(START + timedelta(milliseconds=at_ms)), "details": details}


def signals(*events: dict[str, Any]) -> dict[str, Any]:
    return golden_signals("t-1", 5.0, events)


def recorded(trace_id: str) -> dict[str, Any]:
    """The signals of one recorded trace."""
    lines = [json.loads(line) for path in RECORDINGS for line in path.read_text().splitlines()]
    return golden_signals(trace_id, 1.0, [line for line in lines if line["trace_id"] == trace_id])


def test_signals_of_the_ctf_run() -> None:
    """55 lines: 1 plan, 18 times route, start, complete; each completion says ``"duration_ms": 250.0``."""
    assert recorded("swe-agent-ctf-katy") == {
        "trace_id": "swe-agent-ctf-katy",
        "duration_ms": 1.0,
        "total_steps": 18,
        "errors": 0,
        "success_rate": 1.0,
        "error_rate": 0.0,
        "tool_error_rate": 0.0,
        "latency": {"p50": 250.0, "p95": 250.0, "p99": 250.0, "mean": 250.0},
        "mean_steps_per_task": 18.0,  # 18 completions, 1 plan
        "approval_wait_time": {"p95": None, "mean": None},
        "budget_utilization": None,
        "total_events": 55,
    }


def test_signals_of_the_marshmallow_run() -> None:
    """34 lines: 1 plan and 11 calls, whose durations sorted are as below."""
    # 216.57 216.809 220.802 223.833 239.317 239.637 321.495 330.324 563.529 788.578 978.469, together 4339.363
    found = recorded("swe-agent-marshmallow-1867")
    assert (found["total_steps"], found["errors"], found["total_events"]) == (11, 0, 34)
    # p50: rank ceil(5.5) = 6; p95: rank ceil(10.45) = 11; p99: rank ceil(10.89) = 11.
    assert found["latency"] == pytest.approx({"p50": 239.637, "p95": 978.469, "p99": 978.469, "mean": 4339.363 / 11})


def test_signals_of_a_recorded_run_with_approvals() -> None:
    """A-enterprise has no ``duration_ms``: its durations are between the timestamps of its lines."""
    found = recorded("A-enterprise")
    # Calls, in us of second 16: 593147-603460, 603670-616345, 616529-626822.
    assert found["latency"] == pytest.approx({"p50": 10.313, "p95": 12.675, "p99": 12.675, "mean": 33.281 / 3})
    # Approvals dfac80c8: 603615-626914, 66e6c86a: 616509-626926; rank ceil(1.9) = 2 of 2.
    assert found["approval_wait_time"] == pytest.approx({"p95": 23.299, "mean": (23.299 + 10.417) / 2})
    assert (found["total_steps"], found["success_rate"], found["mean_steps_per_task"]) == (3, 1.0, 3.0)


def test_signals_of_a_recorded_run_with_a_failed_call() -> None:
    """F-tool-error: boom_crm failed after 18.016194-18.016226, ok_tool completed after 18.016238-18.026505."""
    found = recorded("F-tool-error")
    assert (found["total_steps"], found["errors"], found["total_events"]) == (1, 1, 5)
    assert (found["success_rate"], found["error_rate"], found["tool_error_rate"]) == (0.5, 0.5, 0.5)
    assert found["latency"] == pytest.approx({"p50": 0.032, "p95": 10.267, "p99": 10.267, "mean": 10.299 / 2})


@pytest.mark.parametrize(
    ("trace_id", "signal", "value"),
    [
        ("B-timeout", "approval_wait_time", {"p95": None, "mean": None}),  # one request, timed out, never received
        ("E-budget-tool", "budget_utilization", 1.0),  # its only event is budget_exceeded
        ("E-budget-tool", "success_rate", None),  # no call
        ("G-empty", "mean_steps_per_task", 0.0),  # a plan of 0 steps, nothing done
        ("G-empty", "error_rate", None),
        ("H-two-plans", "mean_steps_per_task", 1.0),  # 2 completions, 2 plans
    ],
)
def test_signals_of_the_recorded_corner_cases(trace_id: str, signal: str, value: object) -> None:
    """What the small recorded traces of the orchestrator's run show."""
    assert recorded(trace_id)[signal] == value


def test_an_empty_trace_knows_nothing() -> None:
    """What cannot be known is None, never 0."""
    found = signals()
    assert (found["total_steps"], found["errors"], found["total_events"]) == (0, 0, 0)
    unknown = ["success_rate", "error_rate", "tool_error_rate", "mean_steps_per_task", "budget_utilization"]
    assert [found[name] for name in unknown] == [None] * 5
    assert set(found["latency"].values()) | set(found["approval_wait_time"].values()) == {None}


def test_concurrent_calls_are_paired_by_their_ids() -> None:
    """Two calls of one tool that overlap keep their own durations."""
    found = signals(
        event("tool_call_start", 0, tool="a", call_id="1"),
        event("tool_call_start", 10, tool="a", call_id="2"),
        event("tool_call_complete", 20, tool="a", call_id="2"),
        event("tool_call_error", 100, tool="a", call_id="1"),
    )
    assert (found["latency"]["p50"], found["latency"]["p99"]) == (10.0, 100.0)


@pytest.mark.parametrize("odd", [None, "5", True, -1, []])
def test_a_duration_that_is_none_is_measured_instead(odd: object) -> None:
    """A nonsensical ``duration_ms`` does not hide how long the call took."""
    found = signals(event("tool_call_start", 0, tool="a"), event("tool_call_complete", 30, tool="a", duration_ms=odd))
    assert found["latency"]["mean"] == 30.0


def test_open_calls_count_as_neither() -> None:
    """A call that still runs is no success yet, and no failure."""
    found = signals(event("tool_call_start", tool="a"), event("tool_call_start", tool="b"), event("tool_call_complete"))
    assert (found["total_steps"], found["success_rate"]) == (1, 1.0)


@pytest.mark.parametrize(
    ("events", "utilization"),
    [
        ([event("budget_warning", utilization=0.8)], 0.8),
        ([event("budget_warning", utilization=0.8), event("budget_exceeded")], 1.0),
        ([event("budget_exceeded"), event("budget_warning", utilization=0.2)], 0.2),
        ([event("budget_warning", utilization=0.8), event("budget_warning")], 0.8),
        ([event("budget_warning", utilization=7)], 1.0),
        ([event("budget_warning", utilization=-7)], 0.0),
        ([event("budget_warning", utilization=True)], None),
        ([event("budget_warning", limit=100, used=80)], 0.8),  # 80 / 100
        ([event("budget_warning", ceiling=50, spent=40.0)], 0.8),  # 40 / 50
        (
            [event("budget_warning", total=200, used=150, utilization=0.5)],
            0.5,
        ),  # what is said goes before what is counted
        ([event("budget_exceeded", limit=100)], 1.0),  # nothing used is told, but that it is over
        ([event("budget_exceeded", limit=100, used=130)], 1.0),
        ([event("budget_warning", limit=0, used=5)], None),
        ([event("budget_warning", limit=10**400, used=5)], None),
        ([event("budget_warning", used=80)], None),
        ([event("budget_exceeded", budget="events_per_trace", shed=9)], None),  # events that were shed
        ([event("budget_exceeded", budget="total_events_per_trace", total=5, shed=1)], None),
        ([event("budget_warning", utilization=0.4), event("budget_exceeded", budget="events_per_trace")], 0.4),
    ],
)
def test_budget_utilization_is_the_last_that_is_known(events: list[dict[str, Any]], utilization: float | None) -> None:
    """From 0 to 1, whatever the events say; unknown when none says."""
    assert signals(*events)["budget_utilization"] == utilization


def test_a_call_without_an_id_ends_the_oldest_of_its_tool() -> None:
    """By hand: a 0-30 and a 10-40 without ids, b 5-25 by its id; a null id is none."""
    found = signals(
        event("tool_call_start", 0, tool="a", call_id=None),
        event("tool_call_start", 5, tool="b", call_id="x"),
        event("tool_call_start", 10, tool_name="a"),
        event("tool_call_complete", 25, call_id="x"),
        event("tool_call_complete", 30, tool="a"),
        event("tool_call_error", 40, tool="a"),
        event("tool_call_complete", 50, tool="a"),  # nothing of a is open: it has no duration
    )
    assert found["latency"] == {"p50": 30.0, "p95": 30.0, "p99": 30.0, "mean": pytest.approx(80 / 3)}
    assert (found["success_rate"], found["error_rate"]) == (0.75, 0.25)  # 3 and 1 of 4


def test_a_hand_computed_table_of_twenty_calls() -> None:
    """1, 2, ... 20 ms: p50 is the 10th, p95 the 19th (ceil(19.0)), p99 the 20th (ceil(19.8)), the mean 10.5."""
    calls = [event("tool_call_complete", 0, duration_ms=ms) for ms in range(20, 0, -1)]
    assert signals(*calls)["latency"] == {"p50": 10.0, "p95": 19.0, "p99": 20.0, "mean": 10.5}


def test_an_approval_waits_from_its_first_request_to_its_answer() -> None:
    """By hand: x 0-100 though it is asked again at 60; y says 7; z times out, and was not answered."""
    found = signals(
        event("approval_requested", 0, approval_id="x"),
        event("approval_requested", 10, approval_id="y"),
        event("approval_requested", 20, approval_id="z"),
        event("approval_requested", 60, approval_id="x"),
        event("approval_received", 100, approval_id="x"),
        event("approval_received", 110, approval_id="y", waited_ms=7),
        event("approval_timeout", 120, approval_id="z"),
        event("approval_received", 130, approval_id="z"),
    )
    assert found["approval_wait_time"] == {"p95": 100.0, "mean": 53.5}


ANY_EVENT = st.builds(
    lambda name, at_ms, details: event(name, at_ms, **details),
    st.sampled_from(CANONICAL_EVENTS),
    st.integers(-(10**6), 10**6),
    st.fixed_dictionaries(
        {},
        optional={
            "tool": st.sampled_from("ab"),
            "call_id": st.sampled_from([1, "1", None, "2"]),
            "approval_id": st.sampled_from(["x", "y", None]),
            "duration_ms": st.none() | st.floats(-1e9, 1e9) | st.text(max_size=1),
            "utilization": st.none() | st.floats(-10, 10) | st.integers(-10, 10),
        },
    ),
)


@hypothesis.settings(deadline=None)
@given(st.lists(ANY_EVENT))
def test_signals_of_any_trace_are_possible_values(events: list[dict[str, Any]]) -> None:
    """Ratios lie in 0 to 1 or are None; times, counts and means are never negative, whatever the events say."""
    found = signals(*events)
    for name in ("success_rate", "error_rate", "tool_error_rate", "budget_utilization"):
        assert found[name] is None or 0 <= found[name] <= 1
    if found["success_rate"] is not None:
        assert found["success_rate"] + found["error_rate"] == pytest.approx(1)
    times = [*found["latency"].values(), *found["approval_wait_time"].values(), found["mean_steps_per_task"]]
    assert all(time is None or time >= 0 for time in times)
    assert found["total_steps"] + found["errors"] <= found["total_events"] == len(events)


def brute_force(events: list[dict[str, Any]]) -> list[float]:
    """Durations of calls, by looking back from each end for what it ends."""
    ended: set[int] = set()
    durations = []
    for end, event in enumerate(events):
        if event["event"] not in ("tool_call_complete", "tool_call_error"):
            continue
        call_id, tool = event["details"].get("call_id"), event["details"].get("tool")
        for start in range(end):
            begun = events[start]
            same = begun["details"].get("tool") == tool and begun["details"].get("call_id") is None
            if call_id is not None:
                same = str(begun["details"].get("call_id")) == str(call_id)
            if begun["event"] == "tool_call_start" and start not in ended and same:
                ended.add(start)
                elapsed = datetime.fromisoformat(event["timestamp"]) - datetime.fromisoformat(begun["timestamp"])
                break
        else:
            elapsed = None
        given = event["details"].get("duration_ms")
        if isinstance(given, float) and given >= 0:
            durations.append(given)
        elif elapsed is not None and elapsed >= timedelta(0):  # otherwise a clock was behind, and nobody knows
            durations.append(elapsed / timedelta(milliseconds=1))
    return durations


@hypothesis.settings(deadline=None)
@given(st.lists(ANY_EVENT))
def test_durations_are_those_of_brute_force(events: list[dict[str, Any]]) -> None:
    """Ids, tools, missing starts, clocks that go back: each end finds the start that is looked for."""
    assert call_durations_ms(events) == pytest.approx(brute_force(events))


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(0, 100))
def test_percentile_is_the_smallest_value_with_enough_at_or_below_it(values: list[int], percent: int) -> None:
    """The definition of nearest rank, counted out."""
    enough = [v for v in values if sum(other <= v for other in values) >= math.ceil(percent * len(values) / 100)]
    assert percentile(sorted(values), percent) == min(enough)


def test_a_call_whose_end_is_before_its_start_has_no_duration() -> None:
    """Two clocks that differ: null, never 0."""
    events = [event("tool_call_start", 500, tool="x"), event("tool_call_complete", 0, tool="x")]
    assert golden_signals("t", 1.0, events)["latency"] == {"p50": None, "p95": None, "p99": None, "mean": None}
