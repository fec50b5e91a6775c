"""What begins and ends as a ``with`` block: a start, then a completion or an error, paired by ``call_id``.

Blocks know what they are inside of by context variables: in the same task or thread, and in tasks that it starts.
"""

from __future__ import annotations

import uuid
from asyncio import CancelledError
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self

from trace_streaming.events.pairs import OUTCOMES
from trace_streaming.exceptions import StopRequestedError

from .errors import error_details

_entered: ContextVar[tuple[Block, ...]] = ContextVar("trace_streaming.blocks", default=())
_PLACED: Final = frozenset(
    {"plan_created", "route_decision", "budget_warning", "budget_exceeded", "approval_requested", "approval_timeout"}
)
"""Events that say which block they are inside of, wherever they are emitted."""


class Emits(Protocol):
    """What a block needs of its emitter."""

    @property
    def tracebacks(self) -> bool:
        """Whether an error is told with where it came from."""

    @property
    def conversation(self) -> str:
        """What the trace is a part of."""

    def stream_text(self, call_id: str, text: str) -> None:
        """See :meth:`.SpanEmitter.stream_text`."""

    def emit(
        self,
        event: str,
        details: dict[str, Any] | None = None,
        status: str = "pending",
        *,
        timestamp: datetime | None = None,
    ) -> None:
        """See :meth:`trace_streaming.emitter.TraceEmitter.emit`."""


class Block:
    """A span of this process; set ``result`` inside of it to have it in the completion.

    Set ``outcome`` where it neither succeeded nor failed: ``interrupted``, ``cancelled``, ``abandoned`` or
    ``triggered``. A task that is cancelled inside, and a generator that is closed, say so by themselves.
    """

    family: ClassVar[str] = "step"
    """What its events' names begin with."""

    def __init__(self, emitter: Emits, name: str) -> None:
        self.name = name
        self.call_id = uuid.uuid4().hex
        self.parent_call_id: str | None = None
        """``call_id`` of the block that this one is inside of."""
        self.result: Any = None
        self.outcome: str | None = None
        self._emitter = emitter
        self._started = 0.0
        self._finished = False

    def __enter__(self) -> Self:
        entered = _entered.get()
        above = _innermost(self._emitter, entered)
        self.parent_call_id = None if above is None else above.call_id
        self._emitter.emit(f"{self.family}_start", {**self._identity(), **self._begun(above)}, "pending")
        _entered.set((*(block for block in entered if not block._finished), self))
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        duration_ms = round((perf_counter() - self._started) * 1000, 3)
        self._finished = True
        # Not a token's reset: generators leave their blocks in any order, and in another context than they entered.
        _entered.set(tuple(block for block in _entered.get() if block is not self))
        outcome = self.outcome if error is None else outcome_of(error)
        details = {**self._identity(), "duration_ms": duration_ms, **self._ended()}
        if error is not None and outcome is None:
            details |= error_details(error, self._emitter.tracebacks)
            self._emitter.emit(f"{self.family}_error", details, "error")
        else:
            self._emitter.emit(f"{self.family}_complete", *completed(details, outcome))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _identity(self) -> dict[str, Any]:
        identity = {"tool" if self.family == "tool_call" else "name": self.name, "call_id": self.call_id}
        return identity if self.parent_call_id is None else {**identity, "parent_call_id": self.parent_call_id}

    def _begun(self, above: Block | None) -> dict[str, Any]:
        """What the start says beside which it is."""
        return {}

    def _ended(self) -> dict[str, Any]:
        """What the end says of what was done, as far as it got."""
        return {} if self.result is None else {"result": self.result}


class ToolCall(Block):
    """Made by :meth:`.Emitter.tool_call`."""

    family = "tool_call"

    def __init__(self, emitter: Emits, tool: str, args: dict[str, Any]) -> None:
        super().__init__(emitter, tool)
        self._args = args

    @property
    def tool(self) -> str:
        """Its name."""
        return self.name

    def _begun(self, above: Block | None) -> dict[str, Any]:
        return {"args": self._args}


class AgentRun(Block):
    """Made by :meth:`.Emitter.agent`: calls, steps and agents inside of it are its."""

    family = "agent"

    def __init__(self, emitter: Emits, name: str, details: Mapping[str, Any]) -> None:
        super().__init__(emitter, name)
        self._details = details

    def _begun(self, above: Block | None) -> dict[str, Any]:
        return {"gen_ai.agent.name": self.name, **conversation_details(self._emitter), **self._details}


class Step(Block):
    """Made by :meth:`.Emitter.step`."""

    family = "step"

    def __init__(self, emitter: Emits, name: str, kind: str, details: Mapping[str, Any]) -> None:
        super().__init__(emitter, name)
        self._details = {"kind": kind, **details} if kind else details

    def _begun(self, above: Block | None) -> dict[str, Any]:
        return dict(self._details)


def conversation_details(emitter: Emits) -> dict[str, str]:
    """``gen_ai.conversation.id``, where the trace is a part of one."""
    return {"gen_ai.conversation.id": emitter.conversation} if emitter.conversation else {}


def completed(details: dict[str, Any], outcome: str | None) -> tuple[dict[str, Any], str]:
    """Details and status of an end that is no error.

    :raises ValueError: for an outcome that is none
    """
    if outcome is None:
        return details, "success"
    if outcome not in OUTCOMES:
        raise ValueError(f"Not an outcome: {outcome}. Must be one of {', '.join(sorted(OUTCOMES))}")
    return {**details, "outcome": outcome}, "warning"


def outcome_of(error: BaseException) -> str | None:
    """What an exception says that is no failure; None for all others."""
    if isinstance(error, CancelledError | StopRequestedError):
        return "cancelled"
    return "abandoned" if isinstance(error, GeneratorExit) else None


def enclosing(emitter: Emits) -> Block | None:
    """The innermost open block of this emitter that this code runs in."""
    return _innermost(emitter, _entered.get())


def enclosing_agent(emitter: Emits) -> AgentRun | None:
    """The innermost open agent of this emitter that this code runs in."""
    blocks = (block for block in reversed(_entered.get()) if block._emitter is emitter and not block._finished)
    return next((block for block in blocks if isinstance(block, AgentRun)), None)


def placed(emitter: Emits, event: str, details: Any) -> Any:
    """The details, with the block that the event is inside of, where it says that and the caller did not."""
    if not _entered.get() or event not in _PLACED:
        return details
    above = enclosing(emitter)
    if above is None or not isinstance(details, Mapping | None) or "parent_call_id" in (details or ()):
        return details
    return {**(details or {}), "parent_call_id": above.call_id}


def _innermost(emitter: Emits, entered: tuple[Block, ...]) -> Block | None:
    """Same trace, and open: an async generator that is closed early leaves its block behind in the context."""
    return next((b for b in reversed(entered) if b._emitter is emitter and not b._finished), None)
