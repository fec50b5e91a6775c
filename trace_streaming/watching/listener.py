"""A hub's ear on the channel layer: one channel, in the groups of all watched traces, whatever the layer does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from trace_streaming.telemetry.logs import BurstLog

from .channel_layer import channel_layer, is_in_memory

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
LAYER_TIMEOUT_SECONDS: Final = 2.0
WORD_SECONDS: Final = 5.0
"""Between the words that a listener sends to itself, to learn whether it still hears."""
MAX_UNHEARD: Final = 3
"""So many words in vain, and another channel is taken."""
_WORD: Final = {"type": "trace.word"}

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Listener:
    """Reads one channel of the layer for ever: after any failure with another one, back in all groups.

    :param spawn: makes the tasks, and ends them with the hub
    :param on_message: called with each message
    :param on_connected: awaited with a new channel, or one that hears again: the name of the channel before is given,
        whose groups are to be left, and all groups are to be joined
    """

    def __init__(
        self,
        spawn: Spawn,
        on_message: Callable[[dict[str, Any]], None],
        on_connected: Callable[[str | None], Awaitable[None]],
    ) -> None:
        self._spawn = spawn
        self._on_message = on_message
        self._on_connected = on_connected
        self._layer = channel_layer()
        self.channel: str | None = None
        """Ours, while the channel layer answers."""
        self._unheard = 0
        """Words sent that have not come back."""
        self._log = BurstLog(logger)
        self._receiver = spawn(self._receive())
        if not is_in_memory(self._layer):
            spawn(self._talk())

    @property
    def is_quick(self) -> bool:
        """Whether news of all processes come at once; otherwise the log is to be looked at every second."""
        return self.channel is not None and self._unheard <= 1 and not is_in_memory(self._layer)

    @property
    def membership_seconds(self) -> float:
        """How long the layer keeps a channel in a group (``group_expiry``)."""
        return float(getattr(self._layer, "group_expiry", 86_400))

    async def join(self, group: str) -> None:
        """Join a group, if the layer answers; if not, all groups are joined when it does."""
        if self.channel is None:
            return
        try:
            async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                await self._layer.group_add(group, self.channel)
        except Exception as error:
            self._lose(error)

    async def leave(self, group: str, channel: str | None = None) -> None:
        """Leave a group, if the layer answers; if not, nobody reads what it sends there.

        :param channel: which is in the group; ours, when it is not given
        """
        if (channel := channel or self.channel) is not None:
            with suppress(Exception):
                async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                    await self._layer.group_discard(group, channel)

    async def _receive(self, lost_channel: str | None = None) -> None:
        """Read the channel, and come back to it after any failure.

        :param lost_channel: the channel that failed before, which is to be forgotten
        """
        if lost_channel is not None:
            await asyncio.sleep(RETRY_SECONDS)
        while True:
            try:
                if self.channel is None:
                    await self._connect(lost_channel)
                message = await self._layer.receive(self.channel)
            except Exception as error:
                self._log_failing(error)
                lost_channel, self.channel = self.channel or lost_channel, None
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._hear(message)

    async def _connect(self, lost_channel: str | None) -> None:
        async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
            self.channel = await self._layer.new_channel()
        self._unheard = 0
        await self._on_connected(lost_channel)
        await asyncio.sleep(0)  # where a join failed, this task ends here: another has taken its place
        self._log.works("layer")

    async def _hear(self, message: dict[str, Any]) -> None:
        if message.get("type") != _WORD["type"]:
            self._on_message(message)
            return
        was_deaf, self._unheard = self._unheard > 1, 0
        if was_deaf:
            await self._on_connected(None)
            self._log.works("layer")

    async def _talk(self) -> None:
        """Send a word to ourselves from time to time: Redis may be gone, and ``receive`` wait on as if it were not."""
        while True:
            await asyncio.sleep(WORD_SECONDS)
            if self._unheard >= MAX_UNHEARD:
                self._lose(TimeoutError())
            elif self.channel is not None:
                self._unheard += 1
                try:
                    async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                        await self._layer.send(self.channel, _WORD)
                except Exception as error:
                    self._lose(error)
                else:
                    if not self.is_quick:
                        self._log_failing(TimeoutError())

    def _lose(self, error: Exception) -> None:
        """Begin anew with another channel; ending the ``receive`` lets the layer forget the lost one."""
        self._log_failing(error)
        if self.channel is None:
            return
        lost, self.channel = self.channel, None
        self._receiver.cancel()
        self._receiver = self._spawn(self._receive(lost))

    def _log_failing(self, error: Exception) -> None:
        self._log.failed("layer", "The channel layer fails (%s); tried again until it works", type(error).__name__)
