"""What a subscription needs of the two it stands between: its client, and its trace's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from trace_streaming.events import EncodedEvent
from trace_streaming.wire.batches import event_packet, pruned_packet
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import Profile
from trace_streaming.wire.protocol import EventFilter


class Client(Protocol):
    """Whom a subscription sends to."""

    def send_now(self, packet: Packet) -> bool:
        """Send at once; False, and nothing is sent, where the client has to be waited for."""

    async def send_packet(self, packet: Packet) -> None:
        """Send, and wait as long as the client takes no more; :exc:`OSError` when it has gone."""

    def encode(self, packet: Packet) -> None:
        """Make the bytes that it will be sent, in any thread: the loop that serves all clients need not."""

    def pump(self) -> None:
        """Have :meth:`Subscription.run` run in a task."""


class Page(NamedTuple):
    """The next part of a log, as one kind of client is sent it."""

    last: int
    """The last number of it, whether an event still has it or not."""
    packet: Packet
    events: Sequence[EncodedEvent] = ()
    """For what another kind is sent; not of a joined page."""


class Reader(NamedTuple):
    """For whom a page is read: what it will be sent is made in the thread that reads."""

    profile: Profile
    filter: EventFilter
    encode: Callable[[Packet], None]

    def page(self, trace_id: str, after: int, head: int, events: Sequence[EncodedEvent]) -> Page:
        """What carries the next events after a sequence, and says which numbers are missing.

        :param head: up to where the log goes, if there are none
        """
        last = events[-1].sequence if events else head
        if events and last == after + len(events):
            packet = event_packet(self.profile, self.filter, events)
        else:
            packet = pruned_packet(self.profile, self.filter, trace_id, events, after, last)
        self.encode(packet)
        return Page(last, packet, events)

    def joined_page(self, first: int, last: int, texts: str) -> Page:
        """What carries consecutive events, all of which are wanted, whose texts stand in lines, and fit one frame."""
        packet = Packet(self.profile.joined(texts, first), last, last + 1 - first)
        self.encode(packet)
        return Page(last, packet)


class Log(Protocol):
    """What a subscription needs to know of its trace; the hub's ``Topic`` is one."""

    trace_id: str
    epoch: str | None
    head: int
    state: str | None
    is_gone: bool

    async def read(self, after: int, reader: Reader) -> Page:
        """The next stored events after a sequence."""
