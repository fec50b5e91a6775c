"""Messages of models, as OpenTelemetry's conventions have them: a role, and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from trace_streaming.events.freezing import MAX_VALUES
from trace_streaming.events.interruptions import is_for_the_process


def as_messages(messages: object) -> Any:
    """Messages with a role and parts, of those, or of those of OpenAI's, Anthropic's and Bedrock's clients.

    A text is the user's. What is none of these is left as it is.
    """
    if isinstance(messages, str):
        return [{"role": "user", "parts": [_text(messages)]}]
    if isinstance(messages, Mapping):
        return [as_message(messages)]
    return [as_message(message) for message in messages] if isinstance(messages, Sequence) else messages


def output_messages(result: object, told: Mapping[str, Any]) -> Any:
    """A model's answer as messages; a text is the assistant's."""
    if not isinstance(result, str):
        try:
            return as_messages(result)
        except BaseException as error:  # a stranger's method: the end of the call is told nevertheless
            if is_for_the_process(error):
                raise
            return result
    reasons = told.get("gen_ai.response.finish_reasons") or []
    message: dict[str, Any] = {"role": "assistant", "parts": [_text(result)]}
    return [{**message, "finish_reason": reasons[0]} if reasons else message]


def as_message(message: Any) -> Any:
    """One with a role and parts; see :func:`as_messages`."""
    if isinstance(message, str):
        return {"role": "user", "parts": [_text(message)]}
    if not isinstance(message, Mapping) or "parts" in message or "role" not in message:
        return message
    role, content = message["role"], message.get("content")
    if role == "tool":
        response = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [response]}
    parts = [_text(content)] if isinstance(content, str) else _parts(content)
    calls = message.get("tool_calls")
    parts += [_tool_call(call) for call in calls] if isinstance(calls, list | tuple) else []
    rest = {key: value for key, value in message.items() if key not in {"role", "content", "tool_calls"}}
    return {"role": role, "parts": parts, **{key: value for key, value in rest.items() if value is not None}}


def _parts(content: Any) -> list[Any]:
    if content is None:
        return []
    if not isinstance(content, list | tuple):
        return [content]
    kind: Any = list if isinstance(content, list) else tuple  # not by a class over it, which may never end
    parts = [_part(part) if isinstance(part, Mapping) else part for part in islice(kind.__iter__(content), MAX_VALUES)]
    missing = kind.__len__(content) - MAX_VALUES
    return [*parts, f"[truncated: {missing} more values]"] if missing > 0 else parts


def _part(part: Mapping[str, Any]) -> Any:
    """Of OpenAI's clients, of Anthropic's, and of Bedrock, whose parts do not say their type."""
    kind, content = part.get("type"), part.get("text")
    if isinstance(content, str) and (kind in ("text", "input_text") or (kind is None and len(part) == 1)):
        return _text(str.__str__(content))
    used = part if kind == "tool_use" else part.get("toolUse")
    if isinstance(used, Mapping):
        told = {"id": used.get("id", used.get("toolUseId")), "name": used.get("name"), "arguments": used.get("input")}
        return {"type": "tool_call", **told}
    answered = part if kind == "tool_result" else part.get("toolResult")
    if isinstance(answered, Mapping):
        call_id = answered.get("tool_use_id", answered.get("toolUseId"))
        return {"type": "tool_call_response", "id": call_id, "response": answered.get("content")}
    return part


def _tool_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if isinstance(call, Mapping) and "name" in call and "args" in call:  # LangChain's
        return {"type": "tool_call", "id": call.get("id"), "name": call["name"], "arguments": call["args"]}
    if not isinstance(function, Mapping):
        return call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": _arguments(function.get("arguments")),
    }


def _arguments(arguments: Any) -> Any:
    """OpenAI's are JSON in a text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}
