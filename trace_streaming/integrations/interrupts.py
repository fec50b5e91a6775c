"""What LangGraph says when it stops for a human: read by its shape, so that LangChain alone suffices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_INTERRUPT_ID: Final = re.compile(r"[0-9a-f]{32}")


def is_handed_over(error: BaseException) -> bool:
    """Whether a graph goes on in the one around it: that is no failure, and no interruption."""
    return _is_a("ParentCommand", error)


def is_interrupt(error: BaseException) -> bool:
    """Whether a graph has stopped to be resumed."""
    return _is_a("GraphBubbleUp", error) and not is_handed_over(error)


def _is_a(name: str, error: BaseException) -> bool:
    return any(kind.__name__ == name for kind in type(error).__mro__)


def interrupts_of(error: BaseException) -> Sequence[Any]:
    """The ``Interrupt``s that an exception carries."""
    found = error.args[0] if error.args else ()
    return [each for each in found if hasattr(each, "value")] if isinstance(found, list | tuple) else []


def questions(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What an interrupt asks for: actions with their arguments, several of ``HumanInTheLoopMiddleware``.

    :param name: of what asks, where the value names no action
    """
    if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
        for request in value["action_requests"]:
            yield str(request.get("name") or request.get("action") or name), request.get("args")
    elif isinstance(value, Mapping) and value.get("type") == "tool_approval":
        yield str(value.get("name") or name), value.get("args")
    elif isinstance(value, Mapping) and isinstance(value.get("action"), str):
        yield value["action"], {key: item for key, item in value.items() if key != "action"}
    else:
        yield name, value


def is_resuming(inputs: Any) -> bool:
    """Whether a graph's input is a ``Command`` that answers what was asked."""
    return type(inputs).__name__ == "Command" and getattr(inputs, "resume", None) is not None


def resumes(inputs: Any, interrupt_id: str) -> bool:
    """Whether such a command answers this interrupt: it names some by their ids, or means the only one."""
    resume = inputs.resume
    if isinstance(resume, Mapping) and resume and all(is_interrupt_id(key) for key in resume):
        return interrupt_id in resume
    return True


def is_interrupt_id(key: object) -> bool:
    """Whether LangGraph names an interrupt so."""
    return isinstance(key, str) and _INTERRUPT_ID.fullmatch(key) is not None


def is_review(value: Any) -> bool:
    """Whether ``HumanInTheLoopMiddleware`` asks for all calls of a turn."""
    return isinstance(value, Mapping) and {"action_requests", "review_configs"} <= value.keys()


def is_call(value: Any) -> bool:
    """Whether it asks for one call, as that begins."""
    return isinstance(value, Mapping) and value.get("type") == "tool_approval"


def words(schema: Any) -> Iterator[str]:
    """The decisions of a JSON schema: of each of its objects the constant ``type``."""
    if isinstance(schema, Mapping):
        kind = (schema.get("properties") or {}).get("type")
        if isinstance(kind, Mapping):
            yield from (kind["const"],) if "const" in kind else kind.get("enum") or ()
        for each in schema.values():
            yield from words(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from words(each)


def edit_schema(schema: Any) -> dict[str, Any] | None:
    """Of the arguments of a tool, where a human may edit them: LangGraph refuses others, again and again."""
    definitions = schema.get("$defs") if isinstance(schema, Mapping) else None
    for each in (definitions or {}).values():
        properties = each.get("properties") or {}
        if properties.keys() == {"name", "args"}:
            return {**properties["args"], "$defs": definitions}
    return None


def tool_calls(state: Any) -> Sequence[Mapping[str, Any]]:
    """Those of a model's last word."""
    messages = state.get("messages") if isinstance(state, Mapping) else None
    return getattr(messages[-1], "tool_calls", ()) if isinstance(messages, Sequence) and messages else ()
