"""A watched trace, as a hub knows it: who watches, where the log ends, and its newest events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from trace_streaming.events import END_STATES, EncodedEvent
from trace_streaming.storage import store
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import MAX_EVENTS_BYTES
from trace_streaming.wire.profiles import Profile
from trace_streaming.wire.protocol import EVERYTHING, EventFilter

from .contracts import Page, Reader
from .reader import Place
from .subscription import Subscription

RING_EVENTS: Final = 256
RING_BYTES: Final = 512 * 1024

FIRST_EXPECTED: Final = 100
"""Events of a page, before it is known how large they are."""
MOST_EXPECTED_MORE: Final = 4
"""Times as many as before: where they suddenly grow, so much more is read in vain."""

ReadPage = Callable[[Place, Reader], Awaitable[Page]]


_Kind = tuple[Profile, EventFilter]
"""Of readers: those of one are sent the same."""
_Pages = dict[_Kind, Page]
"""The same part of the log, as each kind is sent it."""


class _Asked(NamedTuple):
    """A part of the log."""

    trace_pk: int
    after: int
    head: int
    kind: _Kind | None = None
    """For whom it is read, where no other can be made of it: of a joined page."""


class Topic:
    """One watched trace; the log that its subscriptions are cursors over."""

    def __init__(self, trace_id: str, read_page: ReadPage) -> None:
        self.trace_id = trace_id
        self.epoch: str | None = None
        self.head = 0
        self.state: str | None = None
        self.is_gone = False
        """Whether the trace was deleted, and has not begun again: then nobody knows better than its last watchers."""
        self.subscriptions: set[Subscription] = set()
        self.membership = asyncio.Lock()
        """Held while the group is joined or left."""
        self.ready = False
        """Whether the log was looked at after the group was joined."""
        self._read_page = read_page
        self._pk = 0
        self._expected = FIRST_EXPECTED
        self._reading: dict[_Asked, asyncio.Future[_Pages | None]] = {}
        """Parts that are being read."""
        self._of_ring: tuple[_Asked, _Pages] | None = None
        """What was made last of the ring."""
        self._ring: deque[EncodedEvent] = deque()
        self._ring_bytes = 0

    async def read(self, after: int, reader: Reader) -> Page:
        """The next events after a sequence: from the ring when it has them, otherwise a page of the store.

        Those who miss the same get the same: after a hole all sockets of a trace ask at once.
        """
        while True:
            kind = (reader.profile, reader.filter)
            asked = _Asked(self._pk, after, self.head)
            if self._ring and self._ring[0].sequence <= after + 1 <= self._ring[-1].sequence:
                return self._page_of_ring(asked, reader)
            if reader.filter == EVERYTHING:
                asked = asked._replace(kind=kind)
            if asked not in self._reading:
                return await self._read_for_all(asked, reader)
            if (shared := await asyncio.shield(self._reading[asked])) is not None:
                if kind not in shared:
                    events = next(iter(shared.values())).events
                    shared[kind] = reader.page(self.trace_id, after, asked.head, events)
                return shared[kind]

    def _page_of_ring(self, asked: _Asked, reader: Reader) -> Page:
        if self._of_ring is None or self._of_ring[0] != asked:
            self._of_ring = asked, {}
        pages, kind = self._of_ring[1], (reader.profile, reader.filter)
        if kind not in pages:
            events = [event for event in self._ring if event.sequence > asked.after]
            pages[kind] = reader.page(self.trace_id, asked.after, asked.head, events)
        return pages[kind]

    async def _read_for_all(self, asked: _Asked, reader: Reader) -> Page:
        reading = self._reading[asked] = asyncio.get_running_loop().create_future()
        pages: _Pages | None = None
        try:
            place = Place(self.trace_id, asked.trace_pk, asked.after, asked.head, self._expected)
            page = await self._read_page(place, reader)
            pages = {(reader.profile, reader.filter): page}
            self._expect(page)
            return page
        finally:
            del self._reading[asked]
            reading.set_result(pages)  # None where this reader was cancelled: one of those who wait reads instead

    def _expect(self, page: Page) -> None:
        """Of the next page as many events as would fill it, were they as large as these."""
        if page.packet.events:
            filling = MAX_EVENTS_BYTES * page.packet.events // (page.packet.size + 1)
            self._expected = max(min(filling * 3 // 4, self._expected * MOST_EXPECTED_MORE), 1)

    def deliver(self, batch: Batch) -> bool:
        """Take a batch from the channel layer; False when only the store can say what it means."""
        if self.epoch is None and batch.begins:
            self._pk, self.epoch = batch.trace_pk, batch.epoch  # nothing has to be read: this is all of it
        if batch.epoch != self.epoch:
            return False  # the trace began again, or has just begun elsewhere, or this is late news of an earlier life
        if not batch.events and batch.last_sequence > self.head:
            return False  # an end, whose events were lost
        if batch.last_sequence >= self.head:
            self.state = batch.state
        if batch.last_sequence > self.head:
            if batch.events[0].sequence > self.head + 1:
                self._clear_ring()
            self._remember(batch.events)
            self.head = batch.last_sequence
        for subscription in self.subscriptions:
            subscription.offer(batch)
        delivered, filtered = batch.taken()
        metrics.counts.delivered += delivered
        metrics.counts.filtered += filtered
        return True

    def lags(self, head: store.Head | None) -> bool:
        """Whether the store has more of the log that this knows."""
        return head is not None and head.epoch == self.epoch and head.sequence > self.head

    def look(self, head: store.Head | None) -> bool:
        """Take what the store says; True when it knew more than the channel layer had told."""
        self.is_gone = head is None and self.epoch is not None
        if head is None:
            self._clear_ring()  # what was deleted is not told to those who come now
            return False
        began_again = self.epoch is not None and head.epoch != self.epoch
        is_news = head.epoch != self.epoch or head.sequence > self.head
        # The look may be older than the end that the channel layer has told meanwhile.
        is_end = head.sequence == self.head and head.state != self.state and head.state in END_STATES
        if not (is_news or is_end):
            return False
        if is_news:
            self._clear_ring()
        self._pk, self.epoch, self.state = head.pk, head.epoch, head.state
        self.head = head.sequence
        for subscription in self.subscriptions:
            subscription.begin_again() if began_again else subscription.fall_behind()
        return True

    def _remember(self, events: Sequence[EncodedEvent]) -> None:
        for event in events:
            if event.sequence > self.head:
                self._ring.append(event)
                self._ring_bytes += len(event.text)
        while self._ring and (len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES):
            self._ring_bytes -= len(self._ring.popleft().text)

    def _clear_ring(self) -> None:
        self._ring.clear()
        self._of_ring = None
        self._ring_bytes = 0
