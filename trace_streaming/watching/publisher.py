"""News of what was stored: one group message per batch, through the project's channel layer."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final

from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from trace_streaming.events.deltas import TextDelta
from trace_streaming.telemetry import metrics
from trace_streaming.telemetry.logs import BurstLog
from trace_streaming.wire.batches import Batch, merge

from .channel_layer import channel_layer, group_name, is_in_memory, to_delta_message
from .sending import send

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS: Final = 2.0
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""What a loop that is busy with something else is handed at most: bytes, as many traces have a small batch each."""
BATCH_BYTES: Final = 1024
"""What a batch holds besides its events."""
PUBLISHING_FAILS: Final = "Publishing fails (%s); watchers read from the database"
RETRY_SECONDS: Final = 1.0
"""Between attempts while the channel layer fails."""


class Inbox:
    """Where the hub of one loop is handed batches of its own process, from any thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Batch], None],
        deliver_delta: Callable[[TextDelta], None],
    ) -> None:
        self.channel: str | None = None
        """The hub's channel in the layer."""
        self._loop = loop
        self._deliver = deliver
        self._deliver_delta = deliver_delta
        self._batches: deque[Batch] = deque()
        self._bytes = 0
        self._lock = Lock()
        self._is_waking = False
        self._is_closed = False
        self._sending: set[asyncio.Task[None]] = set()
        self._log = BurstLog(logger)

    def put(self, batches: Sequence[Batch]) -> None:
        """Hand over, and return at once."""
        with self._lock:
            self._batches.extend(batches)
            self._bytes += sum(map(_held, batches))
            # The oldest go first: a hole is seen by the next number, and filled from the store.
            while self._bytes > MAX_WAITING_BYTES and len(self._batches) > 1:
                self._bytes -= _held(self._batches.popleft())
            if self._is_waking:
                return
            self._is_waking = True
        with suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._empty)

    def tell(self, delta: TextDelta) -> None:
        """Hand over a piece of text, and return at once."""
        with suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._deliver_delta, delta)

    def run(self, sending: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run on the hub's loop, and do not wait for it."""
        with suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._start, sending)

    def close(self) -> None:
        """The hub has ended, or its loop is ending: what began now would not be finished."""
        self._is_closed = True

    def _start(self, sending: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._is_closed:
            task = self._loop.create_task(sending())
            self._sending.add(task)
            task.add_done_callback(self._have_sent)

    def _have_sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._log.failed("publish", PUBLISHING_FAILS, type(error).__name__)
        else:
            self._log.works("publish")

    def _empty(self) -> None:
        with self._lock:
            self._is_waking = False
            waiting, self._batches = self._batches, deque()
            self._bytes = 0
        for batch in merge(waiting):
            self._deliver(batch)


def _held(batch: Batch) -> int:
    return batch.size + BATCH_BYTES


_inboxes: list[Inbox] = []
# A forked child has its parent's loops no more.
os.register_at_fork(after_in_child=_inboxes.clear)


def attach(inbox: Inbox) -> None:
    """A hub of this process wants to be told."""
    _inboxes.append(inbox)


def detach(inbox: Inbox) -> None:
    """The hub has stopped."""
    _inboxes.remove(inbox)


class Publisher:
    """Sends batches from a thread without a running loop; keeps one loop, and so one Redis connection, for its life."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._log = BurstLog(logger)
        self._failed_at: float | None = None

    def publish(self, batches: Sequence[Batch]) -> None:
        """Tell the watchers. What fails is logged once per burst: watchers find the events in the store.

        After a failure nothing is sent for a second: a layer that hangs would hold up the writer with each batch.
        """
        if self._failed_at is not None and monotonic() - self._failed_at < RETRY_SECONDS:
            return
        try:
            layer = channel_layer()
            if is_in_memory(layer):
                _tell_this_process(layer, batches)
            else:
                self._run(_send(layer, batches))
        except Exception as error:
            self._log.failed("publish", PUBLISHING_FAILS, type(error).__name__)
            self._failed_at = monotonic()
        else:
            metrics.counts.add("published", sum(len(batch.events) for batch in batches))
            self._failed_at = None
            self._log.works("publish")

    def tell(self, delta: TextDelta) -> None:
        """Tell whoever watches of a piece of text. Where that fails, it is lost: the result is an event."""
        if self._failed_at is not None and monotonic() - self._failed_at < RETRY_SECONDS:
            return
        try:
            layer = channel_layer()
            if type(layer) is InMemoryChannelLayer:
                for inbox in _inboxes:
                    inbox.tell(delta)
            elif is_in_memory(layer):
                if _inboxes:
                    _inboxes[-1].run(partial(_send_delta, layer, delta))
            else:
                self._run(_send_delta(layer, delta))
        except Exception as error:
            self._log.failed("publish", "Telling of streamed text fails (%s)", type(error).__name__)
            self._failed_at = monotonic()
        else:
            self._failed_at = None
            self._log.works("publish")

    def close(self) -> None:
        """Close the loop and the connections it holds."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _run(self, sending: Coroutine[Any, Any, None]) -> None:
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(sending)


def _tell_this_process(layer: BaseChannelLayer, batches: Sequence[Batch]) -> None:
    """Hand batches to the hubs directly; whoever else has joined a trace's group gets them through the layer.

    The in-memory layer drops what is over its capacity, and copies the rest. Other layers in memory are somebody's own,
    and get everything.
    """
    inboxes = list(_inboxes)  # of loops that may end meanwhile
    if type(layer) is InMemoryChannelLayer:
        for inbox in inboxes:
            inbox.put(batches)
        hubs = {inbox.channel for inbox in inboxes}
        batches = [batch for batch in batches if set(layer.groups.get(group_name(batch.trace_id), ())) - hubs]
    if batches and inboxes:
        # The layer's queues belong to a loop: a put from another would be seen only when that next wakes.
        inboxes[-1].run(partial(_send, layer, batches))


async def _send_delta(layer: BaseChannelLayer, delta: TextDelta) -> None:
    async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
        await layer.group_send(group_name(delta.trace_id), to_delta_message(delta))


async def _send(layer: BaseChannelLayer, batches: Sequence[Batch]) -> None:
    async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
        await send(layer, batches)
