"""Before a server ends, whoever has connections open tells their clients."""

from __future__ import annotations

import asyncio

import pytest

from trace_streaming.servers import changes
from trace_streaming.servers.shutting_down import Shutdown, shutdown


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


async def test_who_is_let_in_by_the_last_accept_is_told_while_uvicorn_waits_for_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uvicorn has told all others by then; it would wait without end."""
    order: list[str] = []
    last_is_gone = asyncio.Event()

    async def tell() -> None:
        order.append("told")
        if "listens no more" in order:
            last_is_gone.set()

    async def shut_down(server: object) -> None:
        order.append("listens no more")
        await last_is_gone.wait()

    monkeypatch.setattr(changes, "TELL_AGAIN_SECONDS", 0)
    monkeypatch.setattr(shutdown, "close_connections", tell)
    monkeypatch.setattr(shutdown, "end_process", lambda: order.append("stored"))
    async with asyncio.timeout(10):
        await changes.between_closing_and_ending(shut_down)(None)
    assert (order[:3], order[-1]) == (["told", "listens no more", "told"], "stored")
