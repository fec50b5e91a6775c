"""A span of the OpenAI Agents SDK while it is open, and what is known of it by then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trace_streaming.integrations.runs import Run


@dataclass(eq=False, slots=True)
class OpenSpan:
    """One of them."""

    run: Run
    type: str
    trace_id: str
    """The SDK's."""
    above: OpenSpan | None
    handled: BaseException | None
    """What the caller was handling when it began: whatever it handles at its end may have ended it."""
    is_hooked: bool | None = None
    """Of an agent: whether hooks are called for it; None: nobody knows yet."""
    model: str = ""
    has_contents: bool = False
    """Of an agent: whether the SDK is told to include what is sensitive."""
    answer: Any = None
    silent: list[tuple[OpenSpan, float, str | None]] = field(default_factory=list)
    """Of an agent: tools of its turn that ended without a result; how long they took, and what they were given."""
    held: list[tuple[OpenSpan, Any, float]] = field(default_factory=list)
    """Of a tool: agents in it that have ended with tools without a result, and how long they took."""
    last_ended: str = ""
    """Of an agent: the type of what has ended last inside of it."""
    is_called: bool = False
    """Of a tool: it has begun to run."""
    has_not_begun: bool = False
    """Of a tool: the run was asked to stop before."""
    has_returned: bool = False
    has_inside: bool = False
    """Of a tool: an agent runs in it."""

    def nearest(self, kind: str) -> OpenSpan | None:
        """The innermost of this type, this one included."""
        found: OpenSpan | None = self
        while found is not None and found.type != kind:
            found = found.above
        return found
