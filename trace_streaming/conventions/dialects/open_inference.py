"""OpenInference, of Arize Phoenix, in the words of OpenTelemetry's conventions.

https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.values import Attributes, first, known, listed, parsed, spread, text
from trace_streaming.emitting.messages import as_message

_USAGE: Final = {
    "llm.token_count.prompt": "input_tokens",
    "llm.token_count.completion": "output_tokens",
    "llm.token_count.prompt_details.cache_read": "cache_read.input_tokens",
    "llm.token_count.prompt_details.cache_write": "cache_creation.input_tokens",
    "llm.token_count.completion_details.reasoning": "reasoning.output_tokens",
    "llm.cost.total": "cost",
}
_PARAMETERS: Final = ("temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty")


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    if "openinference.span.kind" not in said and "input.value" not in said and "output.value" not in said:
        return {}
    if kind == "llm_call":
        return _model(said)
    told = {
        "args" if kind == "tool_call" else "input": _value(said, "input"),
        "result": _value(said, "output"),
        "gen_ai.tool.call.id": said.get("tool_call.id"),
    }
    if kind == "tool_call" and told["args"] is None:
        told["args"] = parsed(said.get("tool.parameters"))
    return known(told)


def asked_model(said: Attributes) -> str:
    """The model that was asked for; ``llm.model_name`` is the one that has answered, once it has."""
    settings = parsed(said.get("llm.invocation_parameters"))
    return text(settings, "model", "model_name") if isinstance(settings, Mapping) else ""


def _value(said: Attributes, which: str) -> Any:
    return parsed(said.get(f"{which}.value"))


def _model(said: Attributes) -> dict[str, Any]:
    parsed_settings = parsed(said.get("llm.invocation_parameters"))
    settings: Mapping[str, Any] = parsed_settings if isinstance(parsed_settings, Mapping) else {}
    asked = asked_model(said) or text(said, "llm.model_name")
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": asked or None,
        "gen_ai.response.model": said.get("llm.model_name"),
        "gen_ai.provider.name": first(said, "llm.provider", "llm.system"),
        **{f"gen_ai.request.{name}": settings.get(name) for name in _PARAMETERS},
        **{f"gen_ai.usage.{name}": said.get(key) for key, name in _USAGE.items()},
        INPUT: _messages(said, "llm.input_messages") or _texts(said, "llm.prompts", "user", "prompt"),
        OUTPUT: _messages(said, "llm.output_messages") or _texts(said, "llm.choices", "assistant", "completion"),
    }
    if reason := first(said, "llm.finish_reason"):
        told["gen_ai.response.finish_reasons"] = [reason]
    for key, which in ((INPUT, "input"), (OUTPUT, "output")):
        if not told[key] and (value := _value(said, which)) is not None:
            told[which if which == "input" else "result"] = value
            told[key] = None
    return known(told)


def _messages(said: Attributes, prefix: str) -> list[Any] | None:
    told = (one.get("message") for one in spread(said, prefix) if isinstance(one, Mapping))
    return [_message(one) for one in told if isinstance(one, Mapping)] or None


def _message(one: Mapping[str, Any]) -> Any:
    calls = [
        {
            "id": call.get("id"),
            "function": {"name": function.get("name"), "arguments": function.get("arguments")},
        }
        for each in listed(one.get("tool_calls"))
        if isinstance(each, Mapping)
        and isinstance(call := each.get("tool_call"), Mapping)
        and isinstance(function := call.get("function"), Mapping)
    ]
    if not calls and (function_name := one.get("function_call_name")):  # before calls had ids
        calls = [{"function": {"name": function_name, "arguments": one.get("function_call_arguments_json")}}]
    content = one.get("content")
    if content is None:
        content = [
            {"type": "text", "text": inner["text"]} if isinstance(inner.get("text"), str) else dict(inner)
            for each in listed(one.get("contents"))
            if isinstance(each, Mapping) and isinstance(inner := each.get("message_content"), Mapping)
        ] or None
    told = {"role": one.get("role", "user"), "content": content, "tool_calls": calls}
    return as_message(known({**told, "tool_call_id": one.get("tool_call_id"), "name": one.get("name")}))


def _texts(said: Attributes, prefix: str, role: str, key: str) -> list[Any] | None:
    """Of models that complete texts."""
    found = [one.get(key) for one in spread(said, prefix) if isinstance(one, Mapping)]
    texts = [one.get("text") for one in found if isinstance(one, Mapping)]
    return [as_message({"role": role, "content": one}) for one in texts if isinstance(one, str)] or None
