"""The contract of every emitter, whether it stores in this project's database or sends to one elsewhere."""

from __future__ import annotations

import asyncio
import copy
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from trace_streaming.events import (
    CANONICAL_EVENTS,
    END_STATES,
    TraceEnd,
    TraceEvent,
    check_timestamp,
    check_trace_id,
    format_timestamp,
    parse_timestamp,
)
from trace_streaming.events.freezing import JSON
from trace_streaming.events.golden_signals import Forgotten, golden_signals
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.model_signals import Calls, model_signals

from .blocks import outcome_of, placed
from .budgets import WARN_AT, Budget
from .histories import Histories
from .span_emitter import SpanEmitter
from .stopping import StoppableEmitter

MAX_EVENTS: Final = 10_000
"""That an emitter remembers, unless it is told otherwise."""

_MODEL_EVENTS: Final = ("llm_call_start", "llm_call_complete", "llm_call_error")
"""What says which messages a model was sent: some sources know it at the end alone."""
_entered: ContextVar[tuple[Emitter, ...]] = ContextVar("trace_streaming.emitters", default=())


def current_emitter() -> Emitter | None:
    """The emitter of the innermost ``with`` block that this code runs in, or None.

    An ended one does not count: an async generator that is closed early leaves its own behind in the context.
    """
    return next((emitter for emitter in reversed(_entered.get()) if not emitter.ended), None)


class Emitter(SpanEmitter, StoppableEmitter, ABC):
    """Emits the events of one trace: what :class:`.TraceEmitter` and :class:`.RemoteTraceEmitter` have in common.

    Plain synchronous Python: callable from an async task, a sync view, a thread, a Celery worker or a script. As a
    context manager, sync or async, it is the :func:`current_emitter` inside and ends the trace on leaving, with
    ``error`` when an exception passes.

    :param trace_id: 1 to 128 of ``A-Z a-z 0-9 . _ ~ : @ -``; None or "" means a new one
    :param max_events: how many of its events it remembers, the newest; None: all
    :raises InvalidTraceIdError: a ``ValueError``, for other trace ids
    """

    CANONICAL_EVENTS: ClassVar[frozenset[str]] = frozenset(CANONICAL_EVENTS)
    holds: bool = True
    """Whether the trace is unfinished when this process is gone; False for who only adds to what others do."""

    def __init__(self, trace_id: str | None = None, max_events: int | None = MAX_EVENTS) -> None:
        self.trace_id = check_trace_id(trace_id or str(uuid.uuid4()))
        self.events: list[dict[str, Any]] = []
        """The newest ``max_events``, oldest first."""
        self._max_events = max_events
        self._forgotten = Forgotten()
        self._forgetting = Lock()
        self._started = perf_counter()
        self._ended: float | None = None
        self._ended_at: datetime | None = None
        self._has_told_times = False
        self._histories = Histories()
        self._streams = {}
        self._undecided: set[str] = set()
        """Approvals that somebody goes on with, perhaps in another process."""

    def __bool__(self) -> bool:
        """Always true: callers write ``emitter or TraceEmitter()``."""
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.trace_id}: {self.event_count} events>"

    @property
    def event_count(self) -> int:
        """How many events were emitted, those included that are not in ``events`` any more."""
        return self._forgotten.events + len(self.events)

    @property
    def ended(self) -> bool:
        """Whether the trace was ended."""
        return self._ended is not None

    def emit(
        self,
        event: str,
        details: Mapping[str, Any] | None = None,
        status: str = "pending",
        *,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> None:
        """Emit an event. Returns in microseconds; touches neither database nor network.

        :param event: a canonical name, or one of the extra ones
        :param details: anything; frozen and redacted now, so later changes change nothing
        :param status: ``pending``, ``running``, ``success``, ``warning`` or ``error``
        :param timestamp: aware, from 1970 to 9998, of what happened elsewhere or earlier; None is now
        :param event_id: 1 to 64 printable ASCII characters: of all events of the trace with the same, whoever has sent
            them, one is stored
        :raises InvalidEventIdError: a ``ValueError``
        :raises NonCanonicalEventError: a ``ValueError``
        :raises NonCanonicalStatusError: a ``ValueError``
        :raises ValueError: for a time without a zone, or beyond those years
        """
        if timestamp is not None:
            timestamp = check_timestamp(timestamp)
            self._has_told_times = True
        emitted, frozen = self._make(event, self._told(event, details), status, timestamp, event_id)
        self._remember(emitted, frozen)
        self._hand_over(emitted)

    def _told(self, event: str, details: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The details with what the emitter knows; as far as that goes with what is neither checked nor frozen yet."""
        told = details
        try:
            name = str.__str__(event) if isinstance(event, str) else ""
            self._end_stream(name, told)
            told = placed(self, name, told)
            if name in _MODEL_EVENTS and isinstance(told, Mapping):
                told = self._histories.without_known(told)
        except BaseException as error:  # a stranger's method, or a thread that changes what is looked at
            if is_for_the_process(error):
                raise
        return told

    @abstractmethod
    def _make(
        self,
        event: str,
        details: Mapping[str, Any] | None,
        status: str,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> tuple[TraceEvent, dict[str, JSON]]:
        """Validate, freeze and redact."""

    @abstractmethod
    def _hand_over(self, record: TraceEvent | TraceEnd) -> None:
        """To whoever stores it; returns at once, and never raises."""

    def _remember(self, emitted: TraceEvent, frozen: dict[str, JSON]) -> None:
        events = self.events
        events.append(
            {
                "event": emitted.event,
                "trace_id": self.trace_id,
                "timestamp": format_timestamp(emitted.timestamp),
                "details": frozen,
                "status": emitted.status,
            }
        )
        most = self._max_events
        # One of the threads that emit at the same time does it for all: see RecordQueue for what it costs to wait. It
        # looks again once it has let go, for those who came too early to do it themselves.
        while most is not None and len(events) > most and self._forgetting.acquire(blocking=False):
            try:
                while len(events) > most:
                    self._forgotten.add(events.pop(0))
            finally:
                self._forgetting.release()

    async def aemit(
        self,
        event: str,
        details: Mapping[str, Any] | None = None,
        status: str = "pending",
        *,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> None:
        """Like :meth:`emit`, and lets the event loop take a turn, so that a tight loop of emits starves nobody."""
        self.emit(event, details, status, timestamp=timestamp, event_id=event_id)
        await asyncio.sleep(0)

    def budget(self, total: float, used: float = 0, *, name: str = "", warn_at: float = WARN_AT) -> Budget:
        """A :class:`~trace_streaming.emitting.budgets.Budget` that this trace spends."""
        return Budget(self, total, used, name=name, warn_at=warn_at)

    def end(self, state: str = "success", *, timestamp: datetime | None = None) -> None:
        """End the trace; the first call counts.

        :param state: ``success``, ``error`` or ``incomplete``
        :param timestamp: aware, when it ended, if that was not now
        :raises ValueError: for another state, or a time that :meth:`emit` refuses
        """
        if timestamp is not None:
            timestamp = check_timestamp(timestamp)
            self._has_told_times = True
        if state not in END_STATES:
            raise ValueError(f"Not an end state: {state}. Must be one of {', '.join(END_STATES)}")
        if self._ended is None:
            for stream in list(self._streams.values()):
                stream.close()
            self._ended = perf_counter()
            self._ended_at = timestamp or datetime.now(UTC)
            self._hand_over(TraceEnd(self.trace_id, state, self._ended_at))

    def get_trace(self) -> list[dict[str, Any]]:
        """A copy of ``events``, in the order they were emitted: of a long trace the newest, see ``max_events``."""
        return copy.deepcopy(self.events)

    def get_duration_ms(self) -> float:
        """Milliseconds since the emitter was made, or until the trace ended.

        Where events have told times of their own, it is from the first to the last of those that are in ``events``, or
        to the end; never below 0.
        """
        if self._has_told_times and self.events:
            times = [parse_timestamp(event["timestamp"]) for event in list(self.events)]
            return max(((self._ended_at or max(times)) - min(times)) / timedelta(milliseconds=1), 0.0)
        return ((self._ended or perf_counter()) - self._started) * 1000

    def get_golden_signals(self) -> dict[str, Any]:
        """See :func:`trace_streaming.events.golden_signals.golden_signals`.

        Counts, rates and the budget are of all events; ``latency`` and ``approval_wait_time`` of those in ``events``.
        So is ``models`` (:func:`trace_streaming.events.model_signals.model_signals`), which is there where one was
        called.
        """
        with self._forgetting:
            events, forgotten = list(self.events), copy.deepcopy(self._forgotten)
        signals = golden_signals(self.trace_id, self.get_duration_ms(), events, forgotten)
        calls = Calls()
        by_model = model_signals(call for event in events if (call := calls.take(event)) is not None)
        return {**signals, "models": by_model} if by_model else signals

    @abstractmethod
    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that this process has emitted is stored.

        :param timeout: seconds to wait at most; None is without limit
        :returns: whether it is
        """

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
        if error is not None and outcome_of(error) == "cancelled":
            self.end("incomplete")
        elif kind is None or issubclass(kind, GeneratorExit):  # a generator that is closed early has not failed
            self.end("incomplete" if self._undecided else "success")
        else:
            self.end("error")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
