"""What a callback of a framework costs its run: ``callbacks (langchain|openai_agents|pydantic_ai) (ours|noop) COUNT``.

Of a run with the handler the time that it takes longer than without any, by callback. In the frameworks' environment.
The writer stores nothing, so that it takes no turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import django

ARGS = {"key": "name = 'Bob'"}


def langchain(kind: str) -> tuple[Callable[[], object], Callable[[], object], int]:
    """A tool, which is a start and an end."""
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.tools import tool

    from trace_streaming import TraceEmitter
    from trace_streaming.integrations.langchain import TraceCallbackHandler

    @tool
    def lookup(key: str) -> str:
        """Look a key up."""
        return key

    handler = TraceCallbackHandler(TraceEmitter("t")) if kind == "ours" else BaseCallbackHandler()
    config: Any = {"callbacks": [handler]}
    return lambda: lookup.invoke(ARGS, config), lambda: lookup.invoke(ARGS), 2


def openai_agents(kind: str) -> tuple[Callable[[], object], Callable[[], object], int]:
    """A tool's span, which is a start and an end."""
    from agents.tracing import FunctionSpanData, TracingProcessor
    from agents.tracing.provider import DefaultTraceProvider

    from trace_streaming import TraceEmitter
    from trace_streaming.integrations.openai_agents import TraceProcessor

    class NoOp(TracingProcessor):
        """Does nothing."""

        def on_trace_start(self, trace: Any) -> None: ...
        def on_trace_end(self, trace: Any) -> None: ...
        def on_span_start(self, span: Any) -> None: ...
        def on_span_end(self, span: Any) -> None: ...
        def shutdown(self) -> None: ...
        def force_flush(self) -> None: ...

    def spans(processor: Any | None) -> Callable[[], None]:
        provider = DefaultTraceProvider()
        provider.set_processors([] if processor is None else [processor])
        root = provider.create_trace("run")
        root.start()

        def span() -> None:
            with provider.create_span(FunctionSpanData("lookup", json.dumps(ARGS), "Bob"), parent=root):
                pass

        return span

    ours = TraceProcessor(TraceEmitter("t"))
    return spans(ours if kind == "ours" else NoOp()), spans(None), 2


def pydantic_ai(kind: str) -> tuple[Callable[[], object], Callable[[], object], int]:
    """A run with a model and a tool: a run, two requests, a validation and an execution, each around something."""
    from pydantic_ai import Agent
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    from trace_streaming import TraceEmitter
    from trace_streaming.integrations.pydantic_ai import TraceCapability

    class NoOp(AbstractCapability[Any]):
        """Hands on what it is given."""

        async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:
            return await handler()

        async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> Any:
            return await handler(request_context)

        async def wrap_tool_validate(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
            return await handler(args)

        async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
            return await handler(args)

    def answer(messages: list[Any], info: Any) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart("lookup", ARGS)] if len(messages) == 1 else [TextPart("Bob")])

    async def lookup(key: str) -> str:
        """Look a key up."""
        return key

    loop = asyncio.new_event_loop()
    handler: Any = TraceCapability(TraceEmitter("t")) if kind == "ours" else NoOp()
    with_it = Agent(FunctionModel(answer), capabilities=[handler], tools=[lookup])
    without = Agent(FunctionModel(answer), tools=[lookup])
    return (
        lambda: loop.run_until_complete(with_it.run("go")),
        lambda: loop.run_until_complete(without.run("go")),
        5,
    )


FRAMEWORKS = {each.__name__: each for each in (langchain, openai_agents, pydantic_ai)}


def timed(call: Callable[[], object]) -> float:
    """Microseconds."""
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1000


def main() -> None:
    """In turn with the handler and without it: the machine's moods fall on both."""
    django.setup()
    from trace_streaming.storage import store

    store.append = lambda *_: []
    framework, kind, count = sys.argv[1:]
    with_it, without, callbacks = FRAMEWORKS[framework](kind)
    pairs = [(timed(with_it), timed(without)) for _ in range(int(count))]
    more = median(each for each, _ in pairs) - median(each for _, each in pairs)
    print(json.dumps({"callback_us": max(more, 0) / callbacks}))


if __name__ == "__main__":
    main()
