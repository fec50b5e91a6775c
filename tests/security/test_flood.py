"""Thousands who are nobody, and frames of a megabyte, beside one who may watch: he loses nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from datetime import datetime
from time import time
from typing import Any, Final

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live import reports
from tests.live.servers import KINDS, ROOT
from tests.live.watching import V1
from tests.security.conftest import Closed
from trace_streaming.events.golden_signals import percentile

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=15)]

IS_SOAK: Final = bool(os.environ.get("SOAK"))
SECONDS: Final = 30 if IS_SOAK else 8
HANDSHAKES: Final = 5000 if IS_SOAK else 200
"""At least; so many are answered, however long it takes."""
MOST_GROWTH: Final = 150 * 2**20


def url(closed: Closed, kind: str, trace_id: str = "secret") -> str:
    return f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/{trace_id}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_flood_costs_the_watcher_nothing(closed: Closed, kind: str) -> None:
    """Every event arrives once and in order; the server's memory stays where it was; its places are free after it.

    With ``SOAK=1``: 5,000 handshakes, and half a minute at least (``make flood``).
    """
    server = closed.servers[kind]
    got: list[int] = []
    late: list[float] = []

    async def read(socket: Any) -> None:
        async for text in socket:
            for event in orjson.loads(text).get("events", ()):
                got.append(event["sequence"])
                late.append(time() - datetime.fromisoformat(event["timestamp"]).timestamp())

    async def emit() -> None:
        await server.emit("secret", [("plan_created", {}, "success")] * 10)
        await asyncio.sleep(0.1)  # the pace of the run

    most = before = server.as_psutil.memory_info().rss
    subprotocols: Any = [V1]
    headers = closed.session("ada")
    async with connect(url(closed, kind), subprotocols=subprotocols, additional_headers=headers) as socket:
        head = orjson.loads(await socket.recv())["sequence"]
        reading = asyncio.create_task(read(socket))
        emitted = 200
        for _ in range(emitted // 10):
            await emit()
        alone, options = len(late), (str(server.port), closed.session("eve")["Cookie"], str(SECONDS), str(HANDSHAKES))
        flood = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.security.flooding", *options, cwd=ROOT, stdout=PIPE
        )
        ending = asyncio.create_task(flood.communicate())
        while not ending.done():
            await emit()
            emitted += 10
            most = max(most, server.as_psutil.memory_info().rss)
        async with asyncio.timeout(30):
            while len(got) < emitted:
                await asyncio.sleep(0.05)
        reading.cancel()
    assert got == list(range(head + 1, head + emitted + 1))
    done = orjson.loads(ending.result()[0])
    codes = {int(code): count for code, count in done["codes"].items()}
    assert codes.keys() <= {4401, 4029, 1006}  # daphne waits a second for the answer to a close, then hangs up
    assert codes[4401] > 100
    assert sum(codes.values()) >= HANDSHAKES
    assert done["megabytes"] > 20
    assert most - before < MOST_GROWTH
    numbers = {
        "seconds": round(done["seconds"]),
        "handshakes": sum(codes.values()),
        "frames of 1 MB": done["megabytes"],
    }
    row = {"server": kind, **numbers, "events": len(late) - alone, **lateness(late[:alone], late[alone:])}
    reports.report("flood", {**row, "memory": f"+{(most - before) >> 20} MiB"})
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(server.ask, "GET", "/ws/health", {}))[1]["active_connections"]:
            await asyncio.sleep(0.1)


def lateness(alone: list[float], flooded: list[float]) -> dict[str, str]:
    """Half of the events are no later than the first number, and 99 of 100 than the second."""
    names = ("late without it, p50 and p99", "late in it, p50 and p99")
    in_order = (sorted(1000 * each for each in seconds) for seconds in (alone, flooded))
    return {
        n: f"{percentile(ms, 50):.0f} and {percentile(ms, 99):.0f} ms" for n, ms in zip(names, in_order, strict=True)
    }


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
