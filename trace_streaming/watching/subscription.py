"""A cursor whose events are sent: event n+1 only after n, whatever the channel layer does and the client takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from trace_streaming.events import END_STATES
from trace_streaming.events.deltas import TextDelta
from trace_streaming.telemetry import metrics
from trace_streaming.telemetry.logs import connection_name, describe
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import Profile
from trace_streaming.wire.protocol import FAILED, CloseCode, Ending

from .contracts import Client, Log, Reader
from .cursor import Cursor
from .window import Window

logger = logging.getLogger(__name__)

STALLED: Final = Ending(CloseCode.TOO_SLOW, "Too slow: nothing was taken for too long; connect again")
GONE: Final = Ending(CloseCode.GOING_AWAY, "You take nothing any more; connect again")


class Subscription(Cursor):
    """One watcher of one log."""

    __slots__ = (
        "_blocked_since",
        "_client",
        "_is_pumping",
        "_task",
        "_window",
        "_window_changed",
        "ending",
    )

    def __init__(self, log: Log, profile: Profile, client: Client) -> None:
        super().__init__(log, profile)
        self._client = client
        self.ending: Ending | None = None
        """Why the socket is to be closed, if it is."""
        self._task: asyncio.Task[None] | None = None
        self._is_pumping = True
        """Whether ``run`` runs, or is about to; once all is sent it ends, until there is more."""
        self._window = Window() if profile.acknowledges else None
        self._window_changed: asyncio.Event | None = None
        """While the pump waits for acknowledgements."""
        self._blocked_since: float | None = None
        """When the frame was ready that the client is to take now, in the loop's time."""

    # What the hub and the consumer call: nothing here waits.

    def offer(self, batch: Batch) -> None:
        """Take a batch from the hub."""
        if not self._behind and batch.events and batch.last_sequence > self._tail:
            if not self._is_pumping and self._send_now(batch):
                return
            self.wait_for_turn(batch)
        self._wake()

    def _send_now(self, batch: Batch) -> bool:
        """Send without waking the pump: a switch to its task costs more than all else that an event costs."""
        if batch.events[0].sequence != self._tail + 1 or batch.state in END_STATES:
            return False
        packet = batch.packet(self.profile, self.filter)
        if packet.texts:
            window = self._window
            if (window is not None and not window.fits(packet)) or not self._client.send_now(packet):
                return False
            if window is not None:
                window.sent(packet)
        packet.taken += 1  # counted with those of all others, in Topic.deliver: this is the busiest line
        self._position = self._tail = batch.last_sequence
        return True

    def heartbeat(self) -> None:
        """Tell the client where the log ends."""
        text = self.profile.heartbeat(self._log.head)
        if text is None or (not self._is_pumping and self._client.send_now(Packet([text]))):
            return
        self._heartbeat_due = True
        self._wake()

    def tell(self, delta: TextDelta) -> None:
        """Tell a client that is live of a piece of text; who takes nothing at the moment does without."""
        if self.is_behind or not self.filter.takes_calls or (text := self.profile.delta(delta)) is None:
            return
        if not self._is_pumping and self._client.send_now(Packet([text])):
            return
        self.keep_news(text)
        self._wake()

    def give_up_if_stalled(self, seconds: float) -> None:
        """End the pump, if the client has taken nothing for longer than this."""
        if self._task is None or self._blocked_since is None:
            return
        if self._task.get_loop().time() - self._blocked_since > seconds:
            metrics.stalled.inc()
            self.end(STALLED)

    def end(self, ending: Ending) -> None:
        """End the pump; the socket is to be closed."""
        self.ending = ending
        if self._is_pumping and self._task is not None:
            self._task.cancel()
        else:
            self._wake()

    def acknowledge(self, sequence: int) -> None:
        """The client has received everything up to here."""
        if self._window is not None:
            self._window.acknowledge(sequence)
        if self._window_changed is not None:
            self._window_changed.set()

    def _reader(self) -> Reader:
        return Reader(self.profile, self.filter, self._client.encode)

    def _wake(self) -> None:
        """There is something to send that the pump is to see to."""
        if not self._is_pumping:
            self._is_pumping = True
            self._client.pump()
        elif self._window_changed is not None:
            self._window_changed.set()  # for the heartbeat, or for its end

    # The pump: a task, while there is something that has to be waited for.

    async def run(self) -> None:
        """Send what there is to send, in order; ends when all is sent, and the client is asked when there is more."""
        self._task = asyncio.current_task()
        if self.ending is not None:
            raise asyncio.CancelledError
        while (packet := await self.next_packet()) is not None:
            await self._send(packet)
        self._is_pumping = False  # nothing is awaited between the last look and this
        self._task = None

    async def next_packet(self) -> Packet | None:
        """As the cursor has it; what was sent before a gap need not be acknowledged any more."""
        if self._gap is not None and self._window is not None:
            self._window.clear()
        return await super().next_packet()

    async def _send(self, packet: Packet) -> None:
        if not packet.texts:
            _count(packet)
            return
        self._blocked_since = asyncio.get_running_loop().time()
        if self._window is not None:
            await self._room_in(self._window, packet)
        await self._client.send_packet(packet)
        _count(packet)
        self._blocked_since = None

    async def _room_in(self, window: Window, packet: Packet) -> None:
        """Wait for acknowledgements; only heartbeats go past a full window."""
        while not window.fits(packet):
            if self._heartbeat_due:
                self._heartbeat_due = False
                if (heartbeat := self.profile.heartbeat(self._log.head)) is not None:
                    await self._client.send_packet(Packet([heartbeat]))
            self._window_changed = asyncio.Event()
            await self._window_changed.wait()
        self._window_changed = None
        window.sent(packet)


def _count(packet: Packet) -> None:
    metrics.counts.delivered += packet.events
    metrics.counts.filtered += packet.filtered


async def run_pump(subscription: Subscription, scope: Mapping[str, Any]) -> Ending | None:
    """Run a subscription until all is sent, or its connection is to end.

    :param scope: of the connection, for the log
    :returns: why the connection is to end: ``GONE`` when the client does not take it, ``FAILED`` after a bug; None when
        all is sent
    """
    try:
        await subscription.run()
    except asyncio.CancelledError:
        if subscription.ending is None:
            raise
        return subscription.ending
    except OSError:
        return GONE
    except Exception as error:
        position = {"trace_id": subscription.trace_id, "sequence": subscription.position}
        where = {**position, "connection": connection_name(scope)}
        logger.error("A subscription failed: %s", describe(error), extra=where)
        return FAILED
    return None
