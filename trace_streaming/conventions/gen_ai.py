"""OpenTelemetry's own conventions for generative AI, of today and of earlier: flat attributes, kept as they are.

https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trace_streaming.emitting.messages import as_messages

from .otel_spans import OtelSpan, SpanEvent
from .traceloop import inner
from .values import Attributes, first, known, parsed, spread, text

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
_PREFIX: Final = "gen_ai."
_RENAMED: Final = {
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "operation.cost": "gen_ai.usage.cost",
}
"""Earlier names, and those of single libraries."""
_SPREAD: Final = ("gen_ai.prompt.", "gen_ai.completion.")
_TASK: Final = ("gen_ai.task.input", "gen_ai.task.output")
_SAID_ELSEWHERE: Final = frozenset({*_RENAMED, *_TASK, "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"})
_JSON: Final = frozenset({INPUT, OUTPUT, "gen_ai.system_instructions", "gen_ai.tool.definitions"})
_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def details(span: OtelSpan, kind: str) -> dict[str, Any]:
    """What the span says in these words, as details of an event."""
    said = span.attributes
    told = {
        key: parsed(value) if key in _JSON else _plain(value)
        for key, value in said.items()
        if key.startswith(_PREFIX) and key not in _SAID_ELSEWHERE and not key.startswith(_SPREAD)
    }
    for old, new in _RENAMED.items():
        if old in said:
            told.setdefault(new, said[old])
    match kind:
        case "llm_call":
            for key, messages in _messages(span):
                told.setdefault(key, messages)
            for key in (INPUT, OUTPUT):
                if key in told:
                    told[key] = as_messages(told[key])
        case "tool_call":
            told |= known(
                {
                    "args": inner(first(said, "gen_ai.tool.call.arguments", "tool_arguments"), "inputs", "input_str"),
                    "result": inner(first(said, "gen_ai.tool.call.result", "tool_response"), "outputs", "output"),
                }
            )
        case "agent":
            told = _of_agent(said, told)
    return told


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _of_agent(said: Attributes, told: Mapping[str, Any]) -> dict[str, Any]:
    """Without its usage, which is that of the calls inside of it."""
    kept = {key: value for key, value in told.items() if not key.startswith("gen_ai.usage.")}
    whole = parsed(first(said, "pydantic_ai.all_messages", "all_messages_events"))
    asked = kept.pop(INPUT, None)
    if asked is None and isinstance(whole, list):
        asked = next(
            (message for message in whole if isinstance(message, Mapping) and message.get("role") == "user"), None
        )
    answer = kept.pop(OUTPUT, None)
    given = {"input": asked, "result": first(said, "final_result") if answer is None else answer}
    return kept | known({key: _only_text(value) for key, value in given.items()})


def _only_text(messages: Any) -> Any:
    """The text of messages that say one text and nothing else."""
    listed = messages if isinstance(messages, list) else [messages]
    if len(listed) == 1 and isinstance(listed[0], Mapping):
        parts = listed[0].get("parts")
        if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
            content = parts[0].get("content")
            if parts[0].get("type") == "text" and isinstance(content, str):
                return content
    return parsed(messages)


def _messages(span: OtelSpan) -> Iterable[tuple[str, Any]]:
    """What was sent and answered, where it is not under its name of today."""
    said = span.attributes
    for event in span.events:
        for key in (INPUT, OUTPUT):
            if key in event.attributes:
                yield key, parsed(event.attributes[key])
    for key, prefix in ((INPUT, "gen_ai.prompt"), (OUTPUT, "gen_ai.completion")):
        if messages := [_message(one) for one in spread(said, prefix) if isinstance(one, Mapping)]:
            yield key, messages
    listed = parsed(said.get("events"))
    told = (
        [SpanEvent(text(one, "event.name"), one) for one in listed if isinstance(one, Mapping)]
        if isinstance(listed, list)
        else span.events
    )
    if sent := [_told(event, _MESSAGE_EVENTS[event.name]) for event in told if event.name in _MESSAGE_EVENTS]:
        yield INPUT, sent
    if answers := [_told(event, "assistant") for event in told if event.name == "gen_ai.choice"]:
        yield OUTPUT, answers


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    """Of those that are spread over many keys."""
    calls = [
        {"id": call.get("id"), "function": {"name": call.get("name"), "arguments": call.get("arguments")}}
        for call in one.get("tool_calls") or ()
        if isinstance(call, Mapping)
    ]
    told = {"role": one.get("role", "assistant"), "content": parsed(one.get("content")), "tool_calls": calls}
    return known({**told, "finish_reason": one.get("finish_reason"), "tool_call_id": one.get("tool_call_id")})


def _told(event: SpanEvent, role: str) -> dict[str, Any]:
    """Of those that are events of a span."""
    said = event.attributes
    inner = parsed(said.get("message"))
    body: Mapping[str, Any] = inner if isinstance(inner, Mapping) else said
    told = {"role": text(body, "role") or role, "content": parsed(body.get("content"))}
    calls = parsed(body.get("tool_calls"))
    return known({**told, "tool_calls": calls, "tool_call_id": first(body, "tool_call_id", "id")})
