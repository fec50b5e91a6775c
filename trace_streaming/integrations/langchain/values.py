"""What LangChain's values say, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.outputs import LLMResult

from trace_streaming.emitting.messages import as_messages
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.integrations.interrupts import is_interrupt_id, is_resuming

_PROVIDERS: Final = {
    "amazon_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
}
"""LangSmith's names of them that are not those of OpenTelemetry."""
_REQUEST: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop_sequences",
}
_ROLES: Final = {"human": "user", "ai": "assistant"}
_REASONS: Final = ("finish_reason", "stop_reason", "done_reason")
"""Where providers say why a model has stopped."""
_WRITTEN: Final = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
"""Tokens that were written into a cache: Anthropic's by how long it keeps them, and then not as a whole."""


def model_name(serialized: Mapping[str, Any] | None, options: Mapping[str, Any]) -> str:
    """Of the arguments of ``on_chat_model_start`` or ``on_llm_start``: the model that is asked for, else its class."""
    asked, metadata = options.get("invocation_params") or {}, options.get("metadata") or {}
    names = (
        *(asked.get(key) for key in ("model", "model_name", "model_id")),
        metadata.get("ls_model_name"),
        options.get("name"),
        ((serialized or {}).get("id") or [None])[-1],
    )
    return next((name for name in names if isinstance(name, str) and name), "model")


def request_details(operation: str, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of a model, without the messages."""
    asked, metadata = options.get("invocation_params") or {}, options.get("metadata") or {}
    details = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
    if provider := metadata.get("ls_provider"):
        details["gen_ai.provider.name"] = _PROVIDERS.get(provider, provider)
    for key, name in _REQUEST.items():
        if (value := asked.get(key)) is not None:
            details[f"gen_ai.request.{name}"] = value
    return details


def response_details(result: LLMResult) -> dict[str, Any]:
    """What a model's answer says of itself, without what it says."""
    generation = result.generations[0][0]
    message = getattr(generation, "message", None)
    said = {**(generation.generation_info or {}), **(getattr(message, "response_metadata", None) or {})}
    usage = getattr(message, "usage_metadata", None) or _usage(said, result.llm_output or {})
    of_input = usage.get("input_token_details") or {}
    told = {
        "gen_ai.response.model": said.get("model_name") or said.get("model"),
        "gen_ai.response.id": said.get("id"),
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": of_input.get("cache_read"),
        "gen_ai.usage.cache_creation.input_tokens": sum(of_input.get(key) or 0 for key in _WRITTEN) or None,
        "gen_ai.usage.reasoning.output_tokens": (usage.get("output_token_details") or {}).get("reasoning"),
        "gen_ai.usage.cost": _cost(usage, said),
    }
    if reason := next((said[key] for key in _REASONS if said.get(key)), None):
        told["gen_ai.response.finish_reasons"] = [reason]
    return {key: value for key, value in told.items() if value is not None}


def _usage(*outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Of models of texts, and of those that say it in their provider's words alone."""
    found = [output.get(key) for output in outputs for key in ("token_usage", "usage")]
    told = next((each for each in found if isinstance(each, Mapping) and each), {})
    return {
        "input_tokens": told.get("prompt_tokens", told.get("input_tokens")),
        "output_tokens": told.get("completion_tokens", told.get("output_tokens")),
    }


def _cost(*told: Mapping[str, Any]) -> Any:
    """US dollars, where a provider says so: LangSmith's ``total_cost``, or what OpenRouter adds to the usage."""
    places = [*told, *(each.get("token_usage") for each in told)]
    found = [place.get(key) for place in places if isinstance(place, Mapping) for key in ("total_cost", "cost")]
    return next((cost for cost in found if isinstance(cost, int | float)), None)


def messages(said: Sequence[BaseMessage]) -> Any:
    """Messages with a role and parts."""
    return as_messages([each for message in said for each in _told(message)])


def _told(message: BaseMessage) -> list[dict[str, Any]]:
    """One as OpenAI has it; with roles and blocks of content that OpenAI does not have, as it is."""
    try:
        told: list[dict[str, Any]] = convert_to_openai_messages([message])
    except Exception as error:  # of a role, or a block, that LangChain cannot convert
        if is_for_the_process(error):
            raise
        role = getattr(message, "role", None) or _ROLES.get(message.type, message.type)
        told = [{"role": role, "content": message.content}]
        if calls := getattr(message, "tool_calls", None):
            told[0]["tool_calls"] = [_call(each["id"], each["name"], each["args"]) for each in calls]
        if message.type == "tool":
            told[0]["tool_call_id"] = getattr(message, "tool_call_id", None)
    if invalid := getattr(message, "invalid_tool_calls", None):
        calls = [_call(each.get("id"), each.get("name"), each.get("args")) for each in invalid]
        told[-1]["tool_calls"] = [*(told[-1].get("tool_calls") or ()), *calls]
    return told


def _call(call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(result: LLMResult) -> Any:
    """What a model has answered, as messages."""
    generation = result.generations[0][0]
    message = getattr(generation, "message", None)
    if message is not None:
        return messages([message])
    return [{"role": "assistant", "parts": [{"type": "text", "content": generation.text}]}]


def last_said(state: Any) -> Any:
    """Of a graph's state the last message, which is what is asked for, or the answer; anything else as it is."""
    told = state.get("messages") if isinstance(state, Mapping) else None
    if not isinstance(told, Sequence) or isinstance(told, str) or not told:
        return state
    last = told[-1]
    if isinstance(last, Mapping) and "role" in last:
        return last.get("content", last)
    if isinstance(last, tuple) and len(last) == 2:
        return last[1]
    return last.content if isinstance(last, BaseMessage) else last


def asked_for(inputs: Any) -> Any:
    """What a graph begins with, or, where it goes on, what it was answered."""
    if not is_resuming(inputs):
        return last_said(inputs)
    answers = inputs.resume
    is_one = isinstance(answers, Mapping) and len(answers) == 1 and is_interrupt_id(next(iter(answers)))
    return next(iter(answers.values())) if is_one else answers


def token_text(token: Any) -> str:
    """A piece of an answer: a text, or blocks of content."""
    if isinstance(token, str):
        return token
    blocks = token if isinstance(token, list) else []
    return "".join(block.get("text") or "" for block in blocks if isinstance(block, Mapping))


def prompt(text: str) -> list[dict[str, Any]]:
    """The message of a model that completes texts."""
    return [{"role": "user", "parts": [{"type": "text", "content": text}]}]
