"""How an emitter tells of spans: as ``with`` blocks, and, for adapters, as starts and ends by id."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from trace_streaming.events.deltas import TextDelta
from trace_streaming.events.pairs import FAMILIES
from trace_streaming.redaction import Redactor

from .blocks import AgentRun, Step, ToolCall, completed, enclosing, outcome_of
from .errors import error_details
from .faces import FaceEmitter
from .model_calls import ModelCall, request_details
from .text_streams import TextStream


class SpanEmitter(FaceEmitter, ABC):
    """The part of :class:`.Emitter` that tells of tools, models, agents and steps."""

    tracebacks: bool = True
    """Whether an error in a block is told with where it came from."""

    trace_id: str
    """The trace's id."""
    _streams: dict[str, TextStream]
    """Of calls that are saying something, by their ids."""

    @abstractmethod
    def emit(
        self,
        event: str,
        details: Mapping[str, Any] | None = None,
        status: str = "pending",
        *,
        timestamp: datetime | None = None,
    ) -> None:
        """Emit an event."""

    def tool_call(self, tool: str, /, **args: Any) -> ToolCall:
        """A ``with`` or ``async with`` block that emits a tool call's start, and its completion or error.

        Set ``call.result`` inside. Calls inside of it, in the same task or thread, name it as ``parent_call_id``.
        """
        return ToolCall(self, tool, args)

    def agent(self, name: str, /, **details: Any) -> AgentRun:
        """A block that emits an agent's start, and its completion or error; calls inside of it are its.

        :param details: what else its start says, such as what it was asked
        """
        return AgentRun(self, name, details)

    def llm_call(
        self,
        model: str,
        /,
        *,
        provider: str = "",
        messages: Sequence[Any] | None = None,
        details: Mapping[str, Any] | None = None,
        **request: Any,
    ) -> ModelCall:
        """A block that emits a model call's start, and its completion or error; see :class:`.ModelCall`.

        :param provider: by OpenTelemetry's name, such as ``openai``, ``anthropic`` or ``aws.bedrock``
        :param messages: what the model is sent, as the clients of OpenAI, Anthropic and Bedrock, or OpenTelemetry's
            conventions, have them
        :param details: what else its start says, under names of one's own
        :param request: parameters of the request, such as ``temperature=0.2``: ``gen_ai.request.temperature``
        """
        return ModelCall(self, model, provider, messages, {**request_details(request), **(details or {})})

    def stream_text(self, call_id: str, text: str) -> None:
        """Tell who watches what a call says while it says it: the plain form of ``call.stream``, for adapters.

        Nothing of it is stored; the text as a whole is told at the call's end. What of it is a secret, or may still
        become one, is not told.
        """
        stream = self._streams.get(call_id)
        if stream is None:
            stream = self._streams.setdefault(
                call_id, TextStream(self.trace_id, call_id, self._stream_redactor(), self._tell)
            )
        stream.put(text)

    def _end_stream(self, event: str, details: Mapping[str, Any] | None) -> None:
        """A call has ended, and what it was saying with it; with the trace, all have."""
        if self._streams and isinstance(details, Mapping) and event.endswith(("_complete", "_error")):
            stream = self._streams.pop(str(details.get("call_id")), None)
            if stream is not None:
                stream.close()

    @abstractmethod
    def _stream_redactor(self) -> Redactor:
        """What redacts its texts."""

    @abstractmethod
    def _tell(self, delta: TextDelta) -> None:
        """Hand a piece of text to whoever carries it."""

    def step(self, name: str, /, *, kind: str = "", **details: Any) -> Step:
        """A block that emits a step's start, and its completion or error.

        :param kind: ``chain``, ``node``, ``retrieval``, ``rerank``, ``embedding``, ``guardrail``, ``evaluation``, or a
            word of one's own
        """
        return Step(self, name, kind, details)

    def open_span(
        self,
        kind: str,
        name: str,
        /,
        *,
        call_id: str | None = None,
        parent_call_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Emit a span's start: the plain form of the blocks, for adapters. Nothing of it is remembered.

        :param kind: ``tool_call``, ``llm_call``, ``agent`` or ``step``
        :param call_id: its id where it was made; None: a new one
        :param parent_call_id: of the span that it is inside of; None: of the block that this code runs in, if any
        :returns: its id
        :raises ValueError: for another kind; see also :meth:`emit`
        """
        call_id = call_id or uuid.uuid4().hex
        told = {**_named(kind, name), **self._place(call_id, parent_call_id), **(details or {})}
        self.emit(f"{kind}_start", told, "pending", timestamp=timestamp)
        return call_id

    def close_span(
        self,
        kind: str,
        call_id: str,
        /,
        *,
        name: str = "",
        parent_call_id: str | None = None,
        error: BaseException | str | None = None,
        outcome: str | None = None,
        details: Mapping[str, Any] | None = None,
        duration_ms: float | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Emit a span's end, in whatever thread, process or order.

        :param kind: what it was; another than at its start, where that was not known
        :param error: why it failed; a task's cancellation and a generator's end are no failures
        :param outcome: what became of it where it neither succeeded nor failed
        :param duration_ms: where the times of start and end do not say it
        :raises ValueError: for another kind or outcome; see also :meth:`emit`
        """
        told = {**_named(kind, name), "call_id": call_id, **(details or {})}
        if parent_call_id is not None:
            told["parent_call_id"] = parent_call_id
        if duration_ms is not None:
            told["duration_ms"] = duration_ms
        if isinstance(error, BaseException):
            outcome = outcome or outcome_of(error)
        if error is None or outcome is not None:
            self.emit(f"{kind}_complete", *completed(told, outcome), timestamp=timestamp)
        else:
            told |= error_details(error, self.tracebacks) if isinstance(error, BaseException) else {"error": error}
            self.emit(f"{kind}_error", told, "error", timestamp=timestamp)

    def _place(self, call_id: str, parent_call_id: str | None) -> dict[str, str]:
        above = None if parent_call_id is not None else enclosing(self)
        parent_call_id = parent_call_id if above is None else above.call_id
        return (
            {"call_id": call_id} if parent_call_id is None else {"call_id": call_id, "parent_call_id": parent_call_id}
        )


def _named(kind: str, name: str) -> dict[str, str]:
    if kind not in FAMILIES:
        raise ValueError(f"Not a kind of span: {kind}. Must be one of {', '.join(FAMILIES)}")
    return {("tool" if kind == "tool_call" else "name"): name} if name else {}
