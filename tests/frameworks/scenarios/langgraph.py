"""LangGraph's runs with scripted models: shapes that an adapter must survive. Each takes the adapter."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt


class FakeModel(GenericFakeChatModel):
    """GenericFakeChatModel has no bind_tools; this one says yes to it and keeps its script."""

    model_name: str = "fake-1"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[t.name for t in tools])

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}


def says(text: str = "", *calls: tuple[str, dict[str, Any], str]) -> AIMessage:
    return AIMessage(
        content=text,
        tool_calls=[{"name": n, "args": a, "id": i, "type": "tool_call"} for n, a, i in calls],
        usage_metadata={"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
        response_metadata={"model_name": "fake-1-2026", "finish_reason": "tool_calls" if calls else "stop"},
    )


def model(*messages: AIMessage | BaseException) -> FakeModel:
    def script():
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            yield message

    return FakeModel(messages=script())


@tool
def lookup(key: str) -> str:
    """Look a key up."""
    time.sleep(0.02)
    return f"value of {key}"


@tool
def search(query: str) -> str:
    """Search, with a nested tool call."""
    return "found: " + lookup.invoke({"key": query})  # nested: context carries the parent


@tool
async def weather(city: str) -> str:
    """Weather, asynchronous."""
    await asyncio.sleep(0.02)
    return f"sunny in {city}"


@tool
def broken(x: int) -> str:
    """Always fails."""
    raise ValueError(f"no such row {x}")


@tool
def send_mail(to: str) -> str:
    """Send a mail after a human has agreed."""
    answer = interrupt({"action": "send_mail", "to": to})
    return f"sent to {to}: {answer}"


def ask(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _config(callbacks: list[Any], metadata: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"callbacks": callbacks, "metadata": metadata or {}, "tags": ["case"], **more}


def sequential(callbacks: list[Any], **kw: Any) -> Any:
    """One tool with a nested tool call inside, then an answer."""
    agent = create_agent(model(says("", ("search", {"query": "delta"}, "c1")), says("It is delta.")), [search, lookup])
    return agent.invoke(ask("what is it"), _config(callbacks, run_name="sequential", **kw))


def parallel(callbacks: list[Any], **kw: Any) -> Any:
    """Three tools in one message: langgraph runs them in a thread pool; the same tool twice."""
    m = model(
        says("", ("lookup", {"key": "a"}, "c1"), ("lookup", {"key": "b"}, "c2"), ("search", {"query": "c"}, "c3")),
        says("done"),
    )
    return create_agent(m, [search, lookup]).invoke(ask("three"), _config(callbacks, **kw))


def tool_error(callbacks: list[Any], **kw: Any) -> Any:
    """A tool raises: create_agent's ToolNode re-raises by default for unknown errors."""
    m = model(says("", ("broken", {"x": 3}, "c1")), says("sorry"))
    try:
        return create_agent(m, [broken]).invoke(ask("break"), _config(callbacks, **kw))
    except ValueError as error:
        return f"raised {error!r}"


def tool_error_handled(callbacks: list[Any], **kw: Any) -> Any:
    """The tool's error is handled by middleware and becomes a ToolMessage with status=error."""
    from langchain.agents.middleware import wrap_tool_call
    from langchain_core.messages import ToolMessage

    @wrap_tool_call
    def handle(request, handler):
        try:
            return handler(request)
        except Exception as error:
            return ToolMessage(f"failed: {error}", tool_call_id=request.tool_call["id"], status="error")

    m = model(says("", ("broken", {"x": 3}, "c1")), says("sorry"))
    return create_agent(m, [broken], middleware=[handle]).invoke(ask("break"), _config(callbacks, **kw))


def model_retry(callbacks: list[Any], **kw: Any) -> Any:
    """The model fails twice, with_retry tries again."""
    seen = iter([ConnectionError("down"), ConnectionError("down"), None])

    class Flaky(FakeModel):
        def _generate(self, *args, **kwargs):
            if (error := next(seen)) is not None:
                raise error
            return super()._generate(*args, **kwargs)

    m = Flaky(messages=iter([says("at last")])).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    return m.invoke("hello", _config(callbacks, **kw))


def streaming(callbacks: list[Any], **kw: Any) -> Any:
    """Tokens: on_llm_new_token; the graph streamed in two modes."""
    agent = create_agent(model(says("one two three four")), [])
    return [
        str(x)[:60] for x in agent.stream(ask("stream"), _config(callbacks, **kw), stream_mode=["messages", "updates"])
    ]


def cancelled(callbacks: list[Any], **kw: Any) -> Any:
    """asyncio cancellation while a tool runs."""

    async def run():
        begun = asyncio.Event()

        @tool
        async def forever(x: int) -> str:
            """Takes long."""
            begun.set()
            await asyncio.sleep(60)
            return ""

        agent = create_agent(model(says("", ("forever", {"x": 1}, "c1"))), [forever])
        task = asyncio.create_task(agent.ainvoke(ask("wait"), _config(callbacks, **kw)))
        await begun.wait()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"

    return asyncio.run(run())


def subagent(callbacks: list[Any], **kw: Any) -> Any:
    """A supervisor's tool runs another agent: nested graph."""
    inner = create_agent(
        model(says("", ("lookup", {"key": "z"}, "i1")), says("inner answer")), [lookup], name="researcher"
    )

    @tool
    def research(question: str) -> str:
        """Delegate to the researcher."""
        return inner.invoke(ask(question))["messages"][-1].content

    outer = create_agent(
        model(says("", ("research", {"question": "q"}, "o1")), says("final")), [research], name="supervisor"
    )
    return outer.invoke(ask("go"), _config(callbacks, run_name="supervisor", **kw))


def human(callbacks: list[Any], **kw: Any) -> Any:
    """interrupt() in a tool, then Command(resume=...): two invocations of one thread."""
    m = model(says("", ("send_mail", {"to": "bob"}, "c1")), says("sent"))
    agent = create_agent(m, [send_mail], checkpointer=InMemorySaver())
    config = _config(callbacks, configurable={"thread_id": "th-1"}, **kw)
    first = agent.invoke(ask("mail bob"), config)
    second = agent.invoke(Command(resume="yes"), config)
    return {"interrupt": str(first.get("__interrupt__")), "last": second["messages"][-1].content}


SCENARIOS = {
    f.__name__: f
    for f in (
        sequential,
        parallel,
        tool_error,
        tool_error_handled,
        model_retry,
        streaming,
        cancelled,
        subagent,
        human,
    )
}
