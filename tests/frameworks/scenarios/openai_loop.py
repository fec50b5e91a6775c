"""The loop that most people write by hand around OpenAI's SDK, with spans around agent and tool."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import openai
from opentelemetry.trace import Tracer

from tests.frameworks.scripted_models import TOOLS, scripted_models


def loop(tracer: Tracer):
    """A tool, a text, a stream, and an error at last."""
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "solo", "gen_ai.conversation.id": "c-1"}
    with (
        scripted_models() as url,
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        tracer.start_as_current_span("invoke_agent solo", attributes=said),
    ):
        create = client.chat.completions.create
        messages: list[Any] = [{"role": "user", "content": "what is a?"}]
        first = create(model="fake-1", messages=messages, tools=TOOLS, temperature=0.1)
        call: Any = first.choices[0].message.tool_calls[0]
        asked = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "lookup",
            "gen_ai.tool.call.arguments": call.function.arguments,
        }
        with tracer.start_as_current_span("execute_tool lookup", attributes=asked) as span:
            span.set_attribute("gen_ai.tool.call.result", "value of a")
        messages += [
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "value of a"},
        ]
        create(model="fake-1", messages=messages)
        streaming: list[Any] = [{"role": "user", "content": "stream"}]
        for _ in create(model="fake-1", messages=streaming, stream=True, stream_options={"include_usage": True}):
            pass
        with suppress(openai.RateLimitError):
            create(model="fake-1", messages=[{"role": "user", "content": "fail"}])
