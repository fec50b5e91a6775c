"""Agents, models and steps as blocks, and as starts and ends by id."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from tests.events.test_spans import nodes
from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.events.spans import Spans
from trace_streaming.exceptions import NonCanonicalEventError
from trace_streaming.testing import capture_events

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def events(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    with capture_events() as captured:
        yield captured


def shape(events: list[dict[str, Any]]) -> list[Any]:
    """Kind, name, outcome and what is inside."""

    def without_times(tree: list[list[Any]]) -> list[Any]:
        return [(kind, name, outcome, without_times(inside)) for kind, name, outcome, _, inside in tree]

    return without_times(nodes(Spans(events).roots()))


def test_blocks_nest_in_each_other(events: list[dict[str, Any]]) -> None:
    """An agent calls a model, a tool, and in the tool a step with another model; what stands alone says where it is."""
    emitter = TraceEmitter("t")
    with emitter.agent("researcher") as run:
        emitter.emit("plan_created", {"goal": "g"})
        with emitter.llm_call("gpt-5", provider="openai"):
            pass
        with emitter.tool_call("search"), emitter.step("rerank", kind="rerank"):
            emitter.emit("route_decision", {"agent_selected": "x"})
            with emitter.llm_call("small"):
                pass
        run.result = "done"
    assert shape(events) == [
        (
            *("agent", "researcher", "ok"),
            [
                ("plan", "", "", []),
                ("llm", "gpt-5", "ok", []),
                (
                    *("tool", "search", "ok"),
                    [("step", "rerank", "ok", [("route", "x", "", []), ("llm", "small", "ok", [])])],
                ),
            ],
        )
    ]
    assert events[-1]["details"]["result"] == "done"
    assert events[0]["details"]["gen_ai.agent.name"] == "researcher"


@pytest.mark.parametrize("name", ["plan_created", "route_decision", "budget_warning", "approval_requested"])
def test_what_stands_alone_says_what_it_is_inside_of(events: list[dict[str, Any]], name: str) -> None:
    """Unless the caller has said it, or the block is another trace's."""
    emitter = TraceEmitter()
    with emitter.agent("a") as run, TraceEmitter().agent("of another trace"):
        emitter.emit(name)
        emitter.emit(name, {"parent_call_id": "mine"})
        emitter.emit("tool_call_start", {"tool": "t"})
    emitter.emit(name)
    told = [event["details"].get("parent_call_id") for event in events if event["event"] in (name, "tool_call_start")]
    assert told == [run.call_id, "mine", None, None]


def test_budgets_and_approvals_are_inside_of_their_agent(events: list[dict[str, Any]]) -> None:
    """What the emitter's own helpers emit, too."""
    emitter = TraceEmitter()
    with emitter.agent("a") as run:
        emitter.budget(10).spend(9)
    assert events[1]["event"] == "budget_warning"
    assert events[1]["details"]["parent_call_id"] == run.call_id


def test_a_model_call_speaks_the_words_of_the_conventions(events: list[dict[str, Any]]) -> None:
    """The end does not repeat the start, and what it is not told it does not say."""
    with TraceEmitter().llm_call(
        "gpt-5", provider="openai", messages=[{"role": "user", "content": "Hi"}], seed=7
    ) as call:
        call.first_chunk()
        call.usage(input_tokens=10, output_tokens=3, cached_tokens=4, reasoning_tokens=1, cost=0.01).finish("stop")
        call.response_model, call.result = "gpt-5-2026", "Hello"
    start, end = (event["details"] for event in events)
    assert start == {
        "name": "gpt-5",
        "call_id": call.call_id,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.provider.name": "openai",
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
        "gen_ai.request.seed": 7,
    }
    assert end.pop("duration_ms") >= 1000 * end.pop("gen_ai.response.time_to_first_chunk") >= 0
    assert end == {
        "name": "gpt-5",
        "call_id": call.call_id,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "gen_ai.usage.cost": 0.01,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.model": "gpt-5-2026",
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
        ],
    }


def test_messages_of_clients_become_those_of_the_conventions(events: list[dict[str, Any]]) -> None:
    """A role and parts; calls of tools, their answers, and what is one already."""
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}
    mine = {"role": "user", "parts": [{"type": "text", "content": "as it is"}]}
    sent = [
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}, {"type": "image", "data": "x"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        mine,
        "a text",
    ]
    with TraceEmitter().llm_call("m", messages=sent):
        pass
    assert events[0]["details"]["gen_ai.input.messages"] == [
        {
            "role": "system",
            "parts": [{"type": "text", "content": "Be kind."}, {"type": "image", "data": "x"}],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "search", "arguments": {"q": 1}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "found"}]},
        mine,
        {"role": "user", "parts": [{"type": "text", "content": "a text"}]},
    ]


async def test_asynchronous_blocks_nest_across_tasks(events: list[dict[str, Any]]) -> None:
    """Tasks that an agent starts are inside of it, each with its own calls."""
    emitter = TraceEmitter()
    together = asyncio.Barrier(2)

    async def branch(name: str) -> None:
        async with emitter.step(name):
            await together.wait()
            async with emitter.llm_call(f"{name}.model"):
                await together.wait()

    async with emitter.agent("root"):
        await asyncio.gather(branch("a"), branch("b"))
    inside: list[Any] = [("step", name, "ok", [("llm", f"{name}.model", "ok", [])]) for name in "ab"]
    assert shape(events) == [("agent", "root", "ok", inside)]


@pytest.mark.parametrize("family", ["agent", "llm_call", "step", "tool_call"])
@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (ValueError("no"), "error", "error"),
        (asyncio.CancelledError(), "cancelled", "warning"),
        (GeneratorExit(), "abandoned", "warning"),
        (KeyboardInterrupt(), "error", "error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_passes_a_block_is_its_outcome(
    events: list[dict[str, Any]], family: str, error: BaseException, outcome: str, status: str
) -> None:
    """A cancellation and a generator's end are no failures, in every kind of block."""
    with pytest.raises(type(error)), getattr(TraceEmitter(), family)("x"):
        raise error
    assert shape(events)[0][2] == outcome
    assert events[1]["status"] == status
    assert ("error_type" in events[1]["details"]) == (outcome == "error")


@pytest.mark.parametrize("outcome", ["interrupted", "cancelled", "abandoned", "triggered"])
def test_an_outcome_is_neither_success_nor_failure(events: list[dict[str, Any]], outcome: str) -> None:
    """The signals count it as neither, and know nothing of its time."""
    emitter = TraceEmitter()
    with emitter.tool_call("a") as call:
        call.outcome = outcome
    with emitter.tool_call("b"):
        pass
    found = emitter.get_golden_signals()
    assert (events[1]["event"], events[1]["status"]) == ("tool_call_complete", "warning")
    assert (found["total_steps"], found["errors"], found["success_rate"]) == (1, 0, 1.0)
    assert found["latency"]["p99"] == events[3]["details"]["duration_ms"]


def test_an_outcome_that_is_none_is_the_callers_mistake() -> None:
    """Readers know four."""
    emitter = TraceEmitter()
    with pytest.raises(ValueError, match="Not an outcome: sunny"), emitter.step("x") as step:
        step.outcome = "sunny"
    with pytest.raises(ValueError, match="Not an outcome: sunny"):
        emitter.close_span("step", "x", outcome="sunny")


def deep(number: int) -> None:
    if number == 0:
        raise ValueError("ada@example.com has the password=hunter2-xyz")
    deep(number - 1)


def test_an_error_keeps_where_it_came_from_redacted_and_short(events: list[dict[str, Any]]) -> None:
    """Its kind, its text, and the end of its traceback, at most 8 KiB. Invariant 4."""
    for depth in (1, 900):
        with pytest.raises(ValueError, match="ada"), TraceEmitter().step("x"):
            deep(depth)
    for details in (events[1]["details"], events[3]["details"]):
        assert details["error_type"] == "ValueError"
        assert "in deep" in details["traceback"]
        assert details["traceback"].rstrip().splitlines()[-1].startswith("ValueError: [redacted:email]")
        assert len(details["traceback"].encode()) <= 8192
    assert "hunter2" not in str(events)
    assert "ada@" not in str(events)


def test_a_traceback_of_secrets_has_at_most_8_kib(events: list[dict[str, Any]]) -> None:
    """Also where what replaces them is longer than they are."""
    with pytest.raises(ValueError, match="a@b"), TraceEmitter().step("x"):
        raise ValueError("\n".join(["write to a@b.co"] * 900))
    assert 1000 < len(events[1]["details"]["traceback"].encode()) <= 8192
    assert "a@b" not in events[1]["details"]["traceback"]


def test_tracebacks_can_be_turned_off(events: list[dict[str, Any]], settings: Settings) -> None:
    """Code may be nobody's business."""
    settings.TRACE_STREAMING_TRACEBACKS = False
    with pytest.raises(ValueError, match="no"), TraceEmitter().step("x"):
        raise ValueError("no")
    assert events[1]["details"].items() >= {"error": "no", "error_type": "ValueError"}.items()
    assert "traceback" not in events[1]["details"]


def test_a_project_that_has_not_declared_the_names_is_told_how(settings: Settings) -> None:
    """At the line that needs them."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    with pytest.raises(NonCanonicalEventError, match="AGENT_EVENTS"), TraceEmitter().agent("a"):
        pass


def test_spans_are_opened_and_closed_by_id(events: list[dict[str, Any]]) -> None:
    """By adapters: in any order and thread, with parents, details and times of their own."""
    emitter = TraceEmitter()
    emitter.open_span("step", "span", call_id="m", parent_call_id="a", timestamp=NOON + timedelta(seconds=1))
    emitter.open_span("agent", "solo", call_id="a", details={"gen_ai.agent.name": "solo"}, timestamp=NOON)
    end = NOON + timedelta(seconds=3)
    closing = threading.Thread(
        target=lambda: emitter.close_span("llm_call", "m", name="gpt-5", details={"extra": 1}, timestamp=end)
    )
    closing.start()
    closing.join()
    emitter.close_span("agent", "a", outcome="interrupted", timestamp=end)
    emitter.close_span("tool_call", "early", name="search", error="refused", duration_ms=4, timestamp=end)
    assert emitter.open_span("tool_call", "search", call_id="early") == "early"
    assert nodes(Spans(events).roots())[0] == [
        *("agent", "solo", "interrupted", 3000.0),
        [["llm", "gpt-5", "ok", 2000.0, []]],
    ]
    assert events[2]["details"]["extra"] == 1
    assert nodes(Spans(events).roots())[1] == ["tool", "search", "error", 4, []]
    with pytest.raises(ValueError, match="Not a kind of span: chain"):
        emitter.open_span("chain", "x")


def test_a_span_without_a_parent_is_inside_of_the_block_that_runs(events: list[dict[str, Any]]) -> None:
    """A framework that runs inside of a tool of ours is part of it."""
    emitter = TraceEmitter()
    with emitter.tool_call("ask the framework"):
        call_id = emitter.open_span("agent", "inner")
        emitter.close_span("agent", call_id, error=asyncio.CancelledError())
    assert shape(events) == [("tool", "ask the framework", "ok", [("agent", "inner", "cancelled", [])])]


def test_a_time_without_a_zone_is_refused() -> None:
    """Nobody knows when that was."""
    emitter = TraceEmitter()
    with pytest.raises(ValueError, match="Bad timestamp"):
        emitter.emit("plan_created", timestamp=datetime(2026, 1, 5))
    with pytest.raises(ValueError, match="Bad timestamp"):
        emitter.end(timestamp=datetime(2026, 1, 5))
    assert (emitter.events, emitter.ended) == ([], False)


def test_times_of_their_own_make_the_duration() -> None:
    """From the first to the end; and never below nothing."""
    emitter = TraceEmitter()
    emitter.emit("plan_created", timestamp=NOON)
    emitter.emit("plan_created", timestamp=NOON - timedelta(seconds=2))
    assert emitter.get_duration_ms() == 2000
    emitter.end(timestamp=NOON + timedelta(seconds=5))
    assert emitter.get_duration_ms() == 7000
    assert emitter.get_trace()[0]["timestamp"].startswith("2026-01-05T12:00:00")
    backwards = TraceEmitter()
    backwards.emit("plan_created", timestamp=NOON)
    backwards.end(timestamp=NOON - timedelta(days=2))
    assert backwards.get_duration_ms() == 0
