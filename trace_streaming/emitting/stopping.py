"""How the code of an agent learns that somebody asks it to stop: it looks, where it can stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from threading import RLock
from typing import Any, NamedTuple
from weakref import WeakSet

from trace_streaming.exceptions import NonCanonicalEventError, StopRequestedError


class Stop(NamedTuple):
    """What somebody asks of a run."""

    requested_by: str = ""
    comment: str = ""


class StoppableEmitter(ABC):
    """The part of :class:`.Emitter` that knows whether its run is to stop."""

    trace_id: str
    _stop: Stop | None = None
    _has_received_stop = False

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether the trace was ended."""

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

    @abstractmethod
    def _listen_for_stop(self) -> None:
        """Have :meth:`tell_stop` called when somebody asks; called with each look. Returns at once, never raises."""

    @property
    def stop_requested(self) -> bool:
        """Whether somebody has asked this run to stop.

        Takes microseconds, and asks neither database nor network: the first look begins to listen, and from then on
        the answer is at most half a second old; of a :class:`.RemoteTraceEmitter` it comes with the server's next
        answer, which is that to its next event, or, from a server with leases, to a beat: every 10 seconds.
        """
        if self._stop is None and not self.ended:
            self._listen_for_stop()
        return self._stop is not None and not self.ended

    def check_stop(self) -> None:
        """Call it where the run can stop: between two steps, before a tool that cannot be undone.

        The first time that it raises, ``stop_received`` is emitted, where the project has declared ``AGENT_EVENTS``.
        Blocks that the exception passes are ``cancelled``, and the trace ends ``incomplete``.

        :raises StopRequestedError: somebody has asked this run to stop
        """
        if not self.stop_requested or self._stop is None:
            return
        if not self._has_received_stop:
            self._has_received_stop = True
            with suppress(NonCanonicalEventError):
                told = {key: value for key, value in self._stop._asdict().items() if value}
                self.emit("stop_received", told, "warning")
        raise StopRequestedError(*self._stop)

    def tell_stop(self, stop: Stop) -> None:
        """Somebody asks."""
        self._stop = self._stop or stop


class Listeners:
    """Emitters that have looked, and are to be told; kept no longer than their agents keep them."""

    def __init__(self) -> None:
        self._emitters: WeakSet[StoppableEmitter] = WeakSet()
        self._lock = RLock()  # as those of whoever emits

    def add(self, emitter: StoppableEmitter) -> None:
        """From now on."""
        if emitter not in self._emitters:
            with self._lock:
                self._emitters.add(emitter)

    def of(self, trace_id: str) -> list[StoppableEmitter]:
        """Those of a trace."""
        return [emitter for emitter in self._open() if emitter.trace_id == trace_id]

    def trace_ids(self) -> list[str]:
        """Of those that have not ended, and have not been told; the others are forgotten."""
        return sorted({emitter.trace_id for emitter in self._open()})

    def tell(self, trace_id: str, stop: Stop) -> None:
        """Somebody asks a trace's run to stop."""
        for emitter in self.of(trace_id):
            emitter.tell_stop(stop)

    def _open(self) -> list[StoppableEmitter]:
        with self._lock:
            for emitter in list(self._emitters):
                if emitter.ended or emitter._stop is not None:
                    self._emitters.discard(emitter)
            return list(self._emitters)
