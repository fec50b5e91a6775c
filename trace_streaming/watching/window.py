"""Flow control by acknowledgements: what may be on its way to a client that says what it has received."""

from __future__ import annotations

from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import WINDOW_BYTES


class Window:
    """Of one client. A packet that is larger than the window goes alone."""

    __slots__ = ("_sizes", "unacknowledged_bytes")

    def __init__(self) -> None:
        self._sizes: list[tuple[int, int]] = []
        """Last sequence and bytes of each packet that is on its way, oldest first."""
        self.unacknowledged_bytes = 0

    def fits(self, packet: Packet) -> bool:
        """Whether it may be sent now; what carries no events always may."""
        if not (packet.sequence and self._sizes):
            return True
        return self.unacknowledged_bytes + packet.size <= WINDOW_BYTES

    def sent(self, packet: Packet) -> None:
        """It is on its way."""
        if packet.sequence:
            self._sizes.append((packet.sequence, packet.size))
            self.unacknowledged_bytes += packet.size

    def acknowledge(self, sequence: int) -> None:
        """The client has received everything up to here."""
        while self._sizes and self._sizes[0][0] <= sequence:
            self.unacknowledged_bytes -= self._sizes.pop(0)[1]

    def clear(self) -> None:
        """What was sent had numbers of another life of the trace."""
        self._sizes.clear()
        self.unacknowledged_bytes = 0
