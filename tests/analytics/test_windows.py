"""Windows of signals: what was measured while recording, held against a scan of the events."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import hypothesis
import orjson
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.analytics.windows import trace_signals, window_signals
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import CANONICAL_EVENTS, TraceEvent, TraceStart
from trace_streaming.events.golden_signals import (
    approval_waits_ms,
    budget_utilization,
    call_durations_ms,
    golden_signals,
    percentile,
)
from trace_streaming.models import Event, Trace
from trace_streaming.storage import signal_inputs, store
from trace_streaming.storage.retention import prune

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
END = START + timedelta(hours=1)


def event(trace_id: str, name: str, at_ms: float = 0, **details: Any) -> TraceEvent:
    return make_event(trace_id, name, details, "success", timestamp=START + timedelta(milliseconds=at_ms))[0]


def window(**asked: Any) -> dict[str, Any]:
    return window_signals(START, END, **asked)


def scanned() -> dict[str, Any]:
    """The same signals from the stored events alone, one by one."""
    rows = Event.objects.order_by("trace", "sequence").values_list("trace", "text")
    traces = [
        [orjson.loads(text) for _, text in rows_of_one] for _, rows_of_one in groupby(rows, key=lambda row: row[0])
    ]
    names = Counter(event["event"] for trace in traces for event in trace)
    completed, failed = names["tool_call_complete"], names["tool_call_error"]
    traces = [trace for trace in traces if any(counts(event) for event in trace)]
    tasks = sum(max(sum(event["event"] == "plan_created" for event in trace), 1) for trace in traces)
    highest = [
        max(each)
        for trace in traces
        if (each := [told for event in trace if (told := budget_utilization([event])) is not None])
    ]
    calls = [ms for trace in traces for ms in call_durations_ms(trace)]
    waits = [ms for trace in traces for ms in approval_waits_ms(trace)]

    def distribution(values: list[float], *percents: int) -> dict[str, Any]:
        mean = sum(values) / len(values) if values else None
        return {**{f"p{p}": percentile(sorted(values), p) if values else None for p in percents}, "mean": mean}

    return {
        "traces": len(traces),
        "total_steps": completed,
        "errors": failed,
        "success_rate": completed / (completed + failed) if completed + failed else None,
        "tool_error_rate": failed / (completed + failed) if completed + failed else None,
        "latency": distribution(calls, 50, 95, 99),
        "mean_steps_per_task": completed / tasks if tasks else None,
        "approval_wait_time": distribution(waits, 95),
        "budget_utilization": sum(highest) / len(highest) if highest else None,
    }


def counts(event: dict[str, Any]) -> bool:
    """Whether a signal is made of it by itself."""
    name = event["event"]
    ends = name in ("plan_created", "tool_call_complete", "tool_call_error", "approval_received")
    return ends or (name.startswith("budget") and budget_utilization([event]) is not None)


def assert_equals_the_scan() -> None:
    found, expected = window(), scanned()
    for name, value in expected.items():
        nested = {name: value} if not isinstance(value, dict) else value
        given = {name: found[name]} if not isinstance(value, dict) else found[name]
        for part, number in nested.items():
            assert given[part] == (number if number is None else pytest.approx(number)), (name, part)


ANY_EVENT = st.builds(
    lambda trace, name, at_ms, details: event(trace, name, at_ms, **details),
    st.sampled_from("ab"),
    st.sampled_from([*CANONICAL_EVENTS, *["tool_call_start", "tool_call_complete"] * 3]),
    st.integers(0, 3_599_999),
    st.fixed_dictionaries(
        {},
        optional={
            "tool": st.sampled_from("xy"),
            "call_id": st.sampled_from([1, None, "2"]),
            "approval_id": st.sampled_from(["p", "q", None]),
            "duration_ms": st.none() | st.floats(-10, 1e6),
            "waited_ms": st.none() | st.integers(0, 1000),
            "utilization": st.none() | st.floats(-1, 2),
            "limit": st.integers(0, 10),
            "used": st.integers(0, 10),
            "budget": st.sampled_from(["tokens", "events_per_trace"]),
        },
    ),
)
STEPS = st.lists(
    st.lists(ANY_EVENT, min_size=1, max_size=8) | st.sampled_from(["forget", "fail", "prune"]), max_size=12
)


@pytest.mark.django_db(transaction=True)
@hypothesis.settings(deadline=None, max_examples=60)
@given(STEPS)
def test_a_window_equals_a_scan_of_the_events(steps: list[Any]) -> None:
    """Whatever is stored in whatever batches, by processes that begin and transactions that fail, and is pruned."""
    Trace.objects.all().delete()
    signal_inputs._starts.clear()
    for step in steps:
        if step == "forget":  # another process goes on
            signal_inputs._starts.clear()
        elif step == "fail":
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                store.append([event("a", "tool_call_start", tool="x"), event("a", "tool_call_complete", tool="x")])
                raise ZeroDivisionError
        elif step == "prune":
            for trace in Trace.objects.filter(trace_id="a"):
                list(prune(trace, timezone.now() + timedelta(seconds=1)))
        else:
            store.append(step)
        assert_equals_the_scan()


@pytest.mark.django_db
def test_a_hand_computed_window() -> None:
    """Two traces: a plans once and completes 3 of 4 calls, b has no plan and completes 1; later ones do not count."""
    store.append(
        [
            event("a", "plan_created"),
            *(event("a", "tool_call_complete", tool="x", duration_ms=100) for _ in range(3)),
            event("a", "tool_call_error", tool="y", duration_ms=900),
            event("a", "budget_warning", total=100, used=60),
            event("a", "budget_warning", total=100, used=80),
            event("b", "tool_call_complete", tool="x", duration_ms=100),
            event("b", "budget_exceeded", limit=5),
            event("b", "route_decision"),
            event("a", "tool_call_error", 60_000, tool="y", duration_ms=900),
        ]
    )
    found = window_signals(START, START + timedelta(minutes=1))
    assert (found["traces"], found["total_steps"], found["errors"]) == (2, 4, 1)
    assert (found["success_rate"], found["error_rate"], found["tool_error_rate"]) == (0.8, 0.2, 0.2)  # 4 and 1 of 5
    assert found["mean_steps_per_task"] == 2.0  # 4 calls, and 2 tasks: the plan of a, and b
    assert found["budget_utilization"] == 0.9  # a 0.8, b 1.0
    assert found["latency"]["mean"] == 260.0  # (4 x 100 + 900) / 5
    assert (found["latency"]["p50"], found["latency"]["p95"]) == (100.0, 900.0)  # ranks 3 and 5 of 5
    assert found["approval_wait_time"] == {"p95": None, "mean": None}
    assert window_signals(START + timedelta(minutes=1), END)["errors"] == 1


@pytest.mark.django_db
def test_a_window_of_an_owner_a_tool_or_metadata() -> None:
    """Each is a part of all, and they go together; of a tool, tasks and budgets are not known."""
    user = User.objects.create_user("ada")
    store.append(
        [
            TraceStart("a", START, user.pk, '{"team": "red", "odd__key": 1}'),
            event("a", "tool_call_complete", tool="x", duration_ms=1),
            event("a", "tool_call_error", tool="y", duration_ms=1),
            event("b", "tool_call_complete", tool="x", duration_ms=1),
        ]
    )
    assert (window()["total_steps"], window(owner=user.pk)["total_steps"]) == (2, 1)
    assert (window(tool="y")["success_rate"], window(tool="y")["mean_steps_per_task"]) == (0.0, None)
    assert [window(metadata=wanted)["traces"] for wanted in ({"team": "red"}, {"odd__key": 1}, {"team": "blue"})] == [
        *(1, 1, 0)
    ]
    assert window(owner=user.pk, tool="x", metadata={"team": "red"})["total_steps"] == 1


@pytest.mark.django_db
def test_nothing_is_known_of_an_empty_window() -> None:
    """None, never 0."""
    found = window()
    unknown = ["success_rate", "error_rate", "tool_error_rate", "mean_steps_per_task", "budget_utilization"]
    assert [found[name] for name in unknown] == [None] * 5
    assert {*found["latency"].values(), *found["approval_wait_time"].values()} == {None}


@pytest.mark.django_db
def test_the_signals_of_a_recording_are_the_same_stored_and_emitted(recording: Any) -> None:
    """What the emitter computed by hand-checked formulas is what the database gives back, trace by trace."""
    lines = [orjson.loads(line) for line in recording.read_bytes().splitlines()]
    for trace_id in sorted({line["trace_id"] for line in lines}):
        own = [line for line in lines if line["trace_id"] == trace_id]
        for line in own:
            at = datetime.fromisoformat(line["timestamp"])
            store.append([make_event(trace_id, line["event"], line["details"], line["status"], timestamp=at)[0]])
        trace = Trace.objects.get(trace_id=trace_id)
        assert trace_signals(trace) == golden_signals(trace_id, trace.duration / timedelta(milliseconds=1), own)


@pytest.mark.django_db
def test_a_trace_without_calls_has_no_steps() -> None:
    """Events that no signal is made of make a task all the same, as the emitter has it."""
    store.append([event("a", "route_decision")])
    assert trace_signals(Trace.objects.get())["mean_steps_per_task"] == 0.0


@pytest.mark.django_db(transaction=True)
def test_what_others_have_begun_in_many_traces_is_asked_for_at_once() -> None:
    """Another process goes on with a hundred traces: one query for the calls that are open in them all."""
    names = [f"t-{number}" for number in range(100)]
    store.append([event(name, "tool_call_start", number) for number, name in enumerate(names)])
    signal_inputs._starts.clear()
    with CaptureQueriesContext(connection) as queries:
        store.append([event(name, "tool_call_complete", 100) for name in names])
    assert len([query for query in queries if "approval_requested" in query["sql"]]) == 1
    measured = Event.objects.filter(measure__gte=0).order_by("measure").values_list("measure", flat=True)
    assert list(measured) == [*range(1, 101)]
    with CaptureQueriesContext(connection) as queries:
        store.append([event(name, "tool_call_complete", 100) for name in names])
    assert [query for query in queries if "approval_requested" in query["sql"]] == []  # nothing was stored in between


@pytest.mark.django_db(transaction=True)
def test_what_began_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may emit into any number of traces."""
    monkeypatch.setattr(signal_inputs, "MAX_REMEMBERED", 3)
    for number in range(6):
        store.append([event(f"t-{number}", "tool_call_start"), event(f"t-{number}", "tool_call_complete", 5)])
    assert len(signal_inputs._starts) == 3
    assert window()["latency"]["mean"] == 5.0


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", ["interrupted", "cancelled", "abandoned", "triggered"])
def test_what_neither_succeeded_nor_failed_is_in_no_signal(outcome: str) -> None:
    """Neither counted nor timed, in a trace and in a window alike, whether it says how long it took or not."""
    store.append(
        [
            event("t", "tool_call_start", 0, tool="a", call_id="1"),
            event("t", "tool_call_complete", 500, tool="a", call_id="1", outcome=outcome),
            event("t", "tool_call_error", 600, tool="a", duration_ms=70, outcome=outcome),
            event("t", "tool_call_complete", 700, tool="a", duration_ms=5, outcome="another word"),
        ]
    )
    for found in (window(), trace_signals(Trace.objects.get())):
        assert (found["total_steps"], found["errors"], found["success_rate"]) == (1, 0, 1.0)
        assert found["latency"]["mean"] == 5


@pytest.mark.django_db
def test_a_step_that_turns_out_to_be_a_tools_call_has_a_duration() -> None:
    """By its id: some sources know only at its end what it was."""
    store.append([event("t", "step_start", 0, call_id="1")])
    store.append([event("t", "tool_call_complete", 40, tool="a", call_id="1")])
    for found in (window(), trace_signals(Trace.objects.get())):
        assert found["latency"]["mean"] == 40
