"""Agents of real frameworks that are to mail somebody, and ask a human first; and the ways to run them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from agents import Agent as OpenAIAgent
from agents import RunConfig, function_tool, set_trace_processors
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt
from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ToolReturnPart
from pydantic_ai.tools import DeferredToolRequests

from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from trace_streaming import TraceEmitter
from trace_streaming.integrations import langchain as ours_langchain
from trace_streaming.integrations import openai_agents as ours_openai
from trace_streaming.integrations import pydantic_ai as ours_pydantic

Sent = list[str]
Outcome = tuple[Sent, str]
"""To whom was sent, and what the model was told."""


def graph_with_middleware(mode: str, sent: Sent, *more: Any) -> Any:
    @tool
    def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    review = HumanInTheLoopMiddleware(
        {"send_mail": {"allowed_decisions": ["approve", "edit", "reject", "respond"]}}, interrupt_mode=mode
    )
    script = langgraph.model(langgraph.says("", ("send_mail", {"to": "bob"}, "c1"), *more), langgraph.says("done"))
    return create_agent(script, [send_mail], middleware=[review], checkpointer=InMemorySaver(), name="solo")


def graph_of_its_own(sent: Sent) -> Any:
    @tool
    def send_mail(to: str) -> str:
        """Ask, and send."""
        said = interrupt({"action": "send_mail", "to": to})
        if "args" not in said:
            return said.get("message") or "no"
        sent.append(said["args"]["to"])
        return f"sent to {said['args']['to']}"

    script = langgraph.model(langgraph.says("", ("send_mail", {"to": "bob"}, "c1")), langgraph.says("done"))
    return create_agent(script, [send_mail], checkpointer=InMemorySaver(), name="solo")


THREAD: Any = {"configurable": {"thread_id": "t"}}


def told_by(result: Any) -> str:
    return " | ".join(each.text for each in result["messages"] if isinstance(each, ToolMessage))


def with_graph(graph: Any, sent: Sent, is_async: bool, **options: Any) -> Outcome:
    if is_async:
        done = asyncio.run(ours_langchain.arun_with_approvals(graph, langgraph.ask("mail bob"), THREAD, **options))
    else:
        done = ours_langchain.run_with_approvals(graph, langgraph.ask("mail bob"), THREAD, **options)
    return sent, told_by(done)


def with_langchain(is_async: bool, **options: Any) -> Outcome:
    return with_graph(graph_with_middleware("batched", sent := Sent()), sent, is_async, **options)


def with_langchain_call_by_call(is_async: bool, **options: Any) -> Outcome:
    return with_graph(graph_with_middleware("per_call", sent := Sent()), sent, is_async, **options)


def with_langgraph(is_async: bool, **options: Any) -> Outcome:
    return with_graph(graph_of_its_own(sent := Sent()), sent, is_async, **options)


def with_langchain_streamed(is_async: bool, **options: Any) -> Outcome:
    """Each piece is the graph's state; the last one of all counts."""
    graph = graph_with_middleware("batched", sent := Sent())
    given: Any = graph, langgraph.ask("mail bob"), THREAD
    options |= {"stream_mode": "values"}

    async def read() -> list[Any]:
        return [each async for each in ours_langchain.astream_with_approvals(*given, **options)]

    pieces = asyncio.run(read()) if is_async else list(ours_langchain.stream_with_approvals(*given, **options))
    return sent, told_by(pieces[-1])


def openai_agent(sent: Sent) -> Any:
    @function_tool(needs_approval=True)
    async def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    script = openai_agents.ScriptedModel(
        [openai_agents.call("send_mail", "c1", to="bob")], [openai_agents.text("done")]
    )
    return OpenAIAgent("solo", model=script, tools=[send_mail])


def outputs(result: Any) -> str:
    return " | ".join(each["output"] for each in result.to_input_list() if each.get("type") == "function_call_output")


def openai_options(options: dict[str, Any]) -> dict[str, Any]:
    set_trace_processors([processor := ours_openai.TraceProcessor()])
    return options | {"hooks": processor.hooks, "run_config": RunConfig(workflow_name="solo")}


def with_openai_agents(is_async: bool, **options: Any) -> Outcome:
    agent, options = openai_agent(sent := Sent()), openai_options(options)
    if is_async:
        done = asyncio.run(ours_openai.arun_with_approvals(agent, "mail bob", **options))
    else:
        with asyncio.Runner() as runner:  # run_sync finds its loop, and leaves it open
            asyncio.set_event_loop(runner.get_loop())
            done = ours_openai.run_with_approvals(agent, "mail bob", **options)
            asyncio.set_event_loop(None)
    return sent, outputs(done)


def with_openai_agents_streamed(is_async: bool, **options: Any) -> Outcome:
    """The SDK streams in event loops alone."""
    agent, options = openai_agent(sent := Sent()), openai_options(options)

    async def read() -> Any:
        async for result in ours_openai.astream_with_approvals(agent, "mail bob", **options):
            async for _ in result.stream_events():
                pass
        return result

    return sent, outputs(asyncio.run(read()))


def pydantic_agent(sent: Sent, *capabilities: Any, **options: Any) -> Any:
    turns = [("send_mail", {"to": "bob"}, "c1")], "done"
    agent = Agent(pydantic_ai.scripted(*turns), name="solo", capabilities=capabilities, **options)

    @agent.tool_plain(requires_approval=True)
    def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    return agent


def returned(messages: Any) -> str:
    parts = [part for each in messages if isinstance(each, ModelRequest) for part in each.parts]
    return " | ".join(str(part.content) for part in parts if isinstance(part, ToolReturnPart))


def with_pydantic_ai(is_async: bool, **options: Any) -> Outcome:
    agent = pydantic_agent(sent := Sent(), ours_pydantic.TraceCapability(approvals=True, **options))
    if is_async:
        done = asyncio.run(agent.run("mail bob"))
    else:
        with asyncio.Runner() as runner:
            asyncio.set_event_loop(runner.get_loop())
            done = agent.run_sync("mail bob")
            asyncio.set_event_loop(None)
    return sent, returned(done.all_messages())


def with_pydantic_ai_streamed(is_async: bool, **options: Any) -> Outcome:
    """It ends its stream at a tool that needs approval: another goes on with what is decided."""
    capability = ours_pydantic.TraceCapability(approvals=True, wait=False, **options)
    agent = pydantic_agent(sent := Sent(), capability, output_type=[str, DeferredToolRequests])

    async def read() -> Any:
        async with TraceEmitter(name="solo"):
            async with agent.run_stream("mail bob") as result:
                asked: Any = await result.get_output(), result.all_messages()
            decided = await ours_pydantic.adeferred_results(*asked, **options)
            async with agent.run_stream(message_history=asked[1], deferred_tool_results=decided) as result:
                await result.get_output()
        return result.all_messages()

    return sent, returned(asyncio.run(read()))


def with_pydantic_ai_iterated(is_async: bool, **options: Any) -> Outcome:
    """Node by node."""
    agent = pydantic_agent(sent := Sent(), ours_pydantic.TraceCapability(approvals=True, **options))

    async def read() -> Any:
        async with agent.iter("mail bob") as run:
            async for _ in run:
                pass
        return run.all_messages()

    return sent, returned(asyncio.run(read()))


def with_pydantic_ai_events(is_async: bool, **options: Any) -> Outcome:
    """Event by event; the last one has the result."""
    agent = pydantic_agent(sent := Sent(), ours_pydantic.TraceCapability(approvals=True, **options))

    async def read() -> Any:
        async with agent.run_stream_events("mail bob") as events:
            return [each async for each in events][-1].result.all_messages()

    return sent, returned(asyncio.run(read()))


def with_pydantic_ai_deferred(is_async: bool, **options: Any) -> Outcome:
    """The run ends with what it asks for, and another goes on with what is decided."""
    capability = ours_pydantic.TraceCapability(approvals=True, wait=False, **options)
    agent = pydantic_agent(sent := Sent(), capability, output_type=[str, DeferredToolRequests])

    async def run() -> Any:
        async with TraceEmitter(name="solo"):
            first = await agent.run("mail bob")
            asked: Any = first.output, first.all_messages()
            if is_async:
                decided = await ours_pydantic.adeferred_results(*asked, **options)
            else:
                decided = await asyncio.to_thread(ours_pydantic.deferred_results, *asked, **options)
            return await agent.run(message_history=asked[1], deferred_tool_results=decided)

    return sent, returned(asyncio.run(run()).all_messages())


class Way(NamedTuple):
    """An agent, and how it is run: in an event loop or without."""

    loop: Callable[..., Outcome]
    is_async: bool

    def __str__(self) -> str:
        return f"{self.loop.__name__}-{'async' if self.is_async else 'sync'}"

    def run(self, **options: Any) -> Outcome:
        """As often as it asks."""
        return self.loop(self.is_async, **options)


IN_BOTH = (
    *(with_langchain, with_langchain_call_by_call, with_langchain_streamed, with_langgraph),
    *(with_openai_agents, with_pydantic_ai, with_pydantic_ai_deferred),
)
IN_LOOPS = (
    *(with_openai_agents_streamed, with_pydantic_ai_streamed, with_pydantic_ai_iterated, with_pydantic_ai_events),
)
WAYS = [
    *(Way(loop, is_async) for loop in IN_BOTH for is_async in (False, True)),
    *(Way(loop, True) for loop in IN_LOOPS),
]
