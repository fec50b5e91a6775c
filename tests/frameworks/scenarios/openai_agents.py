"""The OpenAI Agents SDK's runs with scripted models: shapes that an adapter must survive. Each takes the adapter."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

from agents import (
    Agent,
    Model,
    ModelResponse,
    RunConfig,
    Runner,
    Usage,
    function_tool,
)
from agents.models.interface import ModelTracing
from agents.tracing import generation_span
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails


def text(value: str) -> ResponseOutputMessage:
    return ResponseOutputMessage(
        id="m1",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(text=value, type="output_text", annotations=[])],
    )


def call(name: str, call_id: str, **arguments: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call",
        name=name,
        call_id=call_id,
        arguments=json.dumps(arguments),
        id=call_id,
        status="completed",
    )


class ScriptedModel(Model):
    """Each turn is a list of output items, or an exception. Opens a generation span, as the real chat model does."""

    def __init__(self, *turns: Any) -> None:
        self.turns = list(turns)

    async def get_response(
        self, system_instructions, input, model_settings, tools, output_schema, handoffs, tracing: ModelTracing, **kw
    ) -> ModelResponse:
        with generation_span(model="fake-1", model_config={"temperature": 0.0}, disabled=tracing.is_disabled()) as span:
            await asyncio.sleep(0.01)
            turn = self.turns.pop(0)
            if isinstance(turn, BaseException):
                span.set_error({"message": "Error", "data": {"error": str(turn)}})
                raise turn
            if tracing.include_data():
                span.span_data.input = [{"role": "user", "content": str(input)[:200]}]
                span.span_data.output = [item.model_dump() for item in turn]
            span.span_data.usage = {"input_tokens": 11, "output_tokens": 7}
        return ModelResponse(
            output=turn, usage=Usage(requests=1, input_tokens=11, output_tokens=7, total_tokens=18), response_id=None
        )

    async def stream_response(
        self, system_instructions, input, model_settings, tools, output_schema, handoffs, tracing, **kw
    ):
        response = await self.get_response(
            system_instructions, input, model_settings, tools, output_schema, handoffs, tracing
        )
        for n, word in enumerate("one two three".split()):
            yield ResponseTextDeltaEvent(
                type="response.output_text.delta",
                item_id="m1",
                output_index=0,
                content_index=0,
                delta=word,
                sequence_number=n,
                logprobs=[],
            )
        yield ResponseCompletedEvent(
            type="response.completed",
            sequence_number=9,
            response=Response(
                id="r1",
                created_at=0,
                model="fake-1",
                object="response",
                output=response.output,
                tool_choice="auto",
                tools=[],
                parallel_tool_calls=True,
                usage=ResponseUsage(
                    input_tokens=11,
                    output_tokens=7,
                    total_tokens=18,
                    input_tokens_details=InputTokensDetails.model_construct(cached_tokens=0, cache_write_tokens=0),
                    output_tokens_details=OutputTokensDetails.model_construct(reasoning_tokens=0),
                ),
            ),
        )


@function_tool
async def lookup(key: str) -> str:
    """Look up."""
    await asyncio.sleep(0.02)
    return f"value of {key}"


@function_tool
def slow_sync(key: str) -> str:
    """A synchronous tool."""
    time.sleep(0.02)
    return f"{threading.current_thread().name}:{key}"


@function_tool
async def broken(x: int) -> str:
    """Fails; the SDK's default turns it into a message to the model."""
    raise ValueError(f"no such row {x}")


@function_tool(failure_error_function=None)
async def broken_hard(x: int) -> str:
    """Fails, and the run with it."""
    raise ValueError(f"no such row {x}")


@function_tool(needs_approval=True)
async def send_mail(to: str) -> str:
    """Needs a human."""
    return f"sent to {to}"


async def _run(agent: Agent, text_: str, hooks: Any = None, config: RunConfig | None = None, **kw: Any) -> Any:
    return await Runner.run(
        agent,
        text_,
        hooks=hooks,
        run_config=config or RunConfig(workflow_name="case", group_id="conversation-1", trace_metadata={"user": "u1"}),
        **kw,
    )


async def sequential(hooks: Any = None) -> Any:
    agent = Agent("solo", model=ScriptedModel([call("lookup", "c1", key="a")], [text("done")]), tools=[lookup])
    return (await _run(agent, "go", hooks)).final_output


async def parallel(hooks: Any = None) -> Any:
    agent = Agent(
        "solo",
        model=ScriptedModel(
            [call("lookup", "c1", key="a"), call("lookup", "c2", key="b"), call("slow_sync", "c3", key="c")],
            [text("done")],
        ),
        tools=[lookup, slow_sync],
    )
    return (await _run(agent, "go", hooks)).final_output


async def tool_error(hooks: Any = None) -> Any:
    agent = Agent("solo", model=ScriptedModel([call("broken", "c1", x=3)], [text("sorry")]), tools=[broken])
    return (await _run(agent, "go", hooks)).final_output


async def tool_error_hard(hooks: Any = None) -> Any:
    agent = Agent("solo", model=ScriptedModel([call("broken_hard", "c1", x=3)], [text("sorry")]), tools=[broken_hard])
    try:
        return (await _run(agent, "go", hooks)).final_output
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


async def model_error(hooks: Any = None) -> Any:
    agent = Agent("solo", model=ScriptedModel(ConnectionError("down")))
    try:
        return (await _run(agent, "go", hooks)).final_output
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


async def handoffs(hooks: Any = None) -> Any:
    billing = Agent(
        "billing",
        model=ScriptedModel([call("lookup", "c2", key="invoice")], [text("paid")]),
        tools=[lookup],
        handoff_description="bills",
    )
    triage = Agent("triage", model=ScriptedModel([call("transfer_to_billing", "c1")]), handoffs=[billing])
    return (await _run(triage, "my bill", hooks)).final_output


async def agent_as_tool(hooks: Any = None) -> Any:
    inner = Agent(
        "researcher", model=ScriptedModel([call("lookup", "i1", key="z")], [text("inner answer")]), tools=[lookup]
    )
    outer = Agent(
        "supervisor",
        model=ScriptedModel([call("research", "o1", input="q")], [text("final")]),
        tools=[inner.as_tool("research", "Research.")],
    )
    return (await _run(outer, "go", hooks)).final_output


async def streaming(hooks: Any = None) -> Any:
    agent = Agent("solo", model=ScriptedModel([call("lookup", "c1", key="a")], [text("one two three")]), tools=[lookup])
    result = Runner.run_streamed(agent, "go", hooks=hooks, run_config=RunConfig(workflow_name="case"))
    return [
        event.type + (":" + event.data.type if event.type == "raw_response_event" else "")
        async for event in result.stream_events()
    ]


async def human(hooks: Any = None) -> Any:
    """needs_approval: the run ends with interruptions; state.approve, run again."""
    agent = Agent("solo", model=ScriptedModel([call("send_mail", "c1", to="bob")], [text("sent")]), tools=[send_mail])
    first = await _run(agent, "mail bob", hooks)
    asked = [(i.name, i.arguments, getattr(i.raw_item, "call_id", None)) for i in first.interruptions]
    state = first.to_state()
    for item in first.interruptions:
        state.approve(item)
    second = await Runner.run(
        agent, state, hooks=hooks, run_config=RunConfig(workflow_name="case", group_id="conversation-1")
    )
    return {"asked": asked, "last": second.final_output}


SCENARIOS = {
    f.__name__: f
    for f in (sequential, parallel, tool_error, tool_error_hard, model_error, handoffs, agent_as_tool, streaming, human)
}
