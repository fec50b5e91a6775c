"""Thousands who are nobody, and frames of a megabyte, beside one who may watch: he loses nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, time
from typing import Any, Final

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.live import reports
from tests.live.servers import KINDS
from tests.live.watching import V1
from tests.security.conftest import Closed
from trace_streaming.golden_signals import percentile

IS_SOAK: Final = bool(os.environ.get("SOAK"))
SECONDS: Final = 30 if IS_SOAK else 8
HANDSHAKES: Final = 5000 if IS_SOAK else 200
"""At least; so many are answered, however long it takes."""
MOST_SECONDS: Final = 300
AT_ONCE: Final = 50
MEGABYTE: Final = b"x" * (1024 * 1024 - 64)
MOST_GROWTH: Final = 150 * 2**20


@dataclass
class Flood:
    """What comes over the server, for so many seconds and until so many have knocked."""

    closed: Closed
    kind: str
    codes: Counter[int | None] = field(default_factory=Counter)
    """Of those who are nobody."""
    megabytes: int = 0
    """That were sent."""
    began: float = field(default_factory=monotonic)

    @property
    def goes_on(self) -> bool:
        seconds = monotonic() - self.began
        return seconds < SECONDS or (self.codes.total() < HANDSHAKES and seconds < MOST_SECONDS)

    async def knock(self) -> None:
        """One of those who connect again and again, though they are nobody."""
        while self.goes_on:
            with suppress(OSError, WebSocketException):
                async with connect(url(self.closed, self.kind), compression=None, open_timeout=60) as socket:
                    with suppress(ConnectionClosed):
                        while True:
                            await socket.recv()
                    self.codes[socket.close_code] += 1

    async def shout(self, headers: Mapping[str, str]) -> None:
        """One who may watch something, and sends a megabyte as often as it is taken."""
        eves = url(self.closed, self.kind, "eves")
        while self.goes_on:
            with suppress(OSError, WebSocketException):
                async with connect(eves, additional_headers=headers, compression=None) as socket:
                    while self.goes_on:
                        await socket.send(MEGABYTE)
                        self.megabytes += 1


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
        alone, flood = len(late), Flood(closed, kind)
        coming = [asyncio.create_task(flood.knock()) for _ in range(AT_ONCE)]
        coming += [asyncio.create_task(flood.shout(closed.session("eve"))) for _ in range(4)]
        while flood.goes_on:
            await emit()
            emitted += 10
            most = max(most, server.as_psutil.memory_info().rss)
        seconds = monotonic() - flood.began
        await asyncio.gather(*coming)
        async with asyncio.timeout(30):
            while len(got) < emitted:
                await asyncio.sleep(0.05)
        reading.cancel()
    assert got == list(range(head + 1, head + emitted + 1))
    assert set(flood.codes) <= {4401, 4029, 1006}  # daphne waits a second for the answer to a close, then hangs up
    assert flood.codes[4401] > 100
    assert flood.codes.total() >= HANDSHAKES
    assert flood.megabytes > 50
    assert most - before < MOST_GROWTH
    reports.report("flood", {"server": kind, **measured(flood, seconds, late, alone), "MiB": (most - before) >> 20})
    async with asyncio.timeout(20):
        while (await asyncio.to_thread(server.ask, "GET", "/ws/health", {}))[1]["active_connections"]:
            await asyncio.sleep(0.1)


def measured(flood: Flood, seconds: float, late: list[float], alone: int) -> dict[str, object]:
    """Of one run; of ``late``, in seconds, the first ``alone`` are from before the flood."""
    ms = [sorted(1000 * each for each in part) for part in (late[:alone], late[alone:])]
    return {
        "seconds": round(seconds),
        "handshakes": flood.codes.total(),
        "MB sent": flood.megabytes,
        "events": len(late),
        "p50, p99 alone": f"{percentile(ms[0], 50):.0f}, {percentile(ms[0], 99):.0f} ms",
        "in the flood": f"{percentile(ms[1], 50):.0f}, {percentile(ms[1], 99):.0f} ms",
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
