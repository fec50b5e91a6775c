"""LangSmith's SDK in the words of OpenTelemetry's conventions: what a run is given and returns is in two attributes.

https://docs.langchain.com/langsmith/trace-with-opentelemetry
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.values import Attributes, known, listed, parsed
from trace_streaming.emitting.messages import as_messages

KIND: Final = "langsmith.span.kind"
GIVEN, RETURNED = "gen_ai.prompt", "gen_ai.completion"
_ROLES: Final = {"human": "user", "ai": "assistant", "chat": "user"}
"""Of LangChain's types of messages; others are called as the role."""


def is_agent(said: Attributes) -> bool:
    """Whether it is the chain that an agent of LangChain is."""
    name = said.get("langsmith.trace.name")
    return name is not None and name == said.get("langsmith.metadata.lc_agent_name")


def details(said: Attributes, kind: str) -> dict[str, Any]:
    """What is said in these words; nothing where nothing is."""
    given, returned = parsed(said.get(GIVEN)), parsed(said.get(RETURNED))
    if given is None and returned is None:
        return {}
    if kind == "llm_call":
        told = {"input": given, "result": returned}
        for key, name, value, role in ((INPUT, "input", given, "user"), (OUTPUT, "result", returned, "assistant")):
            if found := _messages(value, role):
                told |= {key: as_messages(found), name: None}
        return known(told)
    if kind == "tool_call" and isinstance(returned, Mapping) and set(returned) == {"output"}:
        returned = returned["output"]
        if isinstance(returned, Mapping) and returned.get("type") == "tool":  # LangChain's message
            returned = returned.get("content")
    return known({"args" if kind == "tool_call" else "input": given, "result": returned})


def _messages(told: Any, role: str) -> list[Any]:
    """Those of a run of LangChain, or of a client of OpenAI's; a text is one."""
    if isinstance(told, str):
        return [{"role": role, "content": told}]
    if isinstance(told, Mapping):
        choices = (one.get("message") for one in listed(told.get("choices")) if isinstance(one, Mapping))
        flat = [*_flat(told.get("messages")), *map(_of_generation, _flat(told.get("generations"))), *choices]
        return [_message(one) for one in flat if one is not None]
    return [_message(one) for one in _flat(told)]


def _flat(told: Any) -> list[Any]:
    return [item for one in listed(told) for item in (one if isinstance(one, list) else [one])]


def _of_generation(one: Any) -> Any:
    if not isinstance(one, Mapping):
        return one
    return one.get("message") or {"role": "assistant", "content": one.get("text")}


def _message(told: Any) -> Any:
    """With a role, of one of LangChain's, as it is or with what makes it again around it."""
    one = told.get("kwargs", told) if isinstance(told, Mapping) and told.get("lc") == 1 else told
    if not isinstance(one, Mapping) or "role" in one or not isinstance(kind := one.get("type"), str):
        return one
    kind = kind.removesuffix("MessageChunk").lower()
    rest = {key: one.get(key) for key in ("content", "tool_calls", "tool_call_id", "name")}
    return {"role": _ROLES.get(kind, kind), **known(rest)}
