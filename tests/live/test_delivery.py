"""Real sockets on real servers: every event once, in order, byte for byte."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from tests.live.servers import Server
from tests.live.watching import PROFILES, V1, collect, frames, watch
from trace_streaming.events.freezing import freeze_details
from trace_streaming.redaction import redact


@PROFILES
async def test_a_recorded_run_arrives_once_in_order_and_unchanged(
    server: Server, recording: Path, trace_id: str, profile: str | None
) -> None:
    """Invariant 2: live, and replayed afterwards; details are the recording's, after redaction, byte for byte."""
    recorded = [orjson.loads(line) for line in recording.read_bytes().splitlines()]
    expected = [orjson.dumps(redact(freeze_details(event["details"]))) for event in recorded]
    async with AsyncExitStack() as stack:
        live = await watch(stack, server.url(trace_id), profile)
        await server.emit(trace_id, [(e["event"], e["details"], e["status"]) for e in recorded])
        while_emitted = await collect(live, len(recorded))
        replayed = await collect(await watch(stack, server.url(trace_id, since=0), profile), len(recorded))
    assert [event["sequence"] for event in while_emitted] == list(range(1, len(recorded) + 1))
    assert [orjson.dumps(event["details"]) for event in while_emitted] == expected
    assert [(e["event"], e["status"]) for e in while_emitted] == [(e["event"], e["status"]) for e in recorded]
    assert replayed == while_emitted


async def test_details_of_25_kilobytes_and_more_arrive_whole(server: Server, trace_id: str) -> None:
    """A large tool output is sent as it is; one that is too large says how much it lost."""
    sizes = [25_000, 200_000, 300_000]
    async with AsyncExitStack() as stack:
        plain = await watch(stack, server.url(trace_id), max_size=2**21)
        v1 = await watch(stack, server.url(trace_id), V1, max_size=2**21)
        await server.emit(trace_id, [("tool_call_complete", {"result": "é" * (n // 2)}, "success") for n in sizes])
        one, other = await collect(plain, 3), await collect(v1, 3)
    assert one == other
    assert [event["details"]["result"] == "é" * (n // 2) for event, n in zip(one, sizes, strict=True)] == [
        True,
        True,
        False,
    ]
    assert one[2]["details"]["result"].endswith("more characters]")


@PROFILES
async def test_a_burst_of_1000_events_reaches_100_sockets_whole(
    server: Server, trace_id: str, profile: str | None
) -> None:
    """Nothing of a burst is lost, on any socket."""
    async with AsyncExitStack() as stack:
        sockets = [await watch(stack, server.url(trace_id), profile) for _ in range(100)]
        receiving = asyncio.gather(*(collect(socket, 1000, seconds=60) for socket in sockets))
        await server.emit(trace_id, [("route_decision", {"number": n}, "success") for n in range(1000)])
        received = await receiving
    for got in received:
        assert [event["sequence"] for event in got] == list(range(1, 1001))


async def test_four_hundred_sockets_on_forty_traces(server: Server, trace_id: str) -> None:
    """Each socket gets the events of its own trace, each once."""
    traces = [f"{trace_id}-{number}" for number in range(40)]
    async with AsyncExitStack() as stack:
        sockets = [
            (trace, await watch(stack, server.url(trace), V1 if number % 2 else None))
            for trace in traces
            for number in range(10)
        ]
        health = await asyncio.to_thread(server.get, "/ws/health")
        assert (health["active_connections"], len(health["active_traces"])) == (400, 10)
        receiving = asyncio.gather(*(collect(socket, 25) for _, socket in sockets))
        await asyncio.gather(
            *(server.emit(t, [("plan_created", {"of": t, "n": n}, "success") for n in range(25)]) for t in traces)
        )
        for (trace, _), got in zip(sockets, await receiving, strict=True):
            assert [event["sequence"] for event in got] == list(range(1, 26))
            assert {(event["trace_id"], event["details"]["of"]) for event in got} == {(trace, trace)}


async def test_a_second_terminal_is_seen_within_two_seconds(server: Server, recording: Path, trace_id: str) -> None:
    """Another process emits; SQLite and no Redis: the look at the heads finds its events."""
    count = len(recording.read_bytes().splitlines())
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id))
        playing = asyncio.create_task(
            asyncio.to_thread(server.manage, "play_trace", str(recording), "--trace-id", trace_id, "--speed", "0")
        )
        received, delays = [], []
        async with asyncio.timeout(60):
            async for event in frames(socket):
                received.append(event["sequence"])
                delays.append(time.time() - datetime.fromisoformat(event["timestamp"]).timestamp())
                if len(received) == count:
                    break
        assert f"{trace_id}: {count} events" in (await playing).stdout
    assert received == list(range(1, count + 1))
    assert max(delays) < 2


@pytest.mark.thorough
@pytest.mark.takes(seconds=20)
@PROFILES
async def test_a_run_watched_over_ten_server_deaths(own_server: Server, trace_id: str, profile: str | None) -> None:
    """Invariant 2: killed and started again, the server resumes each client where it stopped."""
    received: list[int] = []
    for life in range(1, 11):
        async with AsyncExitStack() as stack:
            socket = await watch(stack, own_server.url(trace_id, since=len(received)), profile)
            await own_server.emit(trace_id, [("plan_created", {"life": life}, "success") for _ in range(20)])
            received += [event["sequence"] for event in await collect(socket, 7 if life < 10 else 200 - len(received))]
            own_server.process.kill()
            own_server.process.wait()
            socket.transport.abort()  # frames that were not read would hold up the client's own close
        own_server.start()
    assert received == list(range(1, 201))


@PROFILES
async def test_a_reader_that_stops_reading_delays_no_other(server: Server, trace_id: str, profile: str | None) -> None:
    """Invariant 5: with ten stalled sockets beside it, a reader gets 20 MB as they come; the stalled lose nothing."""
    count, big = 800, "x" * 25_000
    async with AsyncExitStack() as stack:
        # A receive queue of one frame: the client reads no further than that until it is asked to.
        stalled = [await watch(stack, server.url(trace_id), profile, max_queue=1) for _ in range(10)]
        reader = await watch(stack, server.url(trace_id), V1)
        emitting = asyncio.create_task(
            server.emit(trace_id, [("tool_call_complete", {"result": big}, "success") for _ in range(count)])
        )
        received = await collect(reader, count, seconds=60)
        await emitting
        assert [event["sequence"] for event in received] == list(range(1, count + 1))
        late = await asyncio.gather(*(collect(socket, count, seconds=60) for socket in stalled))
        assert all([event["sequence"] for event in got] == list(range(1, count + 1)) for got in late)


@PROFILES
async def test_a_client_that_may_be_sent_compressed_frames(server: Server, trace_id: str, profile: str | None) -> None:
    """As every browser: uvicorn agrees to compress; what goes past it is not compressed, which RFC 7692 allows."""
    subprotocols: Any = [profile] if profile else None
    async with connect(server.url(trace_id, since=0), subprotocols=subprotocols, compression="deflate") as socket:
        assert (bool(socket.protocol.extensions)) == (server.kind == "uvicorn")
        await socket.recv()
        await server.emit(trace_id, [("plan_created", {"text": "x" * size}, "success") for size in (0, 200, 70_000)])
        received = await collect(socket, 3)
        assert [len(event["details"]["text"]) for event in received] == [0, 200, 70_000]
        await socket.send("ping" if profile is None else '{"type":"ping"}')
        assert "pong" in await socket.recv()
