"""Readers that stop reading: what they cost the server, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.live.reports import report
from tests.live.servers import Server, started
from tests.live.watching import PROFILES, collect, watch

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=20)]

SIZE = 25_000
EVENTS = 8_000
READERS = 50
BOUND_MEBIBYTES = 128
"""What they may add to the server, whatever is on its way to each of them: 10 GB in all."""
LONG_SECONDS = 900


def resident_mebibytes(server: Server) -> float:
    resident: int = server.as_psutil.memory_info().rss
    return resident / 2**20


class PatientServer(Server):
    """It gives up nobody within a test, however slow the machine is."""

    _daphne = ("--ping-timeout", str(LONG_SECONDS))
    _uvicorn = ("--no-access-log", "--ws-ping-timeout", str(LONG_SECONDS))
    options = {
        "daphne": _daphne,
        "daphne by its entrance": _daphne,
        "uvicorn": _uvicorn,
        "uvicorn by its entrance": _uvicorn,
    }


@pytest.fixture
def patient_server(server_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("STALL_SECONDS", str(LONG_SECONDS))
    yield from started(server_kind, tmp_path, PatientServer)


@PROFILES
async def test_readers_that_stop_reading_cost_bounded_memory(
    patient_server: Server, trace_id: str, profile: str | None
) -> None:
    """Invariant 5, on daphne too: their backlog is the database; when they read again, they have lost nothing."""
    server = patient_server
    async with AsyncExitStack() as stack:
        warm = await watch(stack, server.url("warm-up"), profile)
        emitting = asyncio.create_task(server.emit_large("warm-up", 1600, SIZE))
        await collect(warm, 1600)
        await emitting  # what emitting itself costs the server is not counted
        # A receive queue of one frame: the client reads no further than that until it is asked to; so it would not
        # see the answers to pings of its own, either.
        options = {"max_queue": 1, "ping_interval": None}
        stalled = [await watch(stack, server.url(trace_id), profile, **options) for _ in range(READERS)]
        for socket in stalled:
            stack.callback(socket.transport.abort)  # a polite end would wait for what they do not read
        before = resident_mebibytes(server)
        reader = await watch(stack, server.url(trace_id), profile)
        receiving = asyncio.create_task(collect(reader, EVENTS))
        await server.emit_large(trace_id, EVENTS, SIZE)
        assert len(await receiving) == EVENTS  # by now the server has tried to send all of it to everybody
        grown = resident_mebibytes(server) - before
        report(
            "slow readers",
            {
                "server": server.kind,
                "profile": profile or "plain",
                "stalled readers": READERS,
                "sent past each (MB)": EVENTS * SIZE // 10**6,
                "server's memory before (MiB)": f"{before:.0f}",
                "grown by (MiB)": f"{grown:.0f}",
            },
        )
        assert grown < BOUND_MEBIBYTES
        late = await asyncio.gather(*(collect(socket, 1600) for socket in stalled[:3]))
        assert all([event["sequence"] for event in got] == list(range(1, 1601)) for got in late)


@pytest.fixture
def impatient_server(server_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that gives a client up after a fifth of a second."""
    monkeypatch.setenv("STALL_SECONDS", "0.2")
    yield from started(server_kind, tmp_path)


@PROFILES
async def test_a_reader_that_takes_nothing_is_given_up(
    impatient_server: Server, trace_id: str, profile: str | None
) -> None:
    """Its place is free while it still holds the connection; a reader beside it is served; it may come back."""
    server = impatient_server
    async with AsyncExitStack() as stack:
        stalled = await watch(stack, server.url(trace_id), profile, max_queue=1)
        reader = await watch(stack, server.url(trace_id), profile)
        receiving = asyncio.create_task(collect(reader, 400))
        await server.emit_large(trace_id, 400, SIZE)
        assert len(await receiving) == 400
        async with asyncio.timeout(60):
            while (await asyncio.to_thread(server.get, "/ws/health"))["active_connections"] != 1:
                await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            with suppress(ConnectionClosed):
                while True:  # it reads again: what was on its way, and then the end
                    await stalled.recv()
        assert stalled.close_code in (4008, 1006)
        again = await collect(await watch(stack, server.url(trace_id, since=0), profile), 400)
        assert [event["sequence"] for event in again] == list(range(1, 401))
