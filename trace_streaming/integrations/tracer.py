"""What all adapters do: find an emitter, tell of spans, and let nothing that fails here reach the framework."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

import orjson

from trace_streaming.emitting.blocks import outcome_of
from trace_streaming.emitting.contract import Emitter, current_emitter
from trace_streaming.events.freezing import freeze
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.exceptions import NonCanonicalEventError, StopRequestedError
from trace_streaming.telemetry.logs import BurstLog, describe

from .runs import Asked, Run, Trace

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

questions_taken: ContextVar[list[Asked] | None] = ContextVar("trace_streaming.questions", default=None)
"""Where somebody asks a human himself: what frameworks ask for goes there, and is not told as an approval."""
NewEmitter = Callable[..., Emitter]
"""Makes an emitter: called with ``name`` and ``conversation``, or, to go on with a trace, with ``trace_id``."""
_STATES: Final = {None: "success", "error": "error"}
"""How a trace ends, by what became of its root; otherwise ``incomplete``."""


def guarded(method: Callable[P, R]) -> Callable[P, R | None]:
    """A hook that a framework calls: what fails in it is logged, and the framework goes on as if it were not there.

    :param method: of an adapter, which has its :class:`Tracer` as ``_tracer``
    """

    @wraps(method)
    def hook(*args: P.args, **kwargs: P.kwargs) -> R | None:
        adapter: Any = args[0]
        tracer: Tracer = adapter._tracer
        return tracer.safely(method, *args, **kwargs)

    return hook


class Tracer:
    """Tells of the runs of one framework.

    :param framework: its name, for the log
    :param emitter: None: the :func:`.current_emitter` where a run begins; where there is none, a new one for each root
        run, which ends with it
    :param owner: whose a new trace is: called without arguments where a run begins, returns a user or None
    :param new_emitter: makes these new ones, instead of :class:`.TraceEmitter`
    :param contents: whether messages, arguments and results are told; else names, numbers and sizes alone
    """

    def __init__(
        self,
        framework: str,
        emitter: Emitter | None = None,
        owner: Callable[[], Any] | None = None,
        new_emitter: NewEmitter | None = None,
        contents: bool = True,
    ) -> None:
        self._framework = framework
        self._emitter = emitter
        self._owner = owner
        self._new_emitter = new_emitter or self._project_emitter
        self.contents = contents
        self._log = BurstLog(logger, logging.ERROR)

    def safely(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What the function returns; None where it fails, which is logged once."""
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # of an emitter, a redactor, a database, or a stranger's value
            if is_for_the_process(error):
                raise
            self._failed(error)
            return None

    def _failed(self, error: BaseException) -> None:
        kind = type(error).__name__
        if isinstance(error, NonCanonicalEventError):
            message = (
                "Agents, models and steps of %s are not shown (%s). Set TRACE_STREAMING_EXTRA_EVENTS = "
                "trace_streaming.AGENT_EVENTS"
            )
        else:
            message = (
                "A run of %s goes on, and is not shown as it is (%s). Look at its emitter, which may be handed to the "
                "adapter, at TRACE_STREAMING_REDACTOR, and at what makes owners"
            )
        self._log.failed(kind, message, self._framework, kind)
        logger.debug("%s", describe(error))

    def _project_emitter(self, **options: Any) -> Emitter:
        from trace_streaming.emitting.emitter import TraceEmitter  # needs a project's settings

        if "name" in options:  # otherwise a trace goes on
            options["owner"] = None if self._owner is None else self.safely(self._owner)
        return TraceEmitter(**options)

    def check_stop(self, find: Callable[..., Run | None], *args: Any) -> None:
        """End the run where somebody asks it to stop. Called before a span begins: none is left open by it.

        :param find: what it would be inside of; None of a root
        :raises StopRequestedError: and nothing else
        """
        stop = self.safely(self._stop, find, args)
        if stop is not None:
            raise stop

    def _stop(self, find: Callable[..., Run | None], args: tuple[Any, ...]) -> StopRequestedError | None:
        inside_of = find(*args)
        emitter = (self._emitter or current_emitter()) if inside_of is None else inside_of.trace.emitter
        try:
            if emitter is not None:
                emitter.check_stop()
        except StopRequestedError as error:
            return error
        return None

    def begin(
        self,
        kind: str,
        name: str,
        parent: Run | None = None,
        *,
        conversation: object = None,
        call_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        is_shown: bool = True,
    ) -> Run:
        """A run that begins. Never fails: where it cannot be told, it is not shown.

        :param conversation: of a root, the framework's id of what it is a part of
        """
        trace = self._trace(name, conversation) if parent is None else parent.trace
        run = Run(kind, name, trace, parent, call_id or uuid4().hex)
        trace.open[run] = None
        if is_shown:
            self.safely(self.show, run, details)
        return run

    def _trace(self, name: str, conversation: object) -> Trace:
        told = "" if conversation is None else str(conversation)
        emitter, is_own = self.safely(self.emitter_for, name, told) or (None, True)
        return Trace(emitter, is_own=is_own, conversation=told)

    def emitter_for(self, name: str, conversation: str, trace_id: str = "") -> tuple[Emitter, bool]:
        """Where something that begins here is told, and whether that was made for it.

        :param trace_id: of a new one, where the framework has an id for it
        """
        found = self._emitter or current_emitter()
        if found is not None:
            return found, False
        named = {"trace_id": trace_id} if trace_id else {}
        return self._new_emitter(name=name, conversation=conversation or None, **named), True

    def show(self, run: Run, details: Mapping[str, Any] | None = None) -> None:
        """Tell of a run that has not been shown."""
        trace, parent = run.trace, None if run.parent is None else run.parent.nearest()
        if trace.emitter is None or run.is_shown or run.kind in trace.refused:
            return
        told = dict(details or {})
        if run.kind in {"agent", "llm_call"} and trace.conversation:
            told.setdefault("gen_ai.conversation.id", trace.conversation)
        if run.kind == "agent":
            told.setdefault("gen_ai.agent.name", run.name)
        elif run.kind == "llm_call" and parent is not None and (agent := parent.nearest("agent")) is not None:
            told.setdefault("gen_ai.agent.name", agent.name)
        try:
            trace.emitter.open_span(
                run.kind,
                run.name,
                call_id=run.call_id,
                parent_call_id=None if parent is None else parent.call_id,
                details=told,
            )
        except NonCanonicalEventError:
            trace.refused.add(run.kind)
            raise
        run.is_shown = True

    def end(
        self,
        run: Run,
        *,
        name: str = "",
        error: BaseException | str | None = None,
        outcome: str | None = None,
        details: Mapping[str, Any] | None = None,
        duration_ms: float | None = None,
    ) -> None:
        """A run has ended; a second time changes nothing. Never fails."""
        if run not in run.trace.open:
            return
        del run.trace.open[run]
        error = run.error if error is None else error
        if isinstance(error, BaseException):
            outcome = outcome or outcome_of(error)
        elif error is None:
            outcome = outcome or run.outcome
        emitter = run.trace.emitter
        if run.is_shown and emitter is not None:
            told = {**run.told, **(details or {})}
            if run.first_chunk is not None:
                told["gen_ai.response.time_to_first_chunk"] = run.first_chunk
            if error is not None and not self.contents:
                kind = type(error).__name__ if isinstance(error, BaseException) else "error"
                error, told["error_type"] = None if outcome else kind, kind
            self.safely(
                emitter.close_span,
                run.kind,
                run.call_id,
                name=name or run.name,
                error=error,
                outcome=outcome,
                details=told,
                duration_ms=run.elapsed_ms if duration_ms is None else duration_ms,
            )
        if run.parent is None:
            run.trace.end_state = _STATES.get(outcome or (None if error is None else "error"), "incomplete")
        self._end_trace(run.trace)

    def _end_trace(self, trace: Trace) -> None:
        if trace.is_own and trace.end_state is not None and not trace.open and trace.emitter is not None:
            self.safely(trace.emitter.end, trace.end_state)
            trace.ended_id, trace.emitter = trace.emitter.trace_id, None

    def content(self, key: str, value: Any) -> dict[str, Any]:
        """What somebody has said or been told, or, where contents are not wanted, its size in bytes of JSON."""
        if value is None:
            return {}
        return {key: value} if self.contents else {f"{key}_bytes": len(orjson.dumps(freeze(value)))}

    def stream(self, run: Run, text: str) -> None:
        """A piece of a model's answer."""
        run.take_chunk()
        if self.contents and text and run.is_shown and run.trace.emitter is not None:
            run.trace.emitter.stream_text(run.call_id, text)

    def emit(self, run: Run, event: str, details: Mapping[str, Any], status: str = "pending") -> None:
        """An event inside of a run."""
        above = run.nearest()
        if run.trace.emitter is not None:
            inside = {} if above is None else {"parent_call_id": above.call_id}
            run.trace.emitter.emit(event, {**details, **inside}, status)

    def ask(self, run: Run, action: str, arguments: Any = None, key: Any = None) -> Asked:
        """A framework asks a human, and ends the run; who decides, and how, is its own matter, or of :mod:`.asking`."""
        above = run.nearest()
        asked = Asked(run.trace, str(uuid4()), action, key, "" if above is None else above.call_id)
        if (taken := questions_taken.get()) is not None:
            taken.append(asked)
            return replace(asked, approval_id="", trace=Trace(None, conversation=run.trace.conversation))
        told = {"approval_id": asked.approval_id, "action": action, **self.content("arguments", arguments)}
        self.safely(self.emit, run, "approval_requested", told)
        return asked

    def answered(self, asked: Asked, decision: str = "resumed") -> None:
        """A framework goes on with what it has asked for."""
        self.safely(self._answer, asked, decision)

    def _answer(self, asked: Asked, decision: str) -> None:
        trace = asked.trace
        if not asked.approval_id:
            return
        # A trace that was ended goes on with what is emitted, until it is ended again: by another emitter.
        is_over = bool(trace.ended_id)
        emitter = self._new_emitter(trace_id=trace.ended_id) if is_over else trace.emitter
        if emitter is None:
            return
        details = {"approval_id": asked.approval_id, "action": asked.action, "decision": decision}
        emitter.emit("approval_received", details, "error" if decision == "rejected" else "success")
        if is_over:
            emitter.end(trace.end_state or "incomplete")
