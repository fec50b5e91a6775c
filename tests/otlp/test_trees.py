"""Spans in any order and batches: the same tree, times and totals in the end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from tests.otlp.conftest import Send, events_of, tree_of
from tests.otlp.spans import BEGIN, TRACE, Sent, agent, http, model, tool
from trace_streaming import TraceEmitter
from trace_streaming.models import EndedRoot, Event, LeftOutSpan, Trace
from trace_streaming.otlp import turns
from trace_streaming.otlp.endings import end_silent
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import left_out

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime.fromtimestamp(BEGIN / 10**9, UTC)
RUN = [
    agent(1, "supervisor", start=0, end=100),
    model(2, 1, start=1, end=10),
    http(3, 2, start=2, end=9),
    tool(4, "research", 1, start=11, end=60),
    http(5, 4, start=12, end=59),  # a request to another process
    Sent(6, "handle", 5, start=13, end=58),
    agent(7, "researcher", 6, start=14, end=57),
    model(8, 7, (5, 3), start=15, end=20),
    tool(9, "lookup", 7, start=21, end=30, error="no such key"),
    Sent(10, "SELECT", 9, start=22, end=23, attributes={"db.system.name": "postgresql"}),
    model(11, 1, start=61, end=120),  # ends after its root
]
TREE: list[Any] = [
    (
        "agent",
        "supervisor",
        "ok",
        [
            ("llm", "fake-1", "ok", []),
            (
                "tool",
                "research",
                "ok",
                [("agent", "researcher", "ok", [("llm", "fake-1", "ok", []), ("tool", "lookup", "error", [])])],
            ),
            ("llm", "fake-1", "ok", []),
        ],
    )
]


def wipe() -> None:
    """As nothing had been sent."""
    for model_class in (Event, Trace, LeftOutSpan, EndedRoot):
        model_class.objects.all().delete()


def totals() -> dict[str, Any]:
    """What is added up of the trace, and its times."""
    names = ("started_at", "last_event_at", "error_count", "model_calls", "tool_calls", "input_tokens", "output_tokens")
    return dict(Trace.objects.values(*names, "name", "state", "ended_at").get())


TOTALS = {
    "started_at": AT,
    "last_event_at": AT + timedelta(milliseconds=120),
    "error_count": 1,
    "model_calls": 3,
    "tool_calls": 2,
    "input_tokens": 27,
    "output_tokens": 17,
    "name": "supervisor",
    "state": "success",
    "ended_at": AT + timedelta(milliseconds=120),
}


def in_batches(spans: Iterable[Sent], sizes: Iterable[int]) -> list[list[Sent]]:
    rest = list(spans)
    batches = []
    for size in sizes:
        batches.append(rest[:size])
        rest = rest[size:]
    return [*batches, rest]


@pytest.mark.parametrize(
    "batches",
    [[RUN], [RUN[::-1]], [[span] for span in RUN], [[span] for span in reversed(RUN)]],
    ids=["at once", "children first", "one by one", "one by one, children first"],
)
def test_the_tree_is_that_of_the_agents_alone(send: Send, batches: list[list[Sent]]) -> None:
    """HTTP and SQL are left out, and what is inside of them keeps its place."""
    for batch in batches:
        send(batch)
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert tree_of() == TREE
    assert totals() == TOTALS


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_orders_and_repeats_do_not_matter(send: Send, data: st.DataObject) -> None:
    """Any order, any batches, any of them again."""
    wipe()
    spans = data.draw(st.permutations(RUN))
    batches = in_batches(spans, data.draw(st.lists(st.integers(0, 5), max_size=6)))
    batches += data.draw(st.lists(st.sampled_from(batches), max_size=3))
    for batch in batches:
        assert (
            send(batch, data.draw(st.sampled_from(["application/json", "application/x-protobuf"]))).status_code == 200
        )
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert tree_of() == TREE
    assert totals() == TOTALS


def test_all_may_be_kept(send: Send, settings: Settings) -> None:
    """As steps, where a project wants that."""
    settings.TRACE_STREAMING_OTLP_ALL_SPANS = True
    send([agent(1, end=9), http(2, 1, start=1, end=8), tool(3, parent=2, start=2, end=7)])
    assert tree_of() == [("agent", "solo", "ok", [("step", "POST", "ok", [("tool", "lookup", "ok", [])])])]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("langgraph.errors.GraphInterrupt", "interrupted"), ("asyncio.CancelledError", "cancelled")],
)
def test_a_run_that_neither_succeeded_nor_failed(send: Send, kind: str, outcome: str) -> None:
    """Its trace ends as with the other doors."""
    send([agent(1, error="x", exception={"exception.type": kind})])
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert tree_of() == [("agent", "solo", outcome, [])]
    assert Trace.objects.values_list("state", "error_count").get() == ("incomplete", 0)


def test_requests_without_an_agent_begin_no_trace(send: Send) -> None:
    """A site's whole telemetry may be sent."""
    assert send([http(1), http(2, 1)]).status_code == 200
    assert not Trace.objects.exists()


def test_an_orphan_is_shown(send: Send) -> None:
    """Whether its parent comes or not."""
    send([tool(4, "late", 3)])
    assert tree_of() == [("tool", "late", "ok", [])]
    assert end_silent(0) == 0  # a root that never comes ends nothing
    assert Trace.objects.get().state == "running"


def test_a_trace_ends_when_nothing_comes(send: Send) -> None:
    """Behind its root, and again when it has gone on."""
    send([tool(2, parent=1)])
    assert end_silent(0) == 0
    send([agent(1, error="bad", end=50)])
    assert end_silent(10) == 0  # it came just now
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert Trace.objects.values_list("state", "ended_at").get() == ("error", AT + timedelta(milliseconds=50))
    assert end_silent(0) == 0
    send([tool(3, parent=1, start=60, end=70)])
    assert Trace.objects.get().state == "running"
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert Trace.objects.values_list("state", "ended_at").get() == ("error", AT + timedelta(milliseconds=70))


def test_a_root_that_is_left_out_ends_the_trace_too(send: Send) -> None:
    """The request that an agent has served."""
    send([http(1, end=90)])
    send([tool(2, parent=1, end=80)])
    assert end_silent(0) == 1
    assert recorder.flush(60)
    assert Trace.objects.values_list("state", "ended_at").get() == ("success", AT + timedelta(milliseconds=90))


def test_a_trace_that_an_emitter_has_open_does_not_end_with_its_spans(send: Send, settings: Settings) -> None:
    """It ends with that; and both meet in one trace, by an attribute of the resource or of a span."""
    settings.TRACE_STREAMING_LEASE_SECONDS = 60
    with TraceEmitter("job-17") as emitter:
        emitter.emit("plan_created", {})
        assert emitter.flush(60)
        resource = (("trace_streaming.trace_id", "job-17"),)
        send([tool(2, parent=1, resource=resource), agent(1, resource=resource)])
        send(
            [
                tool(4, "other", 3, trace="1" * 32),
                agent(3, attributes={"trace_streaming.trace_id": "job-17"}, trace="1" * 32),
            ]
        )
        assert end_silent(0) == 0
    assert recorder.flush(60)
    assert Trace.objects.values_list("trace_id", "state").get() == ("job-17", "success")
    kinds = [(kind, name, [below[1] for below in inside]) for kind, name, _, inside in tree_of("job-17")]
    assert sorted(kinds) == [("agent", "solo", ["lookup"]), ("agent", "solo", ["other"]), ("plan", "", [])]


def test_clocks_that_are_apart(send: Send) -> None:
    """Times are told as they are; a span that ends before its start has no duration."""
    send(
        [
            agent(1, start=0, end=50),
            tool(2, parent=1, start=-3_600_000, end=-3_599_990),
            tool(3, "odd", 1, start=9, end=4),
        ]
    )
    assert [(name, inside) for _, name, _, inside in tree_of()[0][3]] == [("lookup", []), ("odd", [])]
    ends = {event["details"]["call_id"][-1]: event for event in events_of() if event["event"] == "tool_call_complete"}
    assert ends["2"]["duration_ms"] == 10
    assert "duration_ms" not in ends["3"]["details"]


def test_what_is_inside_of_itself_hangs_nothing(send: Send) -> None:
    """A circle of left out spans, and one of kept ones."""
    send([http(1, 2), http(2, 1), tool(3, parent=1), tool(4, "a", 5), tool(5, "b", 4)])
    assert sorted(name for _, name, _, _ in tree_of()) == ["a", "b", "lookup"]


def test_two_processes_that_store_at_the_same_time(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """One leaves out what the other stores the inside of, between its look and its commit: one of them sees it."""
    looked = left_out.parents

    def parents(alias: str, asked: Any) -> Any:
        found = looked(alias, asked)
        monkeypatch.undo()
        with monkeypatch.context() as other_process:
            other_process.setattr(turns, "_turn", Lock())
            send([agent(1, start=0, end=9), http(2, 1, start=1, end=8)])
        return found

    monkeypatch.setattr(left_out, "parents", parents)
    send([tool(3, parent=2, start=2, end=7)])
    assert tree_of() == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])])]


def test_conversations_and_users(send: Send) -> None:
    """By whatever name a library has for them."""
    send([agent(1, attributes={"session.id": "c-1", "user.id": "u-1"}), tool(2, parent=1)])
    trace = Trace.objects.get()
    assert (trace.conversation, trace.metadata["user"]) == ("c-1", "u-1")


def test_a_trace_that_is_deleted_is_forgotten(send: Send) -> None:
    """With what was left out of it."""
    send(RUN)
    assert LeftOutSpan.objects.filter(trace_id=TRACE).count() == 4
    Trace.objects.get().delete()
    assert not LeftOutSpan.objects.exists()
    assert not EndedRoot.objects.exists()


def test_what_is_old_is_forgotten(send: Send) -> None:
    """After a day."""
    send([http(1)])
    left_out.forget("default")
    assert LeftOutSpan.objects.count() == 1
    for model_class in (LeftOutSpan, EndedRoot):
        model_class.objects.update(stored_at=AT - timedelta(days=2))
    left_out.forget("default")
    assert not LeftOutSpan.objects.exists()
    assert not EndedRoot.objects.exists()
