"""What an orchestrator holds: ``emitter.emit("tool_call_start", {...})``, and nothing of WebSockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps

from trace_streaming.conf import conf
from trace_streaming.events import TraceEnd, TraceEvent, TraceStart
from trace_streaming.events.deltas import TextDelta
from trace_streaming.events.fitting import encode_details
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.kinds import JSON
from trace_streaming.redaction import Redactor
from trace_streaming.signals import (
    event_emitted,
    flush_requested,
    stop_looked_for,
    text_streamed,
    trace_ended,
    trace_started,
)

from .asking.emitter import ProjectApprovals
from .contract import Emitter
from .faces import Face
from .project_events import make_event, project_redactor, redacted

try:
    from opentelemetry import trace as _trace
except ImportError:
    _trace = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

logger = logging.getLogger(__name__)


class TraceEmitter(Emitter, ProjectApprovals):
    """Emits the events of one trace; they are stored in this project's database.

    See :class:`.Emitter` for what it shares with the one that works elsewhere.

    :param trace_id: 1 to 128 of ``A-Z a-z 0-9 . _ ~ : @ -``; None or "" means a new one
    :param owner: the user whose trace this is, and who may watch it from now on
    :param metadata: what else is to be known of the trace; redacted like details; the ids of OpenTelemetry's active
        span are added
    :param name: what the trace is called; like the two below, it may be set later, too: ``emitter.name = …``
    :param conversation: the id of what several traces are parts of
    :param tags: words to find it by
    :raises InvalidTraceIdError: a ``ValueError``, for other trace ids
    :raises TypeError: the owner is no user
    """

    _is_by_sender: ClassVar[bool] = False
    """Whether what it says of its trace is the word of somebody outside of the project."""

    def __init__(
        self,
        trace_id: str | None = None,
        *,
        owner: AbstractBaseUser | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        conversation: str | None = None,
        tags: Iterable[str] | None = None,
    ) -> None:
        super().__init__(trace_id, conf.EMITTER_EVENTS)
        span = span_ids()
        self._face = face = Face.of(name, conversation, tags)
        if owner is not None or metadata is not None or span or face != Face():
            owner_id = None if owner is None else _pk_of(owner)
            # Added to what is redacted: a span's digits may look like an account's.
            self._start(face, owner_id, encode_details({**redacted(metadata, self.trace_id), **span})[1])

    def _hand_over_face(self, face: Face) -> None:
        self._start(face)

    def _start(self, face: Face, owner_id: Any = None, metadata: str = "{}") -> None:
        now, told = datetime.now(UTC), face.redacted(partial(redacted, trace_id=self.trace_id))
        start = TraceStart(self.trace_id, now, owner_id, metadata, self._is_by_sender, *told)
        _send(trace_started, start=start, is_held=self.holds)

    @property
    def tracebacks(self) -> bool:  # type: ignore[override]
        """``TRACE_STREAMING_TRACEBACKS``."""
        return conf.TRACEBACKS

    @property
    def url(self) -> str:
        """The path of the trace's page, live; empty where the project has not included the app's routes."""
        from django.urls import NoReverseMatch, reverse  # loads what a program without a project does not need

        try:
            return reverse("trace_streaming:dashboard-trace", args=[self.trace_id])
        except NoReverseMatch:
            return ""

    def _make(
        self,
        event: str,
        details: Mapping[str, Any] | None,
        status: str,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> tuple[TraceEvent, dict[str, JSON]]:
        return make_event(self.trace_id, event, details, status, timestamp=timestamp, event_id=event_id)

    def _stream_redactor(self) -> Redactor:
        return project_redactor()

    def _tell(self, delta: TextDelta) -> None:
        tell(delta)

    def _hand_over(self, record: TraceEvent | TraceEnd) -> None:
        if isinstance(record, TraceEvent):
            announce(record, is_held=self.holds)
        else:
            _send(trace_ended, end=record)

    async def aemit(
        self,
        event: str,
        details: Mapping[str, Any] | None = None,
        status: str = "pending",
        *,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> None:
        """Like :meth:`emit`, and lets the event loop take a turn, so that a tight loop of emits starves nobody.

        Where ``emit`` waits for the database, this waits in a thread.
        """
        if conf.DURABILITY == "sync":
            await asyncio.to_thread(self.emit, event, details, status, timestamp=timestamp, event_id=event_id)
        else:
            await super().aemit(event, details, status, timestamp=timestamp, event_id=event_id)

    def _listen_for_stop(self) -> None:
        _send(stop_looked_for, emitter=self)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that this process has emitted is stored.

        :param timeout: seconds to wait at most; None is without limit
        :returns: whether it is
        """
        answers = flush_requested.send_robust(sender=type(self), timeout=timeout)
        _raise_interruption(answers)
        return all(answer is True for _, answer in answers)


def announce(event: TraceEvent, *, is_held: bool = False) -> None:
    """Hand an event to the receivers of ``event_emitted``, the recorder among them.

    :param is_held: its trace is open in this process
    """
    _send(event_emitted, event=event, is_held=is_held)


def tell(delta: TextDelta) -> None:
    """Hand a piece of text to the receivers of ``text_streamed``."""
    _send(text_streamed, delta=delta)


def _pk_of(owner: Any) -> Any:
    """Of a user, whoever authentication says that is; the key of another model's row would be another user's."""
    from django.contrib.auth import get_user_model  # the module is imported by programs without Django, too
    from django.db.models import Model

    if not hasattr(owner, "pk") or (isinstance(owner, Model) and not isinstance(owner, get_user_model())):
        raise TypeError(f"The owner of a trace is a user, such as request.user, and no {type(owner).__name__}")
    return owner.pk


@cache
def _say_that_nothing_is_stored() -> None:
    """Once: the recorder begins to listen when Django is set up."""
    logger.error(
        "What is emitted is lost: Django is not set up. A script calls django.setup() first, as manage.py does for its"
        " commands"
    )


def _send(signal: Any, **record: object) -> None:
    if not apps.ready and not event_emitted.has_listeners(TraceEmitter):
        _say_that_nothing_is_stored()
    try:
        answers = signal.send_robust(sender=TraceEmitter, **record)
    except Exception as error:  # an asynchronous receiver cannot be sent to from under a running loop
        if is_for_the_process(error):
            raise
        extra = {"trace_id": getattr(next(iter(record.values())), "trace_id", None)}
        logger.error("Sending a signal fails (%s); receivers must be synchronous", type(error).__name__, extra=extra)
    else:
        _raise_interruption(answers)


def _raise_interruption(answers: Iterable[tuple[Any, Any]]) -> None:
    """What a signal's handler has raised in a receiver, which ``send_robust`` keeps."""
    for _, answer in answers:
        if isinstance(answer, Exception) and is_for_the_process(answer):
            raise answer


def span_ids() -> dict[str, str]:
    """``otel_trace_id`` and ``otel_span_id`` of the active span, in hexadecimal (W3C Trace Context); else empty."""
    if _trace is None:
        return {}
    context = _trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "otel_trace_id": _trace.format_trace_id(context.trace_id),
        "otel_span_id": _trace.format_span_id(context.span_id),
    }
