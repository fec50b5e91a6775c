"""Google's Agent Development Kit in the words of OpenTelemetry's conventions.

https://github.com/google/adk-python/blob/main/src/google/adk/telemetry/tracing.py: a call of a model is a span
``call_llm`` with what was sent and answered, and another inside of it, ``generate_content``, with the same tokens. In
version 2 of its schema there is the second alone, which names the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.otel_spans import OtelSpan
from trace_streaming.conventions.values import Attributes, known, listed, parsed

_PREFIX: Final = "gcp.vertex.agent."
_SCOPE: Final = "gcp.vertex.agent"
_EVENT: Final = f"{_PREFIX}event_id"
_INNER: Final = "generate_content"


def is_told_around(span: OtelSpan) -> bool:
    """Whether it is the inner one of the two spans of a call, or its like of Google's other instrumentation."""
    said = span.attributes
    is_inner = said.get("gen_ai.operation.name") == _INNER or span.name.startswith(_INNER)
    return is_inner and (span.scope == _SCOPE or _EVENT in said) and "gen_ai.provider.name" not in said


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if _EVENT not in said:
        return {}
    if kind == "tool_call":
        args, result = parsed(said.get(f"{_PREFIX}tool_call_args")), parsed(said.get(f"{_PREFIX}tool_response"))
        return known({"args": args, "result": result})
    if kind != "llm_call":
        return {}
    request, response = _object(said, "llm_request"), _object(said, "llm_response")
    asked = [_message(one) for one in listed(request.get("contents"))]
    settings = request.get("config")
    if isinstance(settings, Mapping) and (system := settings.get("system_instruction")):
        asked.insert(0, {"role": "system", "parts": [_text(system)] if isinstance(system, str) else [system]})
    answer = response.get("content")
    return known(
        {
            "gen_ai.operation.name": "chat",
            INPUT: asked or None,
            OUTPUT: [_message(answer)] if isinstance(answer, Mapping) else None,
        }
    )


def _object(said: Attributes, key: str) -> Mapping[str, Any]:
    told = parsed(said.get(f"{_PREFIX}{key}"))
    return told if isinstance(told, Mapping) else {}


def _message(content: Any) -> Any:
    """Of Gemini's API."""
    if not isinstance(content, Mapping):
        return content
    role = content.get("role") or "user"
    parts = [_part(one) for one in listed(content.get("parts"))]
    return {"role": "assistant" if role == "model" else role, "parts": parts}


def _part(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    if isinstance(part.get("text"), str):
        return {"type": "reasoning", "content": part["text"]} if part.get("thought") else _text(part["text"])
    if isinstance(call := part.get("function_call"), Mapping):
        return {"type": "tool_call", "id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
    if isinstance(answer := part.get("function_response"), Mapping):
        return {"type": "tool_call_response", "id": answer.get("id"), "response": answer.get("response")}
    return part


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
