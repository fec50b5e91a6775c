"""A place in one trace's log, and what comes next there: a page, a batch that waits, a gap, a notice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from trace_streaming.events import END_STATES
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch, event_packet
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import Connected, Gap, Profile
from trace_streaming.wire.protocol import EVERYTHING, WatchRequest

from .contracts import Log, Reader

MAX_WAITING_BYTES: Final = 1024 * 1024
"""What may wait for a slow socket before its cursor falls behind and reads from the store instead."""


MAX_NEWS: Final = 16
"""Texts that are kept for a client that takes nothing at the moment."""


class Cursor(ABC):
    """LIVE: it stands at the head, and takes the hub's batches as they come. BEHIND: it reads pages of the log.

    First replay, resume, a hole and a slow socket are all the same thing: being BEHIND until the head is met.
    """

    __slots__ = (  # a fifth of what an idle connection holds
        "_behind",
        "_gap",
        "_heartbeat_due",
        "_log",
        "_news",
        "_position",
        "_said_ended",
        "_said_live",
        "_tail",
        "_waiting",
        "_waiting_bytes",
        "filter",
        "profile",
        "trace_id",
    )

    def __init__(self, log: Log, profile: Profile) -> None:
        self.trace_id = log.trace_id
        self.filter = EVERYTHING
        self.profile = profile
        self._log = log
        self._waiting: list[Batch] = []  # an empty deque holds 700 bytes
        self._waiting_bytes = 0
        self._gap: Gap | None = None
        self._position = 0
        """The last sequence that was sent, or that the filter left out."""
        self._tail = 0
        """The last sequence that is sent or waits."""
        self._behind = True
        self._said_live = False
        self._said_ended: tuple[str | None, int, str] | None = None
        self._heartbeat_due = False
        self._news: list[str] | None = None
        """Texts of calls that stream, for as long as the client can be expected to take them soon."""

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

    def wait_for_turn(self, batch: Batch) -> None:
        """Keep a batch that cannot be sent yet; one that does not follow, or is too much, is left to the log."""
        follows = batch.events[0].sequence <= self._tail + 1
        if follows and (not self._waiting or self._waiting_bytes + batch.size <= MAX_WAITING_BYTES):
            self._waiting.append(batch)
            self._waiting_bytes += batch.size
            self._tail = batch.last_sequence
        else:
            self.fall_behind("slow" if follows else "hole")

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

    def keep_news(self, text: str) -> None:
        """Keep what is no event until the client takes it; of too much, the oldest goes."""
        self._news = [*(self._news or ())[1 - MAX_NEWS :], text]

    @abstractmethod
    def _reader(self) -> Reader:
        """For whom pages are read."""

    @abstractmethod
    def _wake(self) -> None:
        """There is something to send."""

    def _go_live(self) -> None:
        self._behind = False
        self._tail = self._position

    async def next_packet(self) -> Packet | None:
        """What comes next; None when all is sent. The cursor moves here, before its events are sent."""
        if self._gap is not None:
            gap, self._gap = self._gap, None
            return Packet([self.profile.gap(self._log.trace_id, gap)])
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
        epoch, after, wanted = self._log.epoch, self._position, self.filter
        page = await self._log.read(after, self._reader())
        if (self._log.epoch, self._position, self.filter) != (epoch, after, wanted):
            return _NOTHING  # the trace began again while its old events were read, or others are wanted now
        self._position = page.last
        return page.packet

    def _packet_of(self, batch: Batch) -> Packet:
        after, self._position = self._position, batch.last_sequence
        if batch.events[0].sequence == after + 1:
            return batch.packet(self.profile, self.filter)
        return event_packet(self.profile, self.filter, batch.events[after + 1 - batch.events[0].sequence :])

    def _notices(self) -> Packet | None:
        """What is said at the head of the log; None when there is nothing to say."""
        notices: list[str | None] = []
        if self._news:
            notices += self._news
            self._news = None
        if not self._said_live:
            self._said_live = True
            notices.append(self.profile.live(self._position))
        if self._log.state in END_STATES:
            end = (self._log.epoch, self._position, self._log.state)
            if self._said_ended != end:
                self._said_ended = end
                notices.append(self.profile.ended(self._log.state, self._position))
        if self._heartbeat_due:
            self._heartbeat_due = False
            notices.append(self.profile.heartbeat(self._log.head))
        texts = [text for text in notices if text is not None]
        return Packet(texts) if texts else None


_NOTHING: Final = Packet(())
