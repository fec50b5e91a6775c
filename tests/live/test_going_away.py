"""A server that is told to end says so to its clients, and stores what was emitted in it a moment ago."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import AsyncExitStack, closing
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from tests.live.servers import Server
from tests.live.watching import V1, watch

COUNT = 2_000


async def rest_of(socket: Any) -> list[dict[str, Any]]:
    """What a socket is sent until it is closed."""
    frames = []
    try:
        while True:
            frames.append(orjson.loads(await socket.recv()))
    except ConnectionClosed:
        return frames


async def test_clients_are_told_to_come_back(own_server: Server, trace_id: str) -> None:
    """4001 in both profiles, with an error frame before it; the row of the process goes with it."""
    async with AsyncExitStack() as stack:
        sockets = [await watch(stack, own_server.url(trace_id), profile) for profile in (None, V1) for _ in range(20)]
        await asyncio.to_thread(own_server.stop)
        async with asyncio.timeout(60):
            frames = await asyncio.gather(*map(rest_of, sockets))
    assert [socket.close_code for socket in sockets] == [4001] * 40
    assert [said[-1]["details"]["code"] for said in frames[:20]] == [4001] * 20
    assert [said[-1]["code"] for said in frames[20:]] == [4001] * 20
    with closing(sqlite3.connect(own_server.folder / "db.sqlite3")) as database:
        assert database.execute("SELECT COUNT(*) FROM trace_streaming_streamserver").fetchone() == (0,)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT], ids=["terminated", "interrupted"])
async def test_what_was_emitted_in_it_is_stored(own_server: Server, trace_id: str, signal_number: int) -> None:
    """Nobody has waited for it: uvicorn would end by the signal, before Python's own end."""
    await asyncio.to_thread(own_server.get, f"/emit-and-return/{trace_id}/{COUNT}/server")
    await asyncio.to_thread(own_server.stop, signal_number)
    with closing(sqlite3.connect(own_server.folder / "db.sqlite3")) as database:
        assert database.execute("SELECT COUNT(*) FROM trace_streaming_event").fetchone() == (COUNT,)
