"""Pydantic AI's runs with scripted models: shapes that an adapter must survive. Each takes the adapter."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults


def scripted(*turns: Any) -> FunctionModel:
    """Each turn: a text, a list of (tool, args, id), or an exception."""
    left = list(turns)

    def respond(messages, info) -> ModelResponse:
        turn = left.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        if isinstance(turn, str):
            return ModelResponse(parts=[TextPart(turn)])
        return ModelResponse(parts=[ToolCallPart(n, a, tool_call_id=i) for n, a, i in turn])

    async def stream(messages, info):
        turn = left.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        if isinstance(turn, str):
            for word in turn.split():
                await asyncio.sleep(0.002)
                yield word + " "
        else:
            import json

            yield {n: DeltaToolCall(name, json.dumps(args), tool_call_id=i) for n, (name, args, i) in enumerate(turn)}

    return FunctionModel(respond, stream_function=stream, model_name="fake-1")


def agent(model: Any, capabilities: list[Any] | None, **kw: Any) -> Agent:
    made = Agent(model, name=kw.pop("name", "solo"), capabilities=capabilities or [], **kw)

    @made.tool_plain
    async def lookup(key: str) -> str:
        """Look up."""
        await asyncio.sleep(0.02)
        return f"value of {key}"

    @made.tool_plain
    def slow_sync(key: str) -> str:
        """Synchronous: runs in a thread."""
        time.sleep(0.02)
        return f"{threading.current_thread().name != 'MainThread'}:{key}"

    @made.tool_plain
    def broken(x: int) -> str:
        """Fails, and the run with it."""
        raise ValueError(f"no such row {x}")

    @made.tool_plain(retries=2)
    def picky(x: int) -> str:
        """Asks the model to try again."""
        if x < 2:
            raise ModelRetry("x must be 2 or more")
        return f"ok {x}"

    @made.tool_plain(requires_approval=True)
    def send_mail(to: str) -> str:
        """Needs a human."""
        return f"sent to {to}"

    return made


async def sequential(capabilities: Any = None) -> Any:
    return (
        await agent(scripted([("lookup", {"key": "a"}, "c1")], "done"), capabilities).run(
            "go", conversation_id="conversation-1", metadata={"user": "u1"}
        )
    ).output


async def parallel(capabilities: Any = None) -> Any:
    return (
        await agent(
            scripted(
                [("lookup", {"key": "a"}, "c1"), ("lookup", {"key": "b"}, "c2"), ("slow_sync", {"key": "c"}, "c3")],
                "done",
            ),
            capabilities,
        ).run("go")
    ).output


async def tool_error(capabilities: Any = None) -> Any:
    try:
        return (await agent(scripted([("broken", {"x": 3}, "c1")], "sorry"), capabilities).run("go")).output
    except ValueError as error:
        return f"raised {error}"


async def tool_retry(capabilities: Any = None) -> Any:
    return (
        await agent(scripted([("picky", {"x": 1}, "c1")], [("picky", {"x": 2}, "c2")], "done"), capabilities).run("go")
    ).output


async def model_error(capabilities: Any = None) -> Any:
    try:
        return (await agent(scripted(ConnectionError("down")), capabilities).run("go")).output
    except ConnectionError as error:
        return f"raised {error}"


async def subagent(capabilities: Any = None) -> Any:
    inner = agent(scripted([("lookup", {"key": "z"}, "i1")], "inner answer"), capabilities, name="researcher")
    outer = agent(scripted([("research", {"question": "q"}, "o1")], "final"), capabilities, name="supervisor")

    @outer.tool
    async def research(ctx: RunContext, question: str) -> str:
        """Delegate."""
        return (await inner.run(question, usage=ctx.usage)).output

    return (await outer.run("go")).output


async def streaming(capabilities: Any = None) -> Any:
    async with agent(scripted([("lookup", {"key": "a"}, "c1")], "one two three"), capabilities).run_stream(
        "go"
    ) as result:
        return [text async for text in result.stream_text(delta=True, debounce_by=None)]


async def cancelled(capabilities: Any = None) -> Any:
    made = agent(scripted([("forever", {"x": 1}, "c1")]), capabilities)
    begun = asyncio.Event()

    @made.tool_plain
    async def forever(x: int) -> str:
        """Takes long."""
        begun.set()
        await asyncio.sleep(60)
        return ""

    task = asyncio.create_task(made.run("go"))
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"


async def human_deferred(capabilities: Any = None) -> Any:
    """The run ends with DeferredToolRequests; a second run goes on with the decisions."""
    made = agent(
        scripted([("send_mail", {"to": "bob"}, "c1")], "sent"), capabilities, output_type=[str, DeferredToolRequests]
    )
    first = await made.run("mail bob")
    asked = [(c.tool_name, c.args, c.tool_call_id) for c in first.output.approvals]
    second = await made.run(
        message_history=first.all_messages(), deferred_tool_results=DeferredToolResults(approvals={"c1": True})
    )
    return {"asked": asked, "last": second.output}


SCENARIOS = {
    f.__name__: f
    for f in (sequential, parallel, tool_error, tool_retry, model_error, subagent, streaming, cancelled, human_deferred)
}
