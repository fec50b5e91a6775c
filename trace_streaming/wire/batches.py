"""What the channel layer carries, and what each kind of client is sent of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from trace_streaming.events import EncodedEvent

from .frames import MAX_FRAME_BYTES, Packet, total_bytes
from .profiles import Gap, Profile
from .protocol import EVERYTHING, EventFilter


@dataclass(frozen=True)
class Batch:
    """Consecutive events of one trace and the trace's state after them: what the channel layer carries."""

    trace_id: str
    epoch: str
    state: str
    last_sequence: int
    """Of the last event up to here, in this batch or before it."""
    events: tuple[EncodedEvent, ...] = ()
    trace_pk: int = field(default=0, compare=False)
    """Of the trace's row, for who learns of the trace by this; 0 where it is not told."""

    @property
    def begins(self) -> bool:
        """Whether all of the trace is in it, up to here."""
        return bool(self.trace_pk and self.events and self.events[0].sequence == 1)

    @cached_property
    def size(self) -> int:
        """Bytes of the encoded events."""
        return total_bytes(self.events)

    def is_followed_by(self, batch: Batch) -> bool:
        """Whether the other can be told together with this one."""
        return (
            self.epoch == batch.epoch
            and self.last_sequence + len(batch.events) == batch.last_sequence
            and self.size + batch.size <= MAX_FRAME_BYTES
        )

    @cached_property
    def _packets(self) -> dict[tuple[Profile, EventFilter], Packet]:
        return {}

    def packet(self, profile: Profile, wanted: EventFilter) -> Packet:
        """What one kind of client with one filter is sent, made once for all of their sockets."""
        packet = self._packets.get((profile, wanted))
        if packet is None:
            packet = self._packets[profile, wanted] = event_packet(profile, wanted, self.events)
        return packet

    def taken(self) -> tuple[int, int]:
        """How many events sockets have taken at once since the last call, and how many they have not asked for."""
        delivered = filtered = 0
        for packet in self._packets.values():
            delivered += packet.events * packet.taken
            filtered += packet.filtered * packet.taken
            packet.taken = 0
        return delivered, filtered


def merge(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Join batches that follow each other, as far as one frame can carry them: each costs every socket a write."""
    joined: dict[str, Batch] = {}
    for batch in batches:
        before = joined.get(batch.trace_id)
        if before is None:
            joined[batch.trace_id] = batch
        elif before.is_followed_by(batch):
            events = before.events + batch.events
            joined[batch.trace_id] = replace(batch, events=events)
        else:
            yield joined.pop(batch.trace_id)
            joined[batch.trace_id] = batch
    yield from joined.values()


def event_packet(profile: Profile, wanted: EventFilter, events: Sequence[EncodedEvent]) -> Packet:
    """What carries those of the events that are wanted."""
    carried = events  # of the filter that is the most frequent by far; to ask of each event takes a third of the time
    if wanted != EVERYTHING:
        carried = [event for event in events if wanted.matches(event.event, event.status)]
    last = carried[-1].sequence if carried else 0
    return Packet(profile.events(carried), last, len(carried), len(events) - len(carried))


def pruned_packet(
    profile: Profile, wanted: EventFilter, trace_id: str, events: Sequence[EncodedEvent], after: int, last: int
) -> Packet:
    """Like :func:`event_packet`, of a page that lacks numbers; it says which.

    :param after: the last number before the page
    :param last: of the page; that of its last event, if it has any
    """
    whole = event_packet(profile, wanted, events)
    texts: list[str] = []
    for run in _runs(events):
        texts += _gap(profile, trace_id, after, run[0].sequence)
        texts += event_packet(profile, wanted, run).texts
        after = run[-1].sequence
    texts += _gap(profile, trace_id, after, last + 1)
    return Packet(texts, whole.sequence, whole.events, whole.filtered)


def _gap(profile: Profile, trace_id: str, after: int, before: int) -> list[str]:
    """Between two numbers; none where they follow each other."""
    if before == after + 1:
        return []
    return [profile.gap(trace_id, Gap(after + 1, before - 1, "pruned"))]


def _runs(events: Sequence[EncodedEvent]) -> Iterator[Sequence[EncodedEvent]]:
    """Cut a page where numbers are missing."""
    start = 0
    for index in range(1, len(events) + 1):
        if index == len(events) or events[index].sequence != events[index - 1].sequence + 1:
            yield events[start:index]
            start = index
