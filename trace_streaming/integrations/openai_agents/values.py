"""What the OpenAI Agents SDK's values say, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from trace_streaming.emitting.messages import as_message

_SETTINGS: Final = ("temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty")


def error_text(error: Mapping[str, Any] | None) -> str | None:
    """A span's error; the SDK leaves out what is sensitive, where it is told to."""
    if error is None:
        return None
    data = error.get("data") or {}
    return str(data.get("error") or error.get("message") or "error")


def is_rejection(text: str | None) -> bool:
    """Whether a tool did not run because a human has rejected it: the SDK says so in no other way."""
    return text is not None and "manually rejected by user" in text


def arguments(text: str | None) -> Any:
    """Of a tool: JSON in a text; what is none stays a text."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def model_name(model: Any) -> str:
    """Of an agent's model, which may be a name, an object that has one, or None."""
    name = model if isinstance(model, str) else getattr(model, "model", None)
    return str(name) if name else ""


def request_details(kind: str, model: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is asked of a model, without the messages."""
    details: dict[str, Any] = {"gen_ai.operation.name": "chat"}
    if kind == "response":  # OpenAI's own interface
        details["gen_ai.provider.name"] = "openai"
    if model:
        details["gen_ai.request.model"] = model
    told = {name: (settings or {}).get(name) for name in _SETTINGS}
    return details | {f"gen_ai.request.{name}": value for name, value in told.items() if value is not None}


def usage_details(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """Tokens, as either interface of OpenAI names them."""
    usage = usage or {}
    of_input = usage.get("input_tokens_details") or {}
    told = {
        "input_tokens": usage.get("input_tokens", usage.get("prompt_tokens")),
        "output_tokens": usage.get("output_tokens", usage.get("completion_tokens")),
        "cache_read.input_tokens": of_input.get("cached_tokens"),
        "cache_creation.input_tokens": of_input.get("cache_write_tokens") or None,
        "reasoning.output_tokens": (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    }
    return {f"gen_ai.usage.{name}": value for name, value in told.items() if value is not None}


def finish_reason(output: Iterable[Any], response: Any = None) -> str:
    """Why the model has stopped: of a response its status says so, and otherwise what it has answered."""
    if (why := getattr(getattr(response, "incomplete_details", None), "reason", None)) is not None:
        return str(why)
    for item in map(_plain, output):
        if item.get("finish_reason"):
            return str(item["finish_reason"])
        if item.get("tool_calls") or str(item.get("type")).endswith("_call"):
            return "tool_calls"
    return "stop"


def messages(items: Any, system: str | None = None) -> list[Any]:
    """Items of the Responses interface, or messages of the other, with a role and parts."""
    listed = [{"role": "user", "content": items}] if isinstance(items, str) else items
    first = [{"role": "system", "content": system}] if system else []
    return [_message(item) for item in map(_plain, [*first, *listed])]


def _plain(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    dump = getattr(item, "model_dump", None)
    return dump(exclude_unset=True) if dump is not None else {"role": "user", "content": str(item)}


def _message(item: Mapping[str, Any]) -> Any:
    kind = item.get("type")
    if kind == "function_call":
        call = {"id": item.get("call_id"), "name": item.get("name"), "arguments": arguments(item.get("arguments"))}
        return {"role": "assistant", "parts": [{"type": "tool_call", **call}]}
    if kind == "function_call_output":
        response = {"type": "tool_call_response", "id": item.get("call_id"), "response": item.get("output")}
        return {"role": "tool", "parts": [response]}
    if kind == "reasoning":
        said = "\n".join(str(part.get("text", "")) for part in item.get("summary") or ())
        return {"role": "assistant", "parts": [{"type": "reasoning", "content": said}]}
    if "role" not in item:
        return {"role": "assistant", "parts": [dict(item)]}
    content = item.get("content")
    if isinstance(content, list):
        content = [{**part, "type": "text"} if _is_text(part) else part for part in content]
    told = {"role": item["role"], "content": content, "tool_calls": item.get("tool_calls")}
    return as_message({**told, "tool_call_id": item.get("tool_call_id")})


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "output_text"
