"""What a subscription needs of the two it stands between: its client, and its trace's log."""

from __future__ import annotations

from typing import Protocol

from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import Packet


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
