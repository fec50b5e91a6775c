"""OpenTelemetry's own conventions for generative AI, of today and of earlier: flat attributes, kept as they are.

https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT, messages, tool_values
from trace_streaming.conventions.otel_spans import OtelSpan
from trace_streaming.conventions.values import Attributes, first, known, parsed
from trace_streaming.emitting.messages import as_messages

from .traceloop import inner

_PREFIX: Final = "gen_ai."
_RENAMED: Final = {
    "gen_ai.system": "gen_ai.provider.name",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.details.cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.details.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.experimental.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "operation.cost": "gen_ai.usage.cost",
    "gen_ai.cost.total_cost": "gen_ai.usage.cost",
}
"""Earlier names, and those of single libraries."""
_SPREAD: Final = ("gen_ai.prompt.", "gen_ai.completion.")
_TASK: Final = ("gen_ai.task.input", "gen_ai.task.output")
_WHOLE: Final = ("gen_ai.prompt", "gen_ai.completion")
_REASONS: Final = "gen_ai.response.finish_reasons"
_REASON: Final = "gen_ai.response.finish_reason"
"""Semantic Kernel's."""
_SAID_ELSEWHERE: Final = frozenset(
    {*_RENAMED, *_TASK, *_WHOLE, _REASON, "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"}
)
_JSON: Final = frozenset({INPUT, OUTPUT, "gen_ai.system_instructions", "gen_ai.tool.definitions", _REASONS})


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
    if (reason := said.get(_REASON)) is not None:
        told.setdefault(_REASONS, [reason])
    match kind:
        case "llm_call":
            _add_messages(told, span)
        case "tool_call":
            told |= tool_values(span) | known(
                {
                    "args": inner(first(said, "gen_ai.tool.call.arguments", "tool_arguments"), "inputs", "input_str"),
                    "result": inner(first(said, "gen_ai.tool.call.result", "tool_response"), "outputs", "output"),
                }
            )
        case "agent":
            for key, found in messages(span):
                told.setdefault(key, as_messages(found))
            told = _of_agent(said, told)
    return told


def _add_messages(told: dict[str, Any], span: OtelSpan) -> None:
    for key, found in messages(span):
        told.setdefault(key, found)
    if isinstance(answer := told.get(OUTPUT), str):  # a list that was cut off, say
        told[OUTPUT] = [{"role": "assistant", "content": answer}]
    for key in (INPUT, OUTPUT):
        if key in told:
            told[key] = as_messages(told[key])


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


def _only_text(said: Any) -> Any:
    """The text of messages that say one text and nothing else."""
    told = said if isinstance(said, list) else [said]
    if len(told) == 1 and isinstance(told[0], Mapping):
        parts = told[0].get("parts")
        if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
            content = parts[0].get("content")
            if parts[0].get("type") == "text" and isinstance(content, str):
                return content
    return parsed(said)
