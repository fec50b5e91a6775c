"""What tells a server elsewhere that this process lives, and which traces it has open there."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from time import monotonic
from typing import Final

from trace_streaming.emitting.stopping import Listeners

from .ingest import MAX_OPEN, IngestClient

BEAT_SECONDS: Final = 10.0
"""Between two beats, until the server says how long it believes one."""
BEATS: Final = 3
"""So many before it would believe none any more."""
RETRY_SECONDS: Final = 2.0
"""Until the next, where the server has not answered."""


class OpenTraces:
    """Of one process, at one server. What emitters open and end may come from any thread; one thread tells it."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        """Emitters that want to know whether they are asked to stop."""
        self._sender = uuid.uuid4().hex
        self._open: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.RLock()  # a finalizer, or a signal's handler, may emit while it is held
        self._told: frozenset[str] = frozenset()
        self._due_at = float("-inf")
        self._is_asked = True
        """Whether the server wants to know."""

    @property
    def are_told(self) -> bool:
        """Whether there is something to be told again and again."""
        return self._is_asked and bool(self._open)

    @property
    def wait(self) -> float:
        """Seconds until it is to be told again."""
        return max(self._due_at - monotonic(), 0.0)

    def opened(self, trace_id: str) -> None:
        """An emitter goes on with a trace. Of too many, the newest are told."""
        if trace_id not in self._open:
            with self._lock:
                self._open[trace_id] = None
                if len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)

    def closed(self, trace_id: str) -> None:
        """It was ended."""
        with self._lock:
            self._open.pop(trace_id, None)

    def tell(self, client: IngestClient, *, again: bool = False) -> None:
        """Tell the server, if it is time, or if there is one that it does not know.

        :param again: those alone that it was told before: of others it does not have what was emitted yet
        """
        with self._lock:
            now_open = [trace_id for trace_id in list(self._open) if not again or trace_id in self._told]
        if not (self._is_asked and now_open) or (self.wait and self._told.issuperset(now_open)):
            return
        answer = client.beat(self._sender, now_open)
        self._told = frozenset(now_open)
        for trace_id, stop in answer.stops.items():
            self.listeners.tell(trace_id, stop)
        if not answer.is_heard:
            self._due_at = monotonic() + RETRY_SECONDS
        elif answer.expires_in is None:
            self._is_asked = False
        else:
            self._due_at = monotonic() + min(answer.expires_in / BEATS, BEAT_SECONDS)

    def leave(self, client: IngestClient) -> None:
        """Tell the server that this process goes on with none of them."""
        with self._lock:
            left, self._open = list(self._open), OrderedDict()
        if self._is_asked and left:
            client.beat(self._sender, left, ends=True)
