"""Clients of real sockets: reading frames of either profile, and watchers that come back after a break."""

from __future__ import annotations

import asyncio
import json
import random
import socket as sockets
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.live.servers import Server

V1 = "trace-stream.v1"
PROFILES = pytest.mark.parametrize("profile", [None, V1], ids=["plain", "v1"])
WAIT_SECONDS = 90
"""Patience with a machine that has others to serve; nothing is fine because it came within it."""
PAUSE_SECONDS = (0.02, 0.2)
"""Between a break and coming back: clients that come back all at once hammer."""


async def watch(stack: AsyncExitStack, url: str, profile: str | None = None, **options: Any) -> ClientConnection:
    """Connect, and read the first frame."""
    subprotocols: Any = [profile] if profile else None
    socket = await stack.enter_async_context(connect(url, subprotocols=subprotocols, compression=None, **options))
    first = orjson.loads(await socket.recv())
    assert "connected" in (first.get("event"), first.get("type")), first
    return socket


async def frames(socket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
    """The events of either profile, acknowledged, text that streams, and what says that something is wrong."""
    async for message in socket:
        frame = orjson.loads(message)
        if frame.get("type") == "events":
            for event in frame["events"]:
                yield event
            await socket.send(json.dumps({"type": "ack", "sequence": frame["events"][-1]["sequence"]}))
        elif frame.get("type", "gap") in ("gap", "error", "delta"):
            yield frame


async def collect(socket: ClientConnection, count: int, seconds: float = WAIT_SECONDS) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        async for event in frames(socket):
            received.append(event)
            if len(received) == count:
                break
    return received


def reset(transport: asyncio.WriteTransport) -> None:
    """End a TCP connection with a reset."""
    transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def cut(socket: ClientConnection) -> None:
    """End a connection without a close of either protocol."""
    reset(socket.transport)


@dataclass
class Watcher:
    """A client of one server and one trace; may come back after its connection broke, as a real one does."""

    server: Server
    trace_id: str
    profile: str | None
    comes_back: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Seconds from emit to arrival, by event."""
    other_frames: list[dict[str, Any]] = field(default_factory=list)
    """What says that something is missing or wrong."""
    said: int = 0
    """Pieces of text that streams."""
    connections: int = 0
    socket: ClientConnection | None = None
    """The connection, while there is one."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        query: dict[str, object] = {"since": 0}
        while True:
            try:
                await self._watch(query)
            except (ConnectionClosed, InvalidHandshake, OSError):
                if not self.comes_back:
                    raise
                query["since"] = self.received[-1]["sequence"] if self.received else 0
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))

    async def _watch(self, query: dict[str, object]) -> None:
        url = self.server.url(self.trace_id, **query)
        subprotocols: Any = [self.profile] if self.profile else None
        async with connect(url, subprotocols=subprotocols, compression=None) as self.socket:
            connected = orjson.loads(await self.socket.recv())
            if connected.get("epoch"):
                query["epoch"] = connected["epoch"]
            self.connections += 1
            self._changed.set()
            async for frame in frames(self.socket):
                if "sequence" in frame:
                    self.received.append(frame)
                    self.delays.append(time.time() - datetime.fromisoformat(frame["timestamp"]).timestamp())
                elif frame.get("type") == "delta":
                    self.said += 1
                else:
                    self.other_frames.append(frame)
                self._changed.set()
        raise ConnectionClosed(None, None)

    @property
    def gaps(self) -> int:
        return sum("gap" in (frame.get("event"), frame.get("type")) for frame in self.other_frames)

    async def connected(self, times: int = 1) -> None:
        """Wait until it has connected this many times."""
        while self.connections < times:
            await self._change()

    async def has(self, count: int) -> None:
        """Wait until this many events have come."""
        while len(self.received) < count:
            await self._change()

    async def told(self) -> None:
        """Wait until a piece of text that streams has come."""
        while not self.said:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        async with asyncio.timeout(WAIT_SECONDS):
            await self._changed.wait()

    def got_each_once(self, count: int) -> None:
        """Invariants 1 and 2: 1..n, and what each process emitted in the order it emitted it."""
        sequences = [event["sequence"] for event in self.received]
        assert sequences == list(range(1, count + 1)), f"{len(sequences)} of {count}, {_first_wrong(sequences)}"
        assert self.other_frames == []
        numbers = defaultdict[str, list[int]](list)
        for event in self.received:
            numbers[event["details"]["by"]].append(event["details"]["number"])
        assert all(of_one == sorted(set(of_one)) for of_one in numbers.values())


def _first_wrong(sequences: list[int]) -> str:
    wrong = next((n for n, sequence in enumerate(sequences, 1) if n != sequence), len(sequences) + 1)
    return f"wrong from {wrong}: {sequences[max(wrong - 3, 0) : wrong + 5]}"


@asynccontextmanager
async def watching(*watchers: Watcher) -> AsyncIterator[Sequence[Watcher]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher.run()) for watcher in watchers]
        await asyncio.gather(*(watcher.connected() for watcher in watchers))
        yield watchers
        for task in tasks:
            task.cancel()


async def all_have(watchers: Sequence[Watcher], count: int) -> None:
    await asyncio.gather(*(watcher.has(count) for watcher in watchers))
