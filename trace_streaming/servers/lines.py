"""What leads from a connection's scope to its transport: neither daphne nor uvicorn has that."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Final, Protocol

from trace_streaming.access.hidden_tickets import hide_ticket

from .wires import DaphneWire, UvicornWire, Wire, limit_messages

logger = logging.getLogger(__name__)

SCOPE_KEY: Final = "trace_streaming.wire"
"""Where a socket's scope has its line, and a request's what makes its gate."""


class Line(Protocol):
    """What leads from a scope to its socket, before that is open."""

    def wire(self) -> Wire:
        """Of the socket, which is open now."""

    def stop_reading(self) -> None:
        """Leave what the client says where it is, while nobody can take it."""

    def read_on(self) -> None:
        """Take it again."""


class UvicornLine:
    """The protocol itself reads no more than a message that nobody has taken yet."""

    NEEDS: ClassVar = ("transport", "conn", "writable", "close_sent", "disconnected")
    """Of the protocol."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def wire(self) -> Wire:
        """Past ASGI."""
        return UvicornWire(self._protocol)

    def stop_reading(self) -> None:
        """The protocol does, behind a message that is no longer than after the handshake."""
        limit_messages(self._protocol)

    def read_on(self) -> None:
        """As it does."""


class DaphneLine:
    """autobahn would put together whatever a client says before it is answered."""

    NEEDS: ClassVar = ("transport", "state", "STATE_OPEN", "_perMessageCompress")
    """Of the protocol."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def wire(self) -> Wire:
        """Past ASGI."""
        return DaphneWire(self._protocol)

    def stop_reading(self) -> None:
        """Of a client that has gone, too, it is known only later."""
        self._protocol.transport.pauseProducing()

    def read_on(self) -> None:
        """From where it was left."""
        self._protocol.transport.resumeProducing()


def lead_to(protocol: Any, scope: dict[str, Any], line: type[DaphneLine | UvicornLine]) -> None:
    """Give a socket's scope its line, where the protocol has all that it needs; and take its ticket out of sight."""
    hide_ticket(scope)  # uvicorn logs the URL when the socket is accepted; what is around the application may, too
    missing = [name for name in line.NEEDS if not hasattr(protocol, name)]
    if not missing:
        scope[SCOPE_KEY] = line(protocol)
    elif line not in _warned:
        _warned.add(line)
        logger.warning("Sockets are served through ASGI, frame by frame: %s has no %s", type(protocol), missing[0])


_warned: Final[set[type]] = set()
