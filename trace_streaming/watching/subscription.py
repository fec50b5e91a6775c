"""A cursor over one trace's log: sends event n+1 only after n, whatever the channel layer does."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from trace_streaming.events import END_STATES
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch, event_packet, pruned_packet
from trace_streaming.wire.frames import Frame, Packet
from trace_streaming.wire.profiles import WINDOW_BYTES, Connected, Gap, Profile
from trace_streaming.wire.protocol import EVERYTHING, CloseCode, Ending, WatchRequest

MAX_WAITING_BYTES: Final = 1024 * 1024
"""What may wait for a slow socket before its subscription falls behind and reads from the store instead."""

STALLED: Final = Ending(CloseCode.TOO_SLOW, "Too slow: nothing was taken for too long; connect again")


class Client(Protocol):
    """Whom a subscription sends to."""

    def send_now(self, packet: Packet) -> bool:
        """Send at once; False, and nothing is sent, where the client has to be waited for."""

    async def send_packet(self, packet: Packet) -> None:
        """Send, and wait as long as the client takes no more; :exc:`OSError` when it has gone."""

    def pump(self) -> None:
        """Have :meth:`Subscription.run` run in a task."""


class Log(Protocol):
    """What a subscription needs to know of its trace; the hub's ``Topic`` is one."""

    trace_id: str
    epoch: str | None
    head: int
    state: str | None
    is_gone: bool

    async def read(self, after: int) -> Batch:
        """The next stored events after a sequence."""


class Subscription:
    """One watcher's place in one log.

    LIVE: it stands at the head, and the hub's batches are sent as they come. BEHIND: it reads pages of the log until
    it meets the head. First replay, resume, a hole and a slow socket are all the same thing: being BEHIND.
    """

    __slots__ = (  # a fifth of what an idle connection holds
        "_behind",
        "_blocked_since",
        "_client",
        "_gap",
        "_heartbeat_due",
        "_is_pumping",
        "_log",
        "_position",
        "_said_ended",
        "_said_live",
        "_tail",
        "_task",
        "_unacknowledged",
        "_unacknowledged_bytes",
        "_waiting",
        "_waiting_bytes",
        "_window_changed",
        "ending",
        "filter",
        "profile",
        "trace_id",
    )

    def __init__(self, log: Log, profile: Profile, client: Client) -> None:
        self.trace_id = log.trace_id
        self.filter = EVERYTHING
        self.profile = profile
        self._log = log
        self._client = client
        self._waiting: list[Batch] = []  # an empty deque holds 700 bytes
        self._waiting_bytes = 0
        self._gap: Gap | None = None
        self._position = 0
        """The last sequence that was sent, or that the filter left out."""
        self._tail = 0
        """The last sequence that is sent or waits."""
        self._behind = True
        self._said_live = False
        self._said_ended: tuple[str | None, int] | None = None
        self._heartbeat_due = False
        self.ending: Ending | None = None
        """Why the socket is to be closed, if it is."""
        self._task: asyncio.Task[None] | None = None
        self._is_pumping = True
        """Whether ``run`` runs, or is about to; once all is sent it ends, until there is more."""
        self._window_changed: asyncio.Event | None = None
        """While the pump waits for acknowledgements."""
        self._blocked_since: float | None = None
        """When the frame was ready that the client is to take now, in the loop's time."""
        self._unacknowledged: list[tuple[int, int]] = []
        self._unacknowledged_bytes = 0

    # What the hub and the consumer call: nothing here waits.

    @property
    def position(self) -> int:
        """The last sequence that was sent, or that the filter left out."""
        return self._position

    @property
    def is_behind(self) -> bool:
        """Whether it reads the log, and is not live."""
        return self._behind

    def open(self, request: WatchRequest) -> None:
        """Take the place that the request asks for; the log's head is known now."""
        self.filter = request.filter
        self._position = self._log.head if request.since is None else request.since
        knows_the_last_of_it = self._log.is_gone and request.epoch == self._log.epoch
        if request.contradicts(self._log.head, self._log.epoch) and not knows_the_last_of_it:
            self.begin_again()
        if self._position == self._log.head:
            self._go_live()
        else:
            metrics.catch_ups.labels("connect").inc()

    def connected(self, heartbeat_seconds: float) -> str:
        """The first frame that the client is sent."""
        log = self._log
        return self.profile.connected(Connected(log.trace_id, log.head, log.epoch, log.state, heartbeat_seconds))

    def offer(self, batch: Batch) -> None:
        """Take a batch from the hub; one that does not follow, or finds too many waiting, is left to the log."""
        if not self._behind and batch.events and batch.last_sequence > self._tail:
            follows = batch.events[0].sequence <= self._tail + 1
            fits = not self._waiting or self._waiting_bytes + batch.size <= MAX_WAITING_BYTES
            if follows and not self._is_pumping and self._send_now(batch):
                return
            if follows and fits:
                self._waiting.append(batch)
                self._waiting_bytes += batch.size
                self._tail = batch.last_sequence
            else:
                self.fall_behind("slow" if follows else "hole")
        self._wake()

    def _send_now(self, batch: Batch) -> bool:
        """Send without waking the pump: a switch to its task costs more than all else that an event costs."""
        if batch.events[0].sequence != self._tail + 1 or batch.state in END_STATES:
            return False
        packet = batch.packet(self.profile, self.filter)
        if packet.frames:
            if not self._fits_window(packet) or not self._client.send_now(packet):
                return False
            self._await_acknowledgement(packet)
        packet.taken += 1  # counted with those of all others, in Topic.deliver: this is the busiest line
        self._position = self._tail = batch.last_sequence
        return True

    def fall_behind(self, cause: str = "look") -> None:
        """Read from the store until the head is met.

        :param cause: for the metrics: ``look``, ``hole``, ``slow`` or ``epoch``
        """
        if not self._behind:
            metrics.catch_ups.labels(cause).inc()
        self._behind = True
        self._waiting.clear()
        self._waiting_bytes = 0
        self._wake()

    def begin_again(self) -> None:
        """The trace was deleted and has begun again: say so, and start at its first event."""
        if self._position > 0:
            self._gap = Gap(1, self._position, "epoch", self._log.epoch)
        self._position = 0
        self.fall_behind("epoch")

    def heartbeat(self) -> None:
        """Tell the client where the log ends."""
        text = self.profile.heartbeat(self._log.head)
        if text is None or (not self._is_pumping and self._client.send_now(Packet([Frame(text)]))):
            return
        self._heartbeat_due = True
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
        while self._unacknowledged and self._unacknowledged[0][0] <= sequence:
            self._unacknowledged_bytes -= self._unacknowledged.pop(0)[1]
        if self._window_changed is not None:
            self._window_changed.set()

    def _wake(self) -> None:
        """There is something to send that the pump is to see to."""
        if not self._is_pumping:
            self._is_pumping = True
            self._client.pump()
        elif self._window_changed is not None:
            self._window_changed.set()  # for the heartbeat, or for its end

    def _go_live(self) -> None:
        self._behind = False
        self._tail = self._position

    # The pump: a task, while there is something that has to be waited for.

    async def run(self) -> None:
        """Send what there is to send, in order; ends when all is sent, and the client is asked when there is more."""
        self._task = asyncio.current_task()
        if self.ending is not None:
            raise asyncio.CancelledError
        while (packet := await self._next_packet()) is not None:
            await self._send(packet)
        self._is_pumping = False  # nothing is awaited between the last look and this
        self._task = None

    async def _next_packet(self) -> Packet | None:
        """What comes next; None when all is sent. The cursor moves here, before its events are sent."""
        if self._gap is not None:
            gap, self._gap = self._gap, None
            self._unacknowledged.clear()  # numbers of the life before
            self._unacknowledged_bytes = 0
            return Packet([Frame(self.profile.gap(self._log.trace_id, gap))])
        if self._behind:
            return await self._catch_up()
        if self._waiting:
            batch = self._waiting.pop(0)
            self._waiting_bytes -= batch.size
            return self._packet_of(batch)
        return self._notices()

    async def _catch_up(self) -> Packet:
        """The next page of the log; LIVE once there is none."""
        if self._position >= self._log.head:
            # Nothing is awaited between this look at the head and being live, so no batch falls in between.
            self._go_live()
            return _NOTHING
        epoch, head, after = self._log.epoch, self._log.head, self._position
        page = await self._log.read(after)
        if self._log.epoch != epoch or self._position != after:
            return _NOTHING  # the trace began again while its old events were read
        events = page.events
        self._position = events[-1].sequence if events else head
        if events and self._position == after + len(events):
            return page.packet(self.profile, self.filter)
        return pruned_packet(self.profile, self.filter, self._log.trace_id, events, after, self._position)

    def _packet_of(self, batch: Batch) -> Packet:
        after, self._position = self._position, batch.last_sequence
        if batch.events[0].sequence == after + 1:
            return batch.packet(self.profile, self.filter)
        return event_packet(self.profile, self.filter, batch.events[after + 1 - batch.events[0].sequence :])

    def _notices(self) -> Packet | None:
        """What is said at the head of the log; None when there is nothing to say."""
        notices: list[str | None] = []
        if not self._said_live:
            self._said_live = True
            notices.append(self.profile.live(self._position))
        if self._log.state in END_STATES and self._said_ended != (self._log.epoch, self._position):
            self._said_ended = (self._log.epoch, self._position)
            notices.append(self.profile.ended(self._log.state, self._position))
        if self._heartbeat_due:
            self._heartbeat_due = False
            notices.append(self.profile.heartbeat(self._log.head))
        frames = [Frame(text) for text in notices if text is not None]
        return Packet(frames) if frames else None

    async def _send(self, packet: Packet) -> None:
        if not packet.frames:
            _count(packet)
            return
        self._blocked_since = asyncio.get_running_loop().time()
        while not self._fits_window(packet):
            # Only heartbeats go past a full window.
            if self._heartbeat_due:
                self._heartbeat_due = False
                if (heartbeat := self.profile.heartbeat(self._log.head)) is not None:
                    await self._client.send_packet(Packet([Frame(heartbeat)]))
            self._window_changed = asyncio.Event()
            await self._window_changed.wait()
        self._window_changed = None
        self._await_acknowledgement(packet)
        await self._client.send_packet(packet)
        _count(packet)
        self._blocked_since = None

    def _fits_window(self, packet: Packet) -> bool:
        if not (self.profile.acknowledges and packet.sequence and self._unacknowledged):
            return True
        return self._unacknowledged_bytes + packet.size <= WINDOW_BYTES

    def _await_acknowledgement(self, packet: Packet) -> None:
        if self.profile.acknowledges and packet.sequence:
            self._unacknowledged.append((packet.sequence, packet.size))
            self._unacknowledged_bytes += packet.size


_NOTHING: Final = Packet(())


def _count(packet: Packet) -> None:
    metrics.counts.delivered += packet.events
    metrics.counts.filtered += packet.filtered
