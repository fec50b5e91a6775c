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
    if isinstance(resume, Mapping) and resume and all(_is_id(key) for key in resume):
        return interrupt_id in resume
    return True


def _is_id(key: object) -> bool:
    return isinstance(key, str) and _INTERRUPT_ID.fullmatch(key) is not None
