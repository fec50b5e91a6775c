"""News of what was stored: one group message per batch, through the project's channel layer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, Final

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers, get_channel_layer

from .burst_log import BurstLog
from .events import EncodedEvent
from .frames import Batch

logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 1.0
"""Between attempts while the channel layer fails."""

_fallback = InMemoryChannelLayer()

_loops: list[asyncio.AbstractEventLoop] = []
"""Loops with a hub, newest last."""
# A forked child has its parent's loops no more.
os.register_at_fork(after_in_child=_loops.clear)


def channel_layer() -> BaseChannelLayer:
    """The project's default channel layer, or one in memory where none is configured."""
    return get_channel_layer() or _fallback


def new_channel_layer() -> BaseChannelLayer:
    """Another instance of it: only one event loop at a time may read an instance of channels_redis' core layer."""
    if DEFAULT_CHANNEL_LAYER not in channel_layers:
        return InMemoryChannelLayer()
    layer: BaseChannelLayer = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
    return layer


def is_in_memory(layer: BaseChannelLayer) -> bool:
    """Whether the layer reaches this process only."""
    return isinstance(layer, InMemoryChannelLayer)


def group_name(trace_id: str) -> str:
    """The trace's group. Hashed: group names allow fewer letters than trace ids, and under 100 of them."""
    return f"trace_streaming.{hashlib.sha256(trace_id.encode()).hexdigest()[:40]}"


def to_message(batch: Batch) -> dict[str, Any]:
    """A batch as the channel layer carries it: strings and numbers only, so every backend can."""
    return {
        "type": "trace.batch",
        "trace_id": batch.trace_id,
        "epoch": batch.epoch,
        "state": batch.state,
        "last_sequence": batch.last_sequence,
        "events": [list(event) for event in batch.events],
    }


def from_message(message: dict[str, Any]) -> Batch:
    """The batch of a message."""
    return Batch(
        message["trace_id"],
        message["epoch"],
        message["state"],
        message["last_sequence"],
        tuple(EncodedEvent(*event) for event in message["events"]),
    )


def attach(loop: asyncio.AbstractEventLoop) -> None:
    """A hub reads the channel layer on this loop from now on."""
    _loops.append(loop)


def detach(loop: asyncio.AbstractEventLoop) -> None:
    """The loop's hub has stopped."""
    if loop in _loops:
        _loops.remove(loop)


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
            run = _run_on_a_hubs_loop if is_in_memory(layer) else self._run
            run(_send(layer, batches))
        except Exception as error:
            name = type(error).__name__
            self._log.failed("publish", "Publishing fails (%s); watchers read from the database", name)
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


def _run_on_a_hubs_loop(sending: Coroutine[Any, Any, None]) -> None:
    """The hub's queue belongs to the hub's loop: a put from another would be seen only when that next wakes."""
    try:
        asyncio.run_coroutine_threadsafe(sending, _loops[-1])
    except (IndexError, RuntimeError):  # nobody in this process watches, or the last watcher's loop has just closed
        sending.close()


async def _send(layer: BaseChannelLayer, batches: Sequence[Batch]) -> None:
    async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
        for batch in batches:
            await layer.group_send(group_name(batch.trace_id), to_message(batch))
