"""Connections that come and go at random moments in random ways leave nothing behind in a real server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed

from tests.live.servers import Server, no_connections
from tests.live.watching import V1, collect, cut, reset, watch

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=30)]

AT_ONCE = 40
CONNECTIONS = 1000
"""In each of two rounds."""
EVENTS = 100
GROWN_MEBIBYTES = 8
"""What a thousand connections more may add: the allocator's doing. One KiB left behind by each would be one MiB."""


async def leaves_the_handshake(server: Server, trace_id: str, chance: random.Random) -> None:
    """Half of a request, or all of it, and a reset before the answer is read."""
    request = (
        f"GET /ws/traces/{trace_id}?since=0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request[: chance.choice([10, len(request) // 2, len(request)])])
    await writer.drain()
    await asyncio.sleep(chance.choice([0, 0.005, 0.02]))  # the random moment
    reset(writer.transport)


async def watches(profile: str | None, server: Server, trace_id: str, chance: random.Random) -> None:
    """Reads nothing, some or all of the replay, and closes or is cut off."""
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id, since=0), profile)
        await collect(socket, chance.choice([1, 20, EVENTS]))
        if chance.random() < 0.7:
            cut(socket)


async def watches_what_is_to_come(server: Server, trace_id: str, chance: random.Random) -> None:
    """Is cut off while events are sent to it, or while it waits."""
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id), chance.choice([None, V1]))
        with suppress(TimeoutError):
            await collect(socket, EVENTS, seconds=chance.choice([0.001, 0.01, 0.05]))
        cut(socket)


WAYS: list[Callable[[Server, str, random.Random], Awaitable[None]]] = [
    leaves_the_handshake,
    partial(watches, None),
    partial(watches, V1),
    watches_what_is_to_come,
]


async def churn(server: Server, trace_id: str, connections: int) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        chance = random.Random(number)
        async with free:
            with suppress(ConnectionClosed):  # the close that meets a reset
                await chance.choice(WAYS)(server, trace_id, chance)

    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(one(number))
        for _ in range(10):
            await server.emit(f"{trace_id}-other", [("plan_created", {}, "success")])
    await no_connections(server)


def resources(server: Server) -> tuple[int, int]:
    """Threads and open files."""
    return server.as_psutil.num_threads(), server.as_psutil.num_fds()


async def settles(server: Server, before: tuple[int, int]) -> None:
    """Wait until the server has no more threads and files than before."""
    async with asyncio.timeout(60):
        while any(now > then for now, then in zip(resources(server), before, strict=True)):
            await asyncio.sleep(0.05)  # between looks: nothing tells of a closed file


async def test_two_thousand_connections_that_come_and_go_leave_nothing(own_server: Server, trace_id: str) -> None:
    """Invariant 7: no place, no thread, no open file, and no memory."""
    server = own_server
    await server.emit(trace_id, [("plan_created", {"number": n}, "success") for n in range(EVENTS)])
    await churn(server, trace_id, 200)  # what a server makes once, it has made now
    before = resources(server)
    await churn(server, trace_id, CONNECTIONS)
    await settles(server, before)
    resident = server.as_psutil.memory_info().rss
    await churn(server, trace_id, CONNECTIONS)
    await settles(server, before)
    assert (server.as_psutil.memory_info().rss - resident) / 2**20 < GROWN_MEBIBYTES
