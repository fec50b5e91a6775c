"""What a subscription needs of the two it stands between: its client, and its trace's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from trace_streaming.events import EncodedEvent
from trace_streaming.wire.batches import Batch, event_packet
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


class Reader(NamedTuple):
    """For whom a page is read: what it will be sent is made in the thread that reads."""

    profile: Profile
    filter: EventFilter
    encode: Callable[[Packet], None]

    def packet(self, events: Sequence[EncodedEvent]) -> Packet:
        """What carries them."""
        packet = event_packet(self.profile, self.filter, events)
        self.encode(packet)
        return packet


class Log(Protocol):
    """What a subscription needs to know of its trace; the hub's ``Topic`` is one."""

    trace_id: str
    epoch: str | None
    head: int
    state: str | None
    is_gone: bool

    async def read(self, after: int, reader: Reader) -> Batch:
        """The next stored events after a sequence; where they have to be read for it, with its packet."""
