"""What is done before a process that serves ends."""

from __future__ import annotations

import asyncio

from trace_streaming.recording.recorder import recorder
from trace_streaming.servers.presence import presence

from . import event_source, open_sockets


async def close_connections() -> None:
    """Tell the clients of the running loop to come back."""
    await asyncio.gather(open_sockets.close_all(), event_source.end_all())


def end_process() -> None:
    """Store what was emitted, and say that the process serves no more."""
    recorder.close()
    presence.close()
