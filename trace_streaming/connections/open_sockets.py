"""The sockets that this process has open: counted, and closed when it ends."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from trace_streaming.telemetry import metrics
from trace_streaming.wire.profiles import PLAIN, V1, Profile
from trace_streaming.wire.protocol import GOING_AWAY, Ending

CLOSE_SECONDS: Final = 1.0
"""How long a client that takes nothing is asked to take its close."""
CUT_OFF_SECONDS: Final = 1.0
"""How long it takes at most to cut it off."""


class OpenSocket(Protocol):
    """A consumer."""

    def end(self, ending: Ending) -> None:
        """Close it soon."""

    def watches_in(self, profile: Profile) -> bool:
        """Whether it has its place, in this profile."""


open_sockets: Final[dict[asyncio.Task[Any] | None, OpenSocket]] = {}
"""Each by the task that serves it."""
metrics.sources["open_connections_plain"] = lambda: sum(each.watches_in(PLAIN) for each in list(open_sockets.values()))
metrics.sources["open_connections_v1"] = lambda: sum(each.watches_in(V1) for each in list(open_sockets.values()))


async def close_all() -> None:
    """The server is ending: tell all clients of the running loop to connect again, and give them a second to go.

    Those that take nothing are cut off behind that, which has to come before the server says itself that it ends: a
    connection that is closed while much waits to be sent would be waited for.
    """
    loop = asyncio.get_running_loop()
    here = {task: socket for task, socket in open_sockets.items() if task is not None and task.get_loop() is loop}
    for socket in here.values():
        socket.end(GOING_AWAY)
    if here:
        await asyncio.wait(here, timeout=CLOSE_SECONDS + CUT_OFF_SECONDS)
