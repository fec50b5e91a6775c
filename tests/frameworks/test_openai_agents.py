"""What the OpenAI Agents SDK does beside the recorded scenarios, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunConfig,
    Runner,
    function_tool,
    input_guardrail,
    set_trace_processors,
    trace,
)
from agents.exceptions import InputGuardrailTripwireTriggered, MaxTurnsExceeded
from agents.tracing import get_trace_provider

from tests.frameworks.scenarios.openai_agents import ScriptedModel, call, lookup, send_mail, text
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.testing import capture_events

GOES_ON = RunConfig(workflow_name="case", group_id="conversation-1")


@pytest.fixture(autouse=True)
def _not_stored() -> Iterator[None]:
    with capture_events():
        yield
    set_trace_processors([])


async def run(agent: Any, said: Any, hooks: Any, **options: Any) -> Any:
    return await Runner.run(agent, said, hooks=hooks, run_config=options.pop("run_config", GOES_ON), **options)


@input_guardrail
async def trips(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="", tripwire_triggered=True)


@function_tool
async def nothing(x: int) -> None:
    """Returns nothing."""


async def tripped_guardrail(hooks: Any) -> None:
    agent = Agent("solo", model=ScriptedModel([text("hi")]), input_guardrails=[trips])
    with pytest.raises(InputGuardrailTripwireTriggered):
        await run(agent, "go", hooks)


async def cancelled(hooks: Any) -> None:
    begun = asyncio.Event()

    @function_tool
    async def forever(x: int) -> str:
        """Takes long."""
        begun.set()
        await asyncio.sleep(60)
        return ""

    agent = Agent("solo", model=ScriptedModel([call("forever", "c1", x=1)]), tools=[forever])
    task = asyncio.create_task(run(agent, "go", hooks))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while len(asyncio.all_tasks()) > 1:  # the tool ends behind the trace
        await asyncio.sleep(0)


async def too_many_turns(hooks: Any) -> None:
    turns = [[call("lookup", f"c{n}", key="x")] for n in range(5)]
    with pytest.raises(MaxTurnsExceeded):
        await run(Agent("solo", model=ScriptedModel(*turns), tools=[lookup]), "go", hooks, max_turns=1)


async def tool_without_a_result(hooks: Any) -> None:
    agent = Agent("solo", model=ScriptedModel([call("nothing", "c1", x=1)], [text("done")]), tools=[nothing])
    await run(agent, "go", hooks)


async def stops_with_a_tool(hooks: Any) -> None:
    model = ScriptedModel([call("lookup", "c1", key="k")])
    await run(Agent("solo", model=model, tools=[lookup], tool_use_behavior="stop_on_first_tool"), "go", hooks)


async def rejected(hooks: Any) -> None:
    agent = Agent("solo", model=ScriptedModel([call("send_mail", "c1", to="bob")], [text("well")]), tools=[send_mail])
    first = await run(agent, "mail bob", hooks)
    state = first.to_state()
    state.reject(first.interruptions[0])
    await run(agent, state, hooks)


async def asked_for_two(hooks: Any) -> None:
    model = ScriptedModel([call("send_mail", "c1", to="bob"), call("send_mail", "c2", to="al")], [text("sent")])
    agent = Agent("solo", model=model, tools=[send_mail])
    result = await run(agent, "mail both", hooks)
    while result.interruptions:
        state = result.to_state()
        state.approve(result.interruptions[0])
        result = await run(agent, state, hooks)


async def asked_inside_of_a_tool(hooks: Any) -> None:
    inner_model = ScriptedModel([call("send_mail", "i1", to="bob")], [text("sent")])
    inner = Agent("inner", model=inner_model, tools=[send_mail])
    model = ScriptedModel([call("research", "o1", input="q")], [text("final")])
    outer = Agent("outer", model=model, tools=[inner.as_tool("research", "Research.")])
    first = await run(outer, "mail bob", hooks)
    state = first.to_state()
    state.approve(first.interruptions[0])
    await run(outer, state, hooks)


async def goes_on_as_another_workflow(hooks: Any) -> None:
    agent = Agent("solo", model=ScriptedModel([call("send_mail", "c1", to="bob")], [text("sent")]), tools=[send_mail])
    first = await run(agent, "mail bob", hooks)
    state = first.to_state()
    state.approve(first.interruptions[0])
    await run(agent, state, hooks, run_config=RunConfig(workflow_name="other", group_id="conversation-1"))


async def two_runs_in_a_trace(hooks: Any) -> None:
    with trace("flow", group_id="g"):
        await run(Agent("a", model=ScriptedModel([text("x")])), "1", hooks)
        await run(Agent("b", model=ScriptedModel([text("x")])), "2", hooks)


SHAPES: dict[Callable[[Any], Awaitable[None]], str] = {
    tripped_guardrail: """
        agent solo error
          step trips triggered""",
    cancelled: """
        agent solo cancelled
          llm fake-1 ok
          tool forever cancelled""",
    too_many_turns: """
        agent solo error
          llm fake-1 ok
          tool lookup ok""",
    tool_without_a_result: """
        agent solo ok
          llm fake-1 ok
          tool nothing ok
          llm fake-1 ok""",
    stops_with_a_tool: """
        agent solo ok
          llm fake-1 ok
          tool lookup ok""",
    rejected: """
        agent solo interrupted
          llm fake-1 ok
          approval send_mail rejected
        agent solo ok
          llm fake-1 ok""",
    asked_for_two: """
        agent solo interrupted
          llm fake-1 ok
          approval send_mail resumed
          approval send_mail resumed
        agent solo interrupted
          tool send_mail ok
        agent solo ok
          tool send_mail ok
          llm fake-1 ok""",
    asked_inside_of_a_tool: """
        agent outer interrupted
          llm fake-1 ok
          tool research interrupted
            agent inner interrupted
              llm fake-1 ok
              tool send_mail interrupted
              approval send_mail resumed
        agent outer ok
          tool research ok
            agent inner ok
              tool send_mail ok
              llm fake-1 ok
          llm fake-1 ok""",
    goes_on_as_another_workflow: """
        agent solo interrupted
          llm fake-1 ok
          approval send_mail resumed
        agent solo ok
          tool send_mail ok
          llm fake-1 ok""",
    two_runs_in_a_trace: """
        agent a ok
          llm fake-1 ok
        agent b ok
          llm fake-1 ok""",
}
WITHOUT_HOOKS = "  tool send_mail interrupted"


async def played(shape: Callable[[Any], Awaitable[None]], *, with_hooks: bool = True, **options: Any) -> TraceEmitter:
    emitter = TraceEmitter()
    processor = TraceProcessor(emitter, **options)
    set_trace_processors([processor])
    await shape(processor.hooks if with_hooks else None)
    assert not processor._runs._open
    assert not processor._runs._roots
    return emitter


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_other_shapes_are_trees_too(shape: Callable[[Any], Awaitable[None]]) -> None:
    """And nothing of a run is remembered behind its end."""
    found = tree((await played(shape)).events)
    assert found == parsed(SHAPES[shape]), shown(found)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_without_hooks_a_tool_that_waits_is_interrupted(shape: Callable[[Any], Awaitable[None]]) -> None:
    """Nobody says that it has not begun; all else is the same."""
    found = shown(tree((await played(shape, with_hooks=False)).events)).splitlines()
    expected = shown(parsed(SHAPES[shape])).splitlines()
    if shape is not asked_inside_of_a_tool:  # where hooks are not called anyway
        found = [line for line in found if line != WITHOUT_HOOKS]
    assert found == expected


async def test_a_models_call_has_messages_tokens_and_why_it_stopped() -> None:
    """Of the SDK's items, in the words of the conventions; the agent has its answer."""

    async def shape(hooks: Any) -> None:
        model = ScriptedModel([call("lookup", "c1", key="a")], [text("done")])
        await run(Agent("solo", model=model, tools=[lookup]), "go", hooks)

    details = [event["details"] for event in (await played(shape)).events]
    assert details[0]["gen_ai.conversation.id"] == "conversation-1"
    start, end, tool, result = details[1:5]
    assert (start["gen_ai.request.model"], start["gen_ai.request.temperature"]) == ("fake-1", 0.0)
    assert (end["gen_ai.usage.input_tokens"], end["gen_ai.usage.output_tokens"]) == (11, 7)
    assert end["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert end["gen_ai.input.messages"][0]["role"] == "user"
    said = {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"key": "a"}}
    assert end["gen_ai.output.messages"] == [{"role": "assistant", "parts": [said]}]
    assert (tool["args"], tool["gen_ai.tool.call.id"]) == ({"key": "a"}, "c1")
    assert result["result"] == "value of a"
    assert (details[-1]["result"], details[-1]["tools"]) == ("done", ["lookup"])


@pytest.mark.parametrize(("sensitive", "contents"), [(False, True), (True, False)])
async def test_what_is_sensitive_is_left_out_where_either_says_so(sensitive: bool, contents: bool) -> None:
    """The SDK's own switch, or the adapter's; numbers and names stay."""

    async def shape(hooks: Any) -> None:
        model = ScriptedModel([call("lookup", "c1", key="the-secret")], [text("the-secret")])
        config = RunConfig(trace_include_sensitive_data=sensitive)
        await run(Agent("solo", model=model, tools=[lookup]), "the-secret", hooks, run_config=config)

    events = (await played(shape, contents=contents)).events
    assert "the-secret" not in repr(events)
    assert [event["event"] for event in events].count("tool_call_complete") == 1
    assert events[2]["details"]["gen_ai.usage.input_tokens"] == 11


async def test_the_start_of_a_tool_comes_with_its_arguments_while_it_runs() -> None:
    """With hooks; without, its start comes all the same."""
    for with_hooks in (True, False):
        emitter = TraceEmitter()
        seen: list[Any] = []

        @function_tool
        async def look(key: str) -> str:
            """Looks at what was told of it."""
            seen.append(emitter.events[-1])  # noqa: B023  at once
            return ""

        processor = TraceProcessor(emitter)
        set_trace_processors([processor])
        agent = Agent("solo", model=ScriptedModel([call("look", "c1", key="a")], [text("done")]), tools=[look])
        await run(agent, "go", processor.hooks if with_hooks else None)
        assert seen[0]["event"] == "tool_call_start"
        assert seen[0]["details"].get("args") == ({"key": "a"} if with_hooks else None)


async def test_other_processors_stay() -> None:
    """The SDK's own exporter is left as it is: ours is one more."""
    from agents import add_trace_processor

    other = TraceProcessor(TraceEmitter())
    set_trace_processors([other])
    add_trace_processor(TraceProcessor(TraceEmitter()))
    assert get_trace_provider()._multi_processor._processors[0] is other


async def test_a_disabled_run_tells_nothing() -> None:
    """Who turns tracing off means it."""

    async def shape(hooks: Any) -> None:
        agent = Agent("solo", model=ScriptedModel([text("x")]))
        await run(agent, "go", hooks, run_config=RunConfig(tracing_disabled=True))

    assert (await played(shape)).events == []
