"""Thousands who are nobody, and frames of a megabyte, beside one who may watch: he loses nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.live import reports
from tests.live.servers import KINDS
from tests.live.watching import V1
from tests.security.conftest import Closed

SECONDS: Final = 30 if os.environ.get("SOAK") else 8
HANDSHAKES: Final = 5000
AT_ONCE: Final = 50
MEGABYTE: Final = b"x" * (1024 * 1024 - 64)
MOST_GROWTH: Final = 150 * 2**20


def url(closed: Closed, kind: str, trace_id: str = "secret") -> str:
    return f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/{trace_id}"


async def knock(closed: Closed, kind: str, codes: Counter[int | None], until: float) -> None:
    """One of those who connect again and again, though they are nobody."""
    loop = asyncio.get_running_loop()
    while loop.time() < until and codes.total() < HANDSHAKES:
        with suppress(OSError, WebSocketException):
            async with connect(url(closed, kind), compression=None, open_timeout=60) as socket:
                with suppress(ConnectionClosed):
                    while True:
                        await socket.recv()
                codes[socket.close_code] += 1


async def shout(closed: Closed, kind: str, headers: Mapping[str, str], until: float) -> int:
    """One who may watch something, and sends a megabyte as often as it is taken."""
    loop, sent = asyncio.get_running_loop(), 0
    while loop.time() < until:
        with suppress(OSError, WebSocketException):
            async with connect(url(closed, kind, "eves"), additional_headers=headers, compression=None) as socket:
                while loop.time() < until:
                    await socket.send(MEGABYTE)
                    sent += 1
    return sent


@pytest.mark.parametrize("kind", KINDS)
async def test_a_flood_costs_the_watcher_nothing(closed: Closed, kind: str) -> None:
    """Every event arrives once and in order; the server's memory stays where it was; its places are free after it."""
    server, loop = closed.servers[kind], asyncio.get_running_loop()
    got: list[int] = []

    async def read(socket: Any) -> None:
        async for text in socket:
            got.extend(event["sequence"] for event in orjson.loads(text).get("events", ()))

    before = server.as_psutil.memory_info().rss
    most, emitted, codes = before, 0, Counter[int | None]()
    subprotocols: Any = [V1]
    headers = closed.session("ada")
    async with connect(url(closed, kind), subprotocols=subprotocols, additional_headers=headers) as socket:
        head = orjson.loads(await socket.recv())["sequence"]
        reading = asyncio.create_task(read(socket))
        until = loop.time() + SECONDS
        flood: list[asyncio.Task[Any]] = [
            asyncio.create_task(knock(closed, kind, codes, until)) for _ in range(AT_ONCE)
        ]
        flood += [asyncio.create_task(shout(closed, kind, closed.session("eve"), until)) for _ in range(4)]
        while loop.time() < until:
            await server.emit("secret", [("plan_created", {}, "success")] * 10)
            emitted += 10
            most = max(most, server.as_psutil.memory_info().rss)
            await asyncio.sleep(0.1)  # the pace of the run
        await asyncio.gather(*flood)
        async with asyncio.timeout(30):
            while len(got) < emitted:
                await asyncio.sleep(0.05)
        reading.cancel()
    assert got == list(range(head + 1, head + emitted + 1))
    assert set(codes) <= {4401, 4029, 1006}  # daphne waits a second for the answer to a close, then hangs up
    assert codes[4401] > 100
    assert sum(task.result() for task in flood[AT_ONCE:]) > 50
    assert most - before < MOST_GROWTH
    reports.report(
        "flood", {"server": kind, "refused": codes.total(), "MiB": round((most - before) / 2**20), "events": emitted}
    )
    async with asyncio.timeout(20):
        while (await asyncio.to_thread(server.ask, "GET", "/ws/health", {}))[1]["active_connections"]:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", KINDS)
async def test_frames_beyond_a_megabyte_are_refused(closed: Closed, kind: str) -> None:
    """uvicorn says so with the protocol's own code; daphne hangs up."""
    async with connect(url(closed, kind, "eves"), additional_headers=closed.session("eve")) as socket:
        await socket.recv()
        with suppress(ConnectionClosed):
            await socket.send(b"x" * (1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == {"uvicorn": 1009, "daphne": 1006}[kind]
