"""What Pydantic AI's values say, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.models.instrumented import InstrumentationSettings

_SETTINGS: Final = (
    *("temperature", "top_p", "top_k", "max_tokens", "seed", "stop_sequences"),
    *("frequency_penalty", "presence_penalty"),
)


def request_details(request: ModelRequestContext) -> dict[str, Any]:
    """What is asked of a model, without the messages."""
    settings = request.model_settings or {}
    told = {name: settings.get(name) for name in _SETTINGS}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": request.model.system,
        "gen_ai.request.model": request.model.model_name,
        **{f"gen_ai.request.{name}": value for name, value in told.items() if value is not None},
    }


def messages(said: Sequence[ModelMessage]) -> list[Any]:
    """Messages with a role and parts, as Pydantic AI itself tells them; pictures and files by their kind alone."""
    told: list[Any] = list(_instrumentation().messages_to_otel_messages(list(said)))
    last = next((each for each in reversed(said) if isinstance(each, ModelRequest)), None)
    if last is not None and last.instructions:
        told.insert(0, {"role": "system", "parts": [{"type": "text", "content": last.instructions}]})
    return told


@cache
def _instrumentation() -> InstrumentationSettings:
    return InstrumentationSettings(include_binary_content=False)


def response_details(response: ModelResponse) -> dict[str, Any]:
    """What a model's answer says of itself, without what it says."""
    usage = response.usage
    told: dict[str, Any] = {
        "gen_ai.response.model": response.model_name,
        "gen_ai.response.id": response.provider_response_id,
        "gen_ai.usage.input_tokens": usage.input_tokens or None,
        "gen_ai.usage.output_tokens": usage.output_tokens or None,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens or None,
        "gen_ai.usage.reasoning.output_tokens": usage.details.get("reasoning_tokens"),
        "gen_ai.response.finish_reasons": [reason] if (reason := finish_reason(response)) else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def finish_reason(response: ModelResponse) -> str:
    """Why the model has stopped, where the provider says it; else what it has answered does."""
    if response.finish_reason is not None:
        return "tool_calls" if response.finish_reason == "tool_call" else response.finish_reason
    return "tool_calls" if response.tool_calls else "stop"


def piece_of_text(event: Any) -> str:
    """What an event of a model's stream adds to its answer."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return str(event.part.content)
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return str(event.delta.content_delta)
    return ""
