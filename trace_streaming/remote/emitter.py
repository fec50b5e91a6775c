"""The emitter for programs that are not part of a Django project: it needs no settings, and no database.

.. code-block:: python

    from trace_streaming.remote import RemoteTraceEmitter

    with RemoteTraceEmitter("https://example.com", token) as emitter:
        emitter.emit("plan_created", {"steps": 3})
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from trace_streaming.emitting.contract import MAX_EVENTS, Emitter, current_emitter
from trace_streaming.emitting.event_factory import make_event, safe_details
from trace_streaming.emitting.faces import Face
from trace_streaming.emitting.surroundings import learn_environment
from trace_streaming.events import AGENT_EVENTS, TraceEnd, TraceEvent, TraceStart
from trace_streaming.events.deltas import TextDelta
from trace_streaming.events.freezing import JSON
from trace_streaming.extras import needs_extra
from trace_streaming.redaction import Redactor, redact, register_secret
from trace_streaming.redaction.known.learning import is_telling

with needs_extra("remote", "Emitting to a server needs httpx", "httpx"):
    from .approvals import RemoteApprovals
    from .ingest import check_authorization, check_base_url
    from .sender import all_senders

__all__ = ["RemoteTraceEmitter", "close", "current_emitter"]


class RemoteTraceEmitter(Emitter, RemoteApprovals):
    """Emits the events of one trace; a server elsewhere stores them.

    See :class:`.Emitter` for what it shares with the one inside a project. Events are redacted before they leave the
    process. A thread of the process sends them, in order; while the server is away they wait, up to 100,000 of them,
    and each is stored once. A trace that has not begun becomes that of the token's user.

    :param base_url: of the site, without ``/api``, and without a user, a query or a fragment
    :param token: of a user who may add events
    :param trace_id: as :class:`.Emitter` has it
    :param metadata: what else is to be known of a new trace; redacted like details
    :param name: what the trace is called; like the two below, it may be set later, too: ``emitter.name = …``
    :param conversation: the id of what several traces are parts of
    :param tags: words to find it by
    :param scheme: what stands before the token: ``Token`` for Django REST framework's own, often ``Bearer`` for others
    :param extra_events: names that the server takes beside the canonical ones and ``AGENT_EVENTS``: its
        ``TRACE_STREAMING_EXTRA_EVENTS``
    :param redactor: what hides what must not be seen; the server's own follows
    :param max_events: how many of its events it remembers in ``events``, the newest; None: all
    :param tracebacks: whether an error in a block is told with where it came from
    :raises ValueError: for a trace id, a URL or a token that is none
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        trace_id: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        conversation: str | None = None,
        tags: Iterable[str] | None = None,
        scheme: str = "Token",
        extra_events: Iterable[str] = (),
        redactor: Redactor = redact,
        max_events: int | None = MAX_EVENTS,
        tracebacks: bool = True,
    ) -> None:
        super().__init__(trace_id, max_events)
        _learn_once()
        if is_telling(token):
            register_secret(token)
        self.tracebacks = tracebacks
        self._extra_events = (*AGENT_EVENTS, *extra_events)
        self._redactor = redactor
        self._base_url = check_base_url(base_url)
        self._authorization = check_authorization(scheme, token)
        self._on_their_way = {}
        self._sender = all_senders.to(self._base_url, self._authorization)
        self._face = face = Face.of(name, conversation, tags)
        if metadata is not None or face != Face():
            self._start(face, safe_details(metadata, redactor, self.trace_id)[1])

    def _hand_over_face(self, face: Face) -> None:
        self._start(face)

    def _start(self, face: Face, metadata: str = "{}") -> None:
        told = face.redacted(lambda details: safe_details(details, self._redactor, self.trace_id)[0])
        start = TraceStart(self.trace_id, datetime.now(UTC), None, metadata, False, *told)  # noqa: FBT003
        self._sender.put(start, is_held=self.holds)

    @property
    def url(self) -> str:
        """The address of the trace's page on the server, live."""
        return f"{self._base_url}/dashboard/traces/{self.trace_id}"

    @property
    def lost(self) -> int:
        """How many events of this process the server has refused, or there was no room for."""
        return self._sender.lost

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has stored all that this process has emitted to it, or has refused it.

        :param timeout: seconds to wait at most; None is without limit
        :returns: whether it has
        """
        return self._sender.flush(timeout)

    def _listen_for_stop(self) -> None:
        self._sender.open_traces.listeners.add(self)

    def _stream_redactor(self) -> Redactor:
        return self._redactor

    def _tell(self, delta: TextDelta) -> None:
        self._sender.deltas.tell(delta)

    def _make(
        self,
        event: str,
        details: Mapping[str, Any] | None,
        status: str,
        timestamp: datetime | None = None,
        event_id: str | None = None,
    ) -> tuple[TraceEvent, dict[str, JSON]]:
        return make_event(
            self.trace_id,
            event,
            details,
            status,
            extra_events=self._extra_events,
            redactor=self._redactor,
            timestamp=timestamp,
            event_id=event_id or uuid.uuid4().hex,
        )

    def _hand_over(self, record: TraceEvent | TraceEnd) -> None:
        self._sender.put(record, is_held=self.holds)


@cache
def _learn_once() -> None:
    learn_environment()


def close() -> None:
    """Send what waits, for at most 5 seconds per server, as at the end of the process.

    For programs whose end runs no ``atexit``: call it where they shut down. Servers such as uvicorn end so.
    """
    all_senders.close()
