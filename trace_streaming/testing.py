"""Helpers for the tests of projects that emit events, and a channel layer that fails as real ones do."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import orjson
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer

from . import recorder
from .events import TraceEvent, format_timestamp
from .signals import event_emitted


@contextmanager
def capture_events() -> Iterator[list[dict[str, Any]]]:
    """Collect what is emitted inside the block, and store none of it: needs no database, unless a human is asked.

    The list grows as events are emitted; each has ``event``, ``trace_id``, ``timestamp``, ``details``, ``status``.
    Without it, ``emit`` itself stores the event in a test run, within the test's transaction.
    """
    captured: list[dict[str, Any]] = []

    def capture(sender: object, event: TraceEvent, **kwargs: Any) -> None:
        captured.append(
            {
                "event": event.event,
                "trace_id": event.trace_id,
                "timestamp": format_timestamp(event.timestamp),
                "details": orjson.loads(event.details),
                "status": event.status,
            }
        )

    connected = recorder.disconnect()
    event_emitted.connect(capture, weak=False)
    try:
        yield captured
    finally:
        event_emitted.disconnect(capture)
        if connected:
            recorder.connect()


class FaultyChannelLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """A channel layer in memory that misbehaves as real ones do, for tests and for a staging site.

    Each rate is a probability between 0 and 1. All attributes may be changed at any time, on the event loop that uses
    the layer; messages that are on their way then still arrive.

    :param drop: of a message to be lost, for each channel that it is sent to
    :param duplicate: to arrive twice
    :param reorder: to be held back until the next message to the channel has overtaken it
    :param delay: to arrive up to ``delay_seconds`` later, and of a call to take so long
    :param refuse: of a call to raise ``ConnectionError``
    :param seed: makes the same calls meet the same faults
    :param options: those of ``InMemoryChannelLayer``
    """

    def __init__(
        self,
        *,
        drop: float = 0,
        duplicate: float = 0,
        reorder: float = 0,
        delay: float = 0,
        delay_seconds: float = 0.1,
        refuse: float = 0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.drop = drop
        self.duplicate = duplicate
        self.reorder = reorder
        self.delay = delay
        self.delay_seconds = delay_seconds
        self.refuse = refuse
        self.faults: Counter[str] = Counter()
        """How often each fault has happened."""
        self._random = random.Random(seed)
        self._available = True
        self._held: dict[str, dict[str, Any]] = {}
        """Messages that wait for the next one to overtake them, by channel."""
        self._late: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        """Whether the layer is there. While it is not, every call raises; who waits for a message is told at once."""
        return self._available

    @available.setter
    def available(self, available: bool) -> None:
        self._available = available
        if not available:
            for queue in self.channels.values():
                with suppress(asyncio.QueueFull):  # then nobody waits for a message
                    queue.put_nowait((math.inf, None))

    def expire(self) -> None:
        """Forget who is in which group, as Redis does when it restarts, and every layer in time (``group_expiry``)."""
        self.faults["expire"] += 1
        self.groups.clear()

    async def new_channel(self, prefix: str = "specific.") -> str:
        """A name for a channel."""
        await self._answer()
        return await super().new_channel(prefix)  # type: ignore[no-any-return]

    async def group_add(self, group: str, channel: str) -> None:
        """Join a group."""
        await self._answer()
        await super().group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Leave a group."""
        await self._answer()
        await super().group_discard(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to all channels of a group; each has its own faults."""
        await self._answer()
        self.require_valid_group_name(group)
        self._clean_expired()
        for channel in list(self.groups.get(group, ())):
            with suppress(ChannelFull):
                await self._send(channel, message)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel."""
        await self._answer()
        await self._send(channel, message)

    async def receive(self, channel: str) -> Any:
        """The next message of a channel; raises when the layer goes away meanwhile."""
        await self._answer()
        message = await super().receive(channel)
        if message is None:
            raise ConnectionError("The channel layer has gone")
        return message

    async def flush(self) -> None:
        """Forget all messages and groups."""
        await self._answer()
        self._held.clear()
        for task in self._late:
            task.cancel()
        await super().flush()

    async def _answer(self) -> None:
        """What every call begins with."""
        await asyncio.sleep(0)  # others go on meanwhile, as while a real one waits for its network
        if self._happens("delay"):
            await asyncio.sleep(self._random.uniform(0, self.delay_seconds))
        if not self._available:
            raise ConnectionError("The channel layer is away")
        if self._happens("refuse"):
            raise ConnectionError("The channel layer refuses")

    def _happens(self, fault: str) -> bool:
        happens: bool = self._random.random() < getattr(self, fault)
        self.faults[fault] += happens
        return happens

    async def _send(self, channel: str, message: dict[str, Any]) -> None:
        overtaken = self._held.pop(channel, None)
        if self._happens("drop"):
            pass
        elif overtaken is None and self._happens("reorder"):
            self._held[channel] = deepcopy(message)
        elif self._happens("delay"):
            task = asyncio.create_task(self._send_late(channel, deepcopy(message)))
            self._late.add(task)  # a task that nobody holds may be collected
            task.add_done_callback(self._late.discard)
        else:
            await super().send(channel, message)
            if self._happens("duplicate"):
                await super().send(channel, message)
        if overtaken is not None:
            await super().send(channel, overtaken)

    async def _send_late(self, channel: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._random.uniform(0, self.delay_seconds))
        with suppress(ChannelFull):
            if self._available:
                await super().send(channel, message)
