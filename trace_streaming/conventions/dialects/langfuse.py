"""Langfuse's SDK, from its version 3, in the words of OpenTelemetry's conventions.

https://langfuse.com/integrations/native/opentelemetry#property-mapping
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.values import Attributes, known, parsed, text
from trace_streaming.emitting.messages import as_messages, output_messages
from trace_streaming.events.encoding import finite_number

KIND: Final = "langfuse.observation.type"
_PREFIX: Final = "langfuse.observation."
_PARAMETERS: Final = ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty")
_CACHED: Final = ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens")
_WRITTEN: Final = ("input_cache_creation", "cache_creation_input_tokens")
_THOUGHT: Final = ("output_reasoning", "output_reasoning_tokens")


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if KIND not in said:
        return {}
    asked, answer = parsed(said.get(f"{_PREFIX}input")), parsed(said.get(f"{_PREFIX}output"))
    if kind != "llm_call":
        return known({"args" if kind == "tool_call" else "input": asked, "result": answer})
    settings, costs = parsed(said.get(f"{_PREFIX}model.parameters")), parsed(said.get(f"{_PREFIX}cost_details"))
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": text(said, f"{_PREFIX}model.name") or None,
        **_usage(parsed(said.get(f"{_PREFIX}usage_details"))),
        "gen_ai.usage.cost": costs.get("total") if isinstance(costs, Mapping) else None,
    }
    if isinstance(settings, Mapping):
        told |= {f"gen_ai.request.{name}": settings.get(name) for name in _PARAMETERS}
    if isinstance(asked, Mapping) and isinstance(asked.get("messages"), list):
        asked = asked["messages"]
    for key, shown, value, messages in (
        (INPUT, "input", asked, as_messages(asked)),
        (OUTPUT, "result", answer, output_messages(answer, {})),
    ):
        told |= {key: messages} if _are_messages(messages) else {shown: value}
    return known(told)


def _usage(told: Any) -> dict[str, Any]:
    """Counts as an API has them, or parts that add up: of Langfuse, what begins with ``input`` is part of the input."""
    if not isinstance(told, Mapping):
        return {}
    for sent, got in (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")):
        if sent in told:
            read, thought = told.get(f"{sent}_details"), told.get(f"{got}_details")
            counts = {"input_tokens": told[sent], "output_tokens": told.get(got)}
            cached = read.get("cached_tokens") if isinstance(read, Mapping) else _first(told, _CACHED)
            reasoning = thought.get("reasoning_tokens") if isinstance(thought, Mapping) else None
            break
    else:
        counts = {f"{side}_tokens": _sum(told, side) for side in ("input", "output")}
        cached, reasoning = _first(told, _CACHED), _first(told, _THOUGHT)
    counts |= {
        "cache_read.input_tokens": cached,
        "cache_creation.input_tokens": _first(told, _WRITTEN),
        "reasoning.output_tokens": reasoning,
    }
    return {f"gen_ai.usage.{name}": count for name, count in counts.items()}


def _are_messages(told: Any) -> bool:
    return isinstance(told, list) and bool(told) and all(isinstance(one, Mapping) and "parts" in one for one in told)


def _first(told: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((told[key] for key in keys if key in told), None)


def _sum(told: Mapping[str, Any], side: str) -> float | None:
    counts = [count for key, count in told.items() if str(key).startswith(side) and finite_number(count) is not None]
    return sum(counts) if counts else None
