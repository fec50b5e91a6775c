"""One tool call as a ``with`` block: a start, then a completion or an error, paired by ``call_id``."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, Self

from trace_streaming.events.interruptions import is_for_the_process

_entered: ContextVar[tuple[ToolCall, ...]] = ContextVar("trace_streaming.tool_calls", default=())


class Emits(Protocol):
    """What a tool call needs of its emitter."""

    def emit(self, event: str, details: dict[str, Any] | None = None, status: str = "pending") -> None:
        """See :meth:`trace_streaming.emitter.TraceEmitter.emit`."""


class ToolCall:
    """Made by :meth:`TraceEmitter.tool_call`; set ``result`` inside the block to have it in the completion."""

    def __init__(self, emitter: Emits, tool: str, args: dict[str, Any]) -> None:
        self.tool = tool
        self.call_id = uuid.uuid4().hex
        self.parent_call_id: str | None = None
        """``call_id`` of the call that this one is inside of."""
        self.result: Any = None
        self._emitter = emitter
        self._args = args
        self._started = 0.0
        self._finished = False

    def __enter__(self) -> Self:
        entered = _entered.get()
        self.parent_call_id = next((call.call_id for call in reversed(entered) if call._encloses(self)), None)
        _entered.set((*(call for call in entered if not call._finished), self))
        self._emitter.emit("tool_call_start", {**self._identity(), "args": self._args}, "pending")
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        duration_ms = round((perf_counter() - self._started) * 1000, 3)
        self._finished = True
        # Not a token's reset: generators leave their blocks in any order, and in another context than they entered.
        _entered.set(tuple(call for call in _entered.get() if call is not self))
        details = {**self._identity(), "duration_ms": duration_ms}
        # A generator that is closed early has not failed.
        if error is None or isinstance(error, GeneratorExit):
            if self.result is not None:
                details["result"] = self.result
            self._emitter.emit("tool_call_complete", details, "success")
        else:
            details |= {"error": error_text(error), "error_type": type(error).__name__}
            self._emitter.emit("tool_call_error", details, "error")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _encloses(self, call: ToolCall) -> bool:
        """Same trace, and open: an async generator that is closed early leaves its call behind in the context."""
        return self._emitter is call._emitter and not self._finished

    def _identity(self) -> dict[str, Any]:
        identity = {"tool": self.tool, "call_id": self.call_id}
        return identity if self.parent_call_id is None else {**identity, "parent_call_id": self.parent_call_id}


def error_text(error: BaseException) -> str:
    """An exception's own text; a stranger's ``__str__`` may fail."""
    try:
        return str(error)
    except BaseException as raised:
        if not isinstance(raised, Exception) and is_for_the_process(raised):
            raise
        return f"[unserialisable {type(error).__name__}]"
