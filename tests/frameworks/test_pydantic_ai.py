"""What Pydantic AI does beside the recorded scenarios, and what is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ApprovalRequired, RunContext, ToolDenied
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from tests.frameworks.scenarios.pydantic_ai import agent, scripted
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter
from trace_streaming.integrations.pydantic_ai import TraceCapability
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def _not_stored() -> Iterator[None]:
    with capture_events():
        yield


class Answer(BaseModel):
    number: int


async def bad_arguments(mine: Any) -> Any:
    turns = [[("picky", {"x": "no"}, "c1")], [("picky", {"x": 2}, "c2")], "done"]
    return (await agent(scripted(*turns), [mine]).run("go")).output


async def structured_answer(mine: Any) -> Any:
    turns = [[("final_result", {"number": "bad"}, "c1")], [("final_result", {"number": 3}, "c2")]]
    return (await agent(scripted(*turns), [mine], output_type=Answer).run("go")).output


async def one_approved_and_one_denied(mine: Any) -> Any:
    calls = [("send_mail", {"to": "bob"}, "c1"), ("send_mail", {"to": "al"}, "c2")]
    made = agent(scripted(calls, "sent"), [mine], output_type=[str, DeferredToolRequests])
    first = await made.run("mail both")
    decided = DeferredToolResults(approvals={"c1": True, "c2": ToolDenied("no")})
    return await made.run(message_history=first.all_messages(), deferred_tool_results=decided)


async def tool_that_asks_itself(mine: Any) -> Any:
    made = agent(scripted([("risky", {"x": 1}, "c1")], "sent"), [mine], output_type=[str, DeferredToolRequests])

    @made.tool
    def risky(ctx: RunContext[Any], x: int) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "ok"

    first = await made.run("go")
    decided = DeferredToolResults(approvals={"c1": True})
    return await made.run(message_history=first.all_messages(), deferred_tool_results=decided)


async def decided_at_once(mine: Any) -> Any:
    async def approve(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return DeferredToolResults(approvals={call.tool_call_id: True for call in requests.approvals})

    made = agent(scripted([("send_mail", {"to": "bob"}, "c1")], "sent"), [mine, HandleDeferredToolCalls(approve)])
    return (await made.run("go")).output


async def left_iteration(mine: Any) -> Any:
    made = agent(scripted([("lookup", {"key": "bob"}, "c1")], "done"), [mine])
    async with made.iter("go") as run:
        async for node in run:
            if Agent.is_call_tools_node(node):
                break


async def left_stream(mine: Any) -> Any:
    async with agent(scripted("one two three four"), [mine]).run_stream("go") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            break


async def unknown_tool(mine: Any) -> Any:
    return (await agent(scripted([("nosuch", {"x": 1}, "c1")], "done"), [mine]).run("go")).output


SHAPES: dict[Callable[[Any], Awaitable[Any]], str] = {
    bad_arguments: """
        agent solo ok
          llm fake-1 ok
          tool picky error
          llm fake-1 ok
          tool picky ok
          llm fake-1 ok""",
    structured_answer: """
        agent solo ok
          llm fake-1 ok
          llm fake-1 ok""",
    one_approved_and_one_denied: """
        agent solo interrupted
          llm fake-1 ok
          approval send_mail resumed
          approval send_mail rejected
        agent solo ok
          tool send_mail ok
          llm fake-1 ok""",
    tool_that_asks_itself: """
        agent solo interrupted
          llm fake-1 ok
          tool risky interrupted
          approval risky resumed
        agent solo ok
          tool risky ok
          llm fake-1 ok""",
    decided_at_once: """
        agent solo ok
          llm fake-1 ok
          tool send_mail ok
          llm fake-1 ok""",
    left_iteration: """
        agent solo abandoned
          llm fake-1 ok""",
    left_stream: """
        agent solo abandoned
          llm fake-1 abandoned""",
    unknown_tool: """
        agent solo ok
          llm fake-1 ok
          llm fake-1 ok""",
}


async def played(shape: Callable[[Any], Awaitable[Any]], **options: Any) -> TraceEmitter:
    emitter = TraceEmitter()
    mine = TraceCapability(emitter, **options)
    await shape(mine)
    assert not mine._agents
    assert not mine._models
    return emitter


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_other_shapes_are_trees_too(shape: Callable[[Any], Awaitable[Any]]) -> None:
    """And nothing of a run is remembered behind its end."""
    found = tree((await played(shape)).events)
    assert found == parsed(SHAPES[shape]), shown(found)


async def test_streaming_stays_off() -> None:
    """A model that cannot stream is never asked to."""

    async def shape(mine: Any) -> None:
        model = FunctionModel(scripted("done").function, model_name="fake-1")
        assert (await Agent(model, capabilities=[mine]).run("go")).output == "done"

    assert len((await played(shape)).events) == 4


async def test_streamed_text_is_told_where_a_run_is_streamed_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when its first piece came."""
    pieces: list[str] = []
    monkeypatch.setattr(TraceEmitter, "stream_text", lambda self, call_id, text: pieces.append(text))

    async def shape(mine: Any) -> None:
        async with agent(scripted("one two three"), [mine]).run_stream("go") as result:
            await result.get_output()

    emitter = await played(shape)
    assert "".join(pieces) == "one two three "
    assert emitter.events[2]["details"]["gen_ai.response.time_to_first_chunk"] > 0


async def test_a_models_call_has_messages_tokens_and_why_it_stopped() -> None:
    """In the words of the conventions; instructions are the system's message."""

    async def shape(mine: Any) -> None:
        made = agent(scripted([("lookup", {"key": "a"}, "c1")], "done"), [mine], instructions="Be brief.")
        await made.run("go", conversation_id="conversation-1", model_settings={"temperature": 0.5})

    details = [event["details"] for event in (await played(shape)).events]
    assert details[0]["gen_ai.conversation.id"] == "conversation-1"
    start, end, tool, result = details[1:5]
    assert (start["gen_ai.request.model"], start["gen_ai.request.temperature"]) == ("fake-1", 0.5)
    assert [message["role"] for message in start["gen_ai.input.messages"]] == ["system", "user"]
    assert end["gen_ai.usage.input_tokens"] > 0
    assert end["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert end["gen_ai.output.messages"][0]["parts"][0]["name"] == "lookup"
    assert (tool["args"], tool["gen_ai.tool.call.id"]) == ({"key": "a"}, "c1")
    assert result["result"] == "value of a"
    assert details[5]["history_count"] == 2  # what was sent before is not told again
    assert details[-1]["result"] == "done"


async def test_tokens_are_counted_once() -> None:
    """An agent that shares its usage with one inside of it: the calls of models have them, and no agent."""
    from tests.frameworks.scenarios.pydantic_ai import subagent

    emitter = await played(lambda mine: subagent([mine]))
    told = [event for event in emitter.events if "gen_ai.usage.input_tokens" in event["details"]]
    assert {event["event"] for event in told} == {"llm_call_complete"}
    assert len(told) == 4


async def test_without_contents_nobody_reads_what_was_said() -> None:
    """Names, numbers and sizes alone, of what is asked a human, too."""

    async def shape(mine: Any) -> None:
        calls = [("send_mail", {"to": "the-secret"}, "c1")]
        made = agent(scripted(calls, "the-secret"), [mine], output_type=[str, DeferredToolRequests])
        first = await made.run("the-secret")
        decided = DeferredToolResults(approvals={"c1": True})
        await made.run(message_history=first.all_messages(), deferred_tool_results=decided)

    text = repr((await played(shape, contents=False)).events)
    assert "the-secret" not in text
    assert "args_bytes" in text


async def test_an_agent_inside_of_another_has_its_emitter() -> None:
    """Each with a capability of its own, neither with an emitter: it is one trace."""
    inner = Agent(scripted("inner"), name="inner", capabilities=[TraceCapability()])
    outer = Agent(scripted([("ask", {}, "c1")], "done"), name="outer", capabilities=[TraceCapability()])

    @outer.tool_plain
    async def ask() -> str:
        return (await inner.run("q")).output

    with capture_events() as events:
        await outer.run("go")
    assert len({event["trace_id"] for event in events}) == 1
    found = tree(events)
    assert found == parsed("""
        agent outer ok
          llm fake-1 ok
          tool ask ok
            agent inner ok
              llm fake-1 ok
          llm fake-1 ok"""), shown(found)
