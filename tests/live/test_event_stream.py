"""Server-sent events on real servers: exactly once over restarts, places given back, and memory that is bounded."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.conftest import StartSite
from tests.live.event_sources import EventSource
from tests.live.reports import report
from tests.live.servers import ROOT, Server, no_connections
from tests.live.test_slow_readers import EVENTS, SIZE, impatient_server, resident_mebibytes

__all__ = ["impatient_server"]
RESTARTS = 10
LONG = 200_000
BOUND_MEBIBYTES = 128


@pytest.mark.thorough
@pytest.mark.takes(seconds=25)
async def test_every_event_once_over_ten_restarts(start_site: StartSite, trace_id: str) -> None:
    """Invariant 2: whether the server ends in order or is killed, the stream equals the store."""
    site = start_site("none")
    sources = [EventSource(server, trace_id) for server in site.servers]
    async with site.emitting() as (process,):
        await process.emit(trace_id, count=None, pause=0.002)
        for source in sources:
            source.start()
        for restart in range(1, RESTARTS + 1):
            for source in sources:
                await asyncio.to_thread(source.is_live, restart)
            for server in site.servers:
                await asyncio.to_thread(server.stop, signal.SIGKILL if restart % 2 else signal.SIGTERM)
                await asyncio.to_thread(server.start)
        await process.stop_emitting()
        await process.stored()
    stored = site.log(trace_id)
    for source in sources:
        await asyncio.to_thread(source.has, len(stored))
        source.close()
        assert [(event["sequence"], event["details"]) for event in source.received] == stored
        assert source.connections > RESTARTS
        assert source.named["gap"] == []
        report("event streams", {"server": source.server.kind, "restarts": RESTARTS, "events, each once": len(stored)})


async def test_readers_that_vanish_free_their_places(server: Server, trace_id: str) -> None:
    """Invariant 7: with or without a close; the fixture waits for exactly zero."""
    request = f"GET /api/traces/{trace_id}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    sockets = []
    for _ in range(50):
        reader = socket.create_connection(("127.0.0.1", server.port))
        reader.sendall(request)
        sockets.append(reader)
    for reader in sockets:
        while b"event: connected" not in await asyncio.to_thread(reader.recv, 65536):
            pass
    assert (await asyncio.to_thread(server.get, "/ws/health"))["active_connections"] == 50
    for reader in sockets:
        reader.close()
    await no_connections(server)


def stalled_reader(server: Server, path: str) -> socket.socket:
    """A client that asks and does not read."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", server.port))
    reader.sendall(f"GET /api/traces/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader


def first_ids(reader: socket.socket, count: int) -> list[int]:
    """Of the events that a raw connection brings; a chunk may begin anywhere but in the middle of a packet's line."""
    reader.settimeout(30)
    ids: list[int] = []
    with reader.makefile("rb") as lines:
        while len(ids) < count:
            line = lines.readline()
            if line.startswith(b"id: "):
                ids.append(int(line[4:]))
    return ids


@pytest.mark.thorough
@pytest.mark.takes(seconds=25)
async def test_readers_that_stop_reading_cost_bounded_memory(own_server: Server, trace_id: str) -> None:
    """Invariant 5, on daphne too; a reader beside them is served, and one that reads again has lost nothing."""
    await own_server.emit_large("warm-up", 1600, SIZE)
    warm = EventSource(own_server, "warm-up")
    warm.start()
    await asyncio.to_thread(warm.has, 1600)
    warm.close()
    stalled = [stalled_reader(own_server, f"{trace_id}/stream?since=0") for _ in range(20)]
    reader = EventSource(own_server, trace_id)
    reader.start()
    await asyncio.to_thread(reader.is_live)
    before = resident_mebibytes(own_server)
    await own_server.emit_large(trace_id, EVENTS, SIZE)
    await asyncio.to_thread(reader.has, EVENTS)
    grown = resident_mebibytes(own_server) - before
    report("slow event streams", {"server": own_server.kind, "stalled": len(stalled), "grown by (MiB)": f"{grown:.0f}"})
    assert grown < BOUND_MEBIBYTES
    assert await asyncio.to_thread(first_ids, stalled[0], 1600) == list(range(1, 1601))
    reader.close()
    for one in stalled:
        one.close()
    await no_connections(own_server)


async def test_a_reader_that_takes_nothing_is_given_up(impatient_server: Server, trace_id: str) -> None:
    """Its place is free while it still holds the connection, and a server that ends does not wait for it."""
    stalled = stalled_reader(impatient_server, f"{trace_id}/stream?since=0")
    await impatient_server.emit_large(trace_id, 800, SIZE)
    await no_connections(impatient_server)
    stalled.close()


async def test_a_server_that_ends_does_not_wait_for_a_reader_that_stops(own_server: Server, trace_id: str) -> None:
    """It has a second to take the end."""
    await own_server.emit_large(trace_id, 800, SIZE)
    stalled = stalled_reader(own_server, f"{trace_id}/stream?since=0")
    export = stalled_reader(own_server, f"{trace_id}/export?format=jsonl")
    reader = EventSource(own_server, trace_id)
    reader.start()
    await asyncio.to_thread(reader.is_live)
    export.close()
    await asyncio.to_thread(own_server.stop)
    reader.close()
    stalled.close()
    own_server.start()


@contextmanager
def peak_of(server: Server) -> Iterator[list[float]]:
    """The most memory that the server holds meanwhile, in MiB."""
    peak, done = [resident_mebibytes(server)], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident_mebibytes(server))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def taken(server: Server, path: str, end: bytes, pause: float = 0) -> int:
    """Bytes of an answer, read to its end."""
    reader = socket.create_connection(("127.0.0.1", server.port))
    reader.settimeout(60)
    reader.sendall(f"GET /api/traces/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    size, tail = 0, b""
    while end not in tail:
        chunk = reader.recv(2**16)
        assert chunk, tail
        tail = tail[-len(end) :] + chunk
        size += len(chunk)
        if pause and size % 2**20 < 2**16:
            threading.Event().wait(pause)
    reader.close()
    return size


@pytest.mark.thorough
@pytest.mark.takes(seconds=20)
@pytest.mark.parametrize("pause", [0, 0.05], ids=["fast", "slow"])
async def test_a_long_trace_is_replayed_and_exported_in_constant_memory(
    own_server: Server, trace_id: str, pause: float
) -> None:
    """200,000 events, by a reader that takes all at once and by one that takes its time."""
    filling = [sys.executable, "-m", "tests.live.filling", trace_id, str(LONG)]
    await asyncio.to_thread(subprocess.run, filling, cwd=ROOT, env=own_server.env, check=True)
    await own_server.emit("warm-up", [["plan_created", {}, "success"]] * 1000)
    ways = {
        "server-sent events": (f"{trace_id}/stream?since=0", f"id: {LONG}\n".encode()),
        "JSON lines": (f"{trace_id}/events?format=jsonl", f'"sequence":{LONG}}}'.encode()),
        "Chrome": (f"{trace_id}/export?format=chrome", b"]}\n"),
    }
    for name, (path, end) in ways.items():
        await asyncio.to_thread(taken, own_server, path.replace(trace_id, "warm-up"), end.replace(b"200000", b"1000"))
        before = resident_mebibytes(own_server)
        with peak_of(own_server) as peak:
            size = await asyncio.to_thread(taken, own_server, path, end, pause)
        report(
            "long traces",
            {
                "server": own_server.kind,
                "way": name,
                "reader": "slow" if pause else "fast",
                "size (MB)": f"{size / 1e6:.0f}",
                "server's memory before (MiB)": f"{before:.0f}",
                "grown by at most (MiB)": f"{peak[0] - before:.0f}",
            },
        )
        assert peak[0] - before < BOUND_MEBIBYTES
