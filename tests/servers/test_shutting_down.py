"""Before a server ends, whoever has connections open tells their clients."""

from __future__ import annotations

import asyncio

from trace_streaming.servers.shutting_down import Shutdown


async def test_clients_are_told_once_for_each_end_of_a_server() -> None:
    """However many connections ask; and again where another server ends on the same loop."""
    told: list[int] = []

    async def tell() -> None:
        told.append(len(told))
        await asyncio.sleep(0)

    shutdown = Shutdown()
    shutdown.close_connections = tell
    for end in (1, 2):
        await asyncio.gather(*[shutdown.begin() for _ in range(3)])
        assert len(told) == end
    assert not shutdown._closing
