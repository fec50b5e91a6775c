"""What an orchestrator holds: ``emitter.emit("tool_call_start", {...})``, and nothing of WebSockets."""

from __future__ import annotations

import asyncio
import copy
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import orjson
from django.utils.module_loading import import_string

from .approval_requests import DECISIONS, ApprovalRequest, AskedBefore, Decision, ask, new_request
from .budgets import WARN_AT, Budget
from .conf import DEFAULT_REDACTOR, conf
from .events import (
    CANONICAL_EVENTS,
    END_STATES,
    TraceEnd,
    TraceEvent,
    TraceStart,
    check_event_name,
    check_status,
    check_trace_id,
    event_names,
    format_timestamp,
    lifted_duration_ms,
    lifted_tool_name,
)
from .freezing import JSON, encode_details, freeze_details
from .golden_signals import golden_signals
from .open_telemetry import span_ids
from .redaction import REDACTION_FAILED, Redactor
from .signals import event_emitted, flush_requested, trace_ended, trace_started
from .tool_calls import ToolCall

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

logger = logging.getLogger(__name__)

_entered: ContextVar[tuple[TraceEmitter, ...]] = ContextVar("trace_streaming.emitters", default=())


def current_emitter() -> TraceEmitter | None:
    """The emitter of the innermost ``with`` block that this code runs in, or None.

    An ended one does not count: an async generator that is closed early leaves its own behind in the context.
    """
    return next((emitter for emitter in reversed(_entered.get()) if not emitter.ended), None)


class TraceEmitter:
    """Emits the events of one trace.

    Plain synchronous Python: callable from an async task, a sync view, a thread, a Celery worker or a script. As a
    context manager, sync or async, it is the :func:`current_emitter` inside and ends the trace on leaving, with
    ``error`` when an exception passes.

    :param trace_id: 1 to 128 of ``A-Z a-z 0-9 . _ ~ : @ -``; None or "" means a new one
    :param owner: the user whose trace this is, and who may watch it from now on
    :param metadata: what else is to be known of the trace; redacted like details; the ids of OpenTelemetry's active
        span are added
    :raises InvalidTraceIdError: a ``ValueError``, for other trace ids
    """

    CANONICAL_EVENTS: ClassVar[frozenset[str]] = frozenset(CANONICAL_EVENTS)

    def __init__(
        self,
        trace_id: str | None = None,
        *,
        owner: AbstractBaseUser | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.trace_id = check_trace_id(trace_id or str(uuid.uuid4()))
        self.events: list[dict[str, Any]] = []
        self._started = perf_counter()
        self._ended: float | None = None
        span = span_ids()
        if owner is not None or metadata is not None or span:
            owner_id = None if owner is None else owner.pk
            # Added to what is redacted: a span's digits may look like an account's.
            text = encode_details({**redacted(metadata), **span})[1]
            start = TraceStart(self.trace_id, datetime.now(UTC), owner_id, text)
            _send(trace_started, start=start)

    def __bool__(self) -> bool:
        """Always true: callers write ``emitter or TraceEmitter()``."""
        return True

    def __repr__(self) -> str:
        return f"<TraceEmitter {self.trace_id}: {len(self.events)} events>"

    @property
    def ended(self) -> bool:
        """Whether the trace was ended."""
        return self._ended is not None

    def emit(self, event: str, details: Mapping[str, Any] | None = None, status: str = "pending") -> None:
        """Emit an event. Returns in microseconds; touches neither database nor network.

        :param event: a canonical name, or one of ``TRACE_STREAMING_EXTRA_EVENTS``
        :param details: anything; frozen and redacted now, so later changes change nothing
        :param status: ``pending``, ``running``, ``success``, ``warning`` or ``error``
        :raises NonCanonicalEventError: a ``ValueError``
        :raises NonCanonicalStatusError: a ``ValueError``
        """
        emitted, frozen = make_event(self.trace_id, event, details, status)
        self._remember(emitted, frozen)
        announce(emitted)

    def _remember(self, emitted: TraceEvent, frozen: dict[str, JSON]) -> None:
        self.events.append(
            {
                "event": emitted.event,
                "trace_id": self.trace_id,
                "timestamp": format_timestamp(emitted.timestamp),
                "details": frozen,
                "status": emitted.status,
            }
        )

    async def aemit(self, event: str, details: Mapping[str, Any] | None = None, status: str = "pending") -> None:
        """Like :meth:`emit`, and lets the event loop take a turn, so that a tight loop of emits starves nobody.

        Where ``emit`` waits for the database, this waits in a thread.
        """
        if conf.DURABILITY == "sync":
            await asyncio.to_thread(self.emit, event, details, status)
        else:
            self.emit(event, details, status)
            await asyncio.sleep(0)

    def tool_call(self, tool: str, /, **args: Any) -> ToolCall:
        """A ``with`` or ``async with`` block that emits a tool call's start, and its completion or error.

        Set ``call.result`` inside. Calls inside of it, in the same task or thread, name it as ``parent_call_id``.
        """
        return ToolCall(self, tool, args)

    def request_approval(
        self,
        action: str,
        *,
        tool_name: str = "",
        risk_level: str = "medium",
        arguments: Mapping[str, Any] | None = None,
        timeout: float = 300.0,
        allowed: Sequence[str] = DECISIONS,
        schema: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Ask a human, and wait, without holding a database connection, until somebody decides or the time is over.

        Nobody decides: ``decision`` is ``timeout``, which is a no. Should this process die, the approval can still be
        decided; :meth:`wait_for` picks it up again.

        :param action: what is to be done, in up to 200 characters
        :param risk_level: ``low``, ``medium``, ``high`` or ``critical``
        :param arguments: of the action; humans see them redacted
        :param timeout: seconds, at most a year
        :param allowed: of ``approved``, ``rejected`` and ``edited``
        :param schema: a JSON schema that edited arguments must fit
        :raises ValueError: for another risk level, decision or timeout
        """
        request = self._approval_request(action, tool_name, risk_level, arguments, timeout, allowed, schema)
        return self._decided(ask(request).result())

    async def arequest_approval(
        self,
        action: str,
        *,
        tool_name: str = "",
        risk_level: str = "medium",
        arguments: Mapping[str, Any] | None = None,
        timeout: float = 300.0,  # noqa: ASYNC109  of the human, not of the call
        allowed: Sequence[str] = DECISIONS,
        schema: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Like :meth:`request_approval`, without blocking the event loop."""
        request = self._approval_request(action, tool_name, risk_level, arguments, timeout, allowed, schema)
        return self._decided(await asyncio.wrap_future(ask(request)))

    def _approval_request(self, *question: Any) -> ApprovalRequest:
        return new_request(redacted, self.emit, self.trace_id, *question)

    def _decided(self, decision: Decision) -> Decision:
        """Its event was recorded by whoever decided."""
        if decision.event is not None:
            self._remember(decision.event, orjson.loads(decision.event.details))
        return decision

    def wait_for(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision:
        """Wait for an approval of this trace that was asked for before, perhaps by a process that has died.

        :param arguments: as they were asked for: where a human left what he was not shown, they are put back
        :raises ApprovalNotFoundError: a ``LookupError``; it was never stored
        """
        return self._decided(ask(AskedBefore(approval_id, arguments)).result())

    async def await_for(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision:
        """Like :meth:`wait_for`, without blocking the event loop."""
        return self._decided(await asyncio.wrap_future(ask(AskedBefore(approval_id, arguments))))

    def budget(self, total: float, used: float = 0, *, name: str = "", warn_at: float = WARN_AT) -> Budget:
        """A :class:`~trace_streaming.budgets.Budget` that this trace spends."""
        return Budget(self, total, used, name=name, warn_at=warn_at)

    def end(self, state: str = "success") -> None:
        """End the trace; the first call counts.

        :param state: ``success``, ``error`` or ``incomplete``
        :raises ValueError: for another state
        """
        if state not in END_STATES:
            raise ValueError(f"Not an end state: {state}. Must be one of {', '.join(END_STATES)}")
        if self._ended is None:
            self._ended = perf_counter()
            end = TraceEnd(self.trace_id, state, datetime.now(UTC))
            _send(trace_ended, end=end)

    def get_trace(self) -> list[dict[str, Any]]:
        """A copy of the events, in the order they were emitted."""
        return copy.deepcopy(self.events)

    def get_duration_ms(self) -> float:
        """Milliseconds since the emitter was made, or until the trace ended."""
        return ((self._ended or perf_counter()) - self._started) * 1000

    def get_golden_signals(self) -> dict[str, Any]:
        """See :func:`trace_streaming.golden_signals.golden_signals`."""
        return golden_signals(self.trace_id, self.get_duration_ms(), list(self.events))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that this process has emitted is stored.

        :param timeout: seconds to wait at most; None is without limit
        :returns: whether it is
        """
        answers = flush_requested.send_robust(sender=type(self), timeout=timeout)
        return all(answer is True for _, answer in answers)

    async def aflush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  the wait is in a thread
        """Like :meth:`flush`, without blocking the event loop."""
        return await asyncio.to_thread(self.flush, timeout)

    def __enter__(self) -> Self:
        _entered.set((*(emitter for emitter in _entered.get() if not emitter.ended), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Not a token's reset: generators leave their blocks in any order, and in another context than they entered.
        _entered.set(tuple(emitter for emitter in _entered.get() if emitter is not self))
        # A generator that is closed early has not failed.
        self.end("success" if kind is None or issubclass(kind, GeneratorExit) else "error")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def make_event(
    trace_id: str,
    event: str,
    details: object,
    status: str,
    *,
    timestamp: datetime | None = None,
) -> tuple[TraceEvent, dict[str, JSON]]:
    """Validate, freeze and redact: the only way to an event. Returns it, and its details as they were frozen.

    :param timestamp: aware; None is now
    :raises NonCanonicalEventError: a ``ValueError``
    :raises NonCanonicalStatusError: a ``ValueError``
    """
    name = check_event_name(event, event_names(conf.EXTRA_EVENTS))
    checked_status = check_status(status)
    frozen, text = _safe_details(details)
    return TraceEvent(
        name,
        trace_id,
        datetime.now(UTC) if timestamp is None else timestamp.astimezone(UTC),
        text,
        checked_status,
        lifted_tool_name(frozen),
        lifted_duration_ms(frozen),
    ), frozen


def announce(event: TraceEvent) -> None:
    """Hand an event to the receivers of ``event_emitted``, the recorder among them."""
    _send(event_emitted, event=event)


def _send(signal: Any, **record: object) -> None:
    try:
        signal.send_robust(sender=TraceEmitter, **record)
    except Exception as error:  # an asynchronous receiver cannot be sent to from under a running loop
        logger.error("Sending a signal fails (%s); receivers must be synchronous", type(error).__name__)


def redacted(details: object) -> dict[str, JSON]:
    """Details as everybody but the agent sees them."""
    return _safe_details(details)[0]


def _safe_details(details: object) -> tuple[dict[str, JSON], str]:
    """Details frozen, redacted and short enough, and their JSON text."""
    try:
        redacted = _redactor(conf.REDACTOR)(freeze_details(details))
        if conf.REDACTOR != DEFAULT_REDACTOR:  # a project's own may return what JSON cannot carry, or forget to return
            redacted = freeze_details(dict(redacted))
        return encode_details(redacted)
    except Exception as error:  # what a redactor failed on must not be seen
        logger.error("The redactor fails (%s); details are replaced", type(error).__name__)
        return encode_details({"redacted": REDACTION_FAILED})


@lru_cache(maxsize=8)
def _redactor(path: str) -> Redactor:
    return import_string(path)  # type: ignore[no-any-return]
