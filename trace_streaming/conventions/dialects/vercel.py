"""The Vercel AI SDK in the words of OpenTelemetry's conventions.

https://ai-sdk.dev/docs/ai-sdk-core/telemetry
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.values import Attributes, first, known, listed, parsed, unquoted

_USAGE: Final = {
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens"),
    "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
    "cache_read.input_tokens": ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
    "cache_creation.input_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    "reasoning.output_tokens": ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
}


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if "ai.operationId" not in said:
        return {}
    match kind:
        case "llm_call":
            return _model(said)
        case "tool_call":
            return known(
                {
                    "gen_ai.tool.call.id": said.get("ai.toolCall.id"),
                    "args": parsed(said.get("ai.toolCall.args")),
                    "result": unquoted(said.get("ai.toolCall.result")),
                }
            )
    prompt = parsed(first(said, "ai.prompt", "ai.prompt.messages", "ai.value", "ai.values"))
    if isinstance(prompt, Mapping) and set(prompt) == {"prompt"}:
        prompt = prompt["prompt"]
    return known({"input": prompt, "result": parsed(first(said, "ai.response.text", "ai.response.object"))})


def _model(said: Attributes) -> dict[str, Any]:
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": said.get("ai.model.id"),
        "gen_ai.provider.name": said.get("ai.model.provider"),
        "gen_ai.response.model": said.get("ai.response.model"),
        "gen_ai.response.id": said.get("ai.response.id"),
        **{f"gen_ai.usage.{name}": first(said, *keys) for name, keys in _USAGE.items()},
        INPUT: _messages(parsed(said.get("ai.prompt.messages"))),
        OUTPUT: _answer(said),
    }
    if (ms := said.get("ai.response.msToFirstChunk")) is not None and isinstance(ms, int | float):
        told["gen_ai.response.time_to_first_chunk"] = ms / 1000
    if reason := said.get("ai.response.finishReason"):
        told["gen_ai.response.finish_reasons"] = [reason]
    return known(told)


def _messages(told: Any) -> list[Any] | None:
    if not isinstance(told, list):
        return None
    return [_message(one) if isinstance(one, Mapping) else one for one in told]


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    content = one.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    told = parts if isinstance(parts, list) else [parts]
    return {"role": one.get("role", "user"), "parts": [_part(part) for part in told if part is not None]}


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    match kind:
        case "text" | "reasoning":
            return {"type": kind, "content": part.get("text", "")}
        case "tool-call":
            arguments = parsed(first(part, "input", "args"))
            return {
                "type": "tool_call",
                "id": part.get("toolCallId"),
                "name": part.get("toolName"),
                "arguments": arguments,
            }
        case "tool-result":
            output = first(part, "output", "result")
            if isinstance(output, Mapping) and set(output) == {"type", "value"}:
                output = output["value"]
            return {"type": "tool_call_response", "id": part.get("toolCallId"), "response": output}
    return part


def _answer(said: Attributes) -> list[Any] | None:
    parts: list[Any] = []
    if thought := said.get("ai.response.reasoning"):
        parts.append({"type": "reasoning", "content": thought})
    if answer := first(said, "ai.response.text", "ai.response.object"):
        parts.append({"type": "text", "content": answer})
    calls = parsed(said.get("ai.response.toolCalls"))
    parts += [_part({"type": "tool-call", **call}) for call in listed(calls) if isinstance(call, Mapping)]
    return [{"role": "assistant", "parts": parts}] if parts else None
