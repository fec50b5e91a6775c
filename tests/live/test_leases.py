"""What has died does not look alive, live: in the list, in the admin, and at every socket that watches."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from tests.live.reports import report
from tests.live.servers import KINDS, ROOT, Server
from tests.live.watching import V1, watch

LEASE_SECONDS = 3.0
"""So that tests need not wait for the default's."""
DEADLINE_SECONDS = 60.0
AT_ONCE_SECONDS = 15.0
"""Half of the default's lease, on a machine that has others to serve."""
WAYS = pytest.mark.parametrize("is_remote", [False, True], ids=["here", "elsewhere"])

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """One of a kind, with leases of so many seconds, or the default's."""
    servers: list[Server] = []

    def start(kind: str, lease_seconds: float | None) -> Server:
        servers.append(server := Server(kind, tmp_path))
        if lease_seconds is not None:
            server.env["LEASE_SECONDS"] = str(lease_seconds)
        server.env["DJANGO_SUPERUSER_PASSWORD"] = "pass"
        server.manage("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
        assert "Traceback" not in server.log, server.log


class Holding:
    """A process that has a trace open."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def has_stored(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert (await self.process.stdout.readline()) == b"stored\n"

    async def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.has_stored()

    async def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        await self.process.wait()


@asynccontextmanager
async def holding(server: Server, trace_id: str, is_remote: bool = False) -> AsyncIterator[Holding]:
    """It has stored a call's start when this is entered."""
    where = []
    environment = dict(server.env)
    if is_remote:
        token = (await asyncio.to_thread(server.manage, "drf_create_token", "ada")).stdout.split()[2]
        where = [f"http://127.0.0.1:{server.port}", token]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    command = (sys.executable, "-m", "tests.live.holding", trace_id, *where)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE)
    holder = Holding(process)
    try:
        await holder.has_stored()
        yield holder
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def ended(socket: ClientConnection, seconds: float = DEADLINE_SECONDS) -> tuple[str, float]:
    """The state that a socket is told, and after how many seconds."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        async for message in socket:
            frame = orjson.loads(message)
            if frame["type"] == "ended":
                return frame["state"], time.monotonic() - began
    raise AssertionError("the socket was closed")


async def state(server: Server, trace_id: str) -> Any:
    return (await asyncio.to_thread(server.get, f"/api/traces/{trace_id}"))["state"]


def states_in_the_admin(server: Server) -> list[str]:
    """Of the list of traces, as a page shows them."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", follow_redirects=True, timeout=60) as client:
        page = client.get("/admin/login/").text
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found is not None
        login = {"username": "ada", "password": "pass", "csrfmiddlewaretoken": found[1], "next": "/admin/"}
        client.post("/admin/login/", data=login)
        return re.findall(r'class="trace-state (\w+)"', client.get("/admin/trace_streaming/trace/").text)


@WAYS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lease_seconds",
    [
        pytest.param(LEASE_SECONDS, id="short"),
        pytest.param(None, id="default", marks=[pytest.mark.thorough, pytest.mark.takes(seconds=45)]),
    ],
)
async def test_a_killed_process_leaves_its_trace_incomplete(
    start_server: StartServer, trace_id: str, kind: str, lease_seconds: float | None, is_remote: bool
) -> None:
    """Invariant 16: within 60 seconds, live at the socket, in the list, and in the admin."""
    server = await asyncio.to_thread(start_server, kind, lease_seconds)
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id), V1)
        async with holding(server, trace_id, is_remote) as process:
            assert await state(server, trace_id) == "running"
            await process.end()
            told, seconds = await ended(socket)
        assert (told, await state(server, trace_id)) == ("incomplete", "incomplete")
        assert await asyncio.to_thread(states_in_the_admin, server) == ["incomplete"]
        report(
            "killed processes",
            {
                "server": kind,
                "emitter": "elsewhere" if is_remote else "here",
                "lease": "default" if lease_seconds is None else f"{lease_seconds:.0f} s",
                "incomplete after": f"{seconds:.1f} s",
            },
        )
        async with holding(server, trace_id, is_remote):  # whoever goes on with it
            assert await state(server, trace_id) == "running"


@WAYS
async def test_a_process_that_is_terminated_leaves_it_at_once(
    start_server: StartServer, trace_id: str, is_remote: bool
) -> None:
    """With leases of the default length."""
    server = await asyncio.to_thread(start_server, KINDS[0], None)
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id), V1)
        async with holding(server, trace_id, is_remote) as process:
            await process.end(signal.SIGTERM)
            told, _ = await ended(socket, AT_ONCE_SECONDS)
        assert (told, await state(server, trace_id)) == ("incomplete", "incomplete")


@WAYS
async def test_of_two_processes_the_one_that_lives_keeps_it_running(
    start_server: StartServer, trace_id: str, is_remote: bool
) -> None:
    """The other was killed, or ended; a trace that nobody else has open shows when that was noticed."""
    server = await asyncio.to_thread(start_server, KINDS[1], LEASE_SECONDS)
    async with AsyncExitStack() as stack:
        of_both = await watch(stack, server.url(trace_id), V1)
        of_one = await watch(stack, server.url("alone"), V1)
        lives = await stack.enter_async_context(holding(server, trace_id))
        for number in (signal.SIGKILL, signal.SIGTERM):
            async with holding(server, trace_id, is_remote) as dies, holding(server, "alone") as witness:
                await dies.end(number)
                await witness.end(number)
                assert (await ended(of_one))[0] == "incomplete"
            assert await state(server, trace_id) == "running"
        await lives.go_on()
        await lives.end()
        assert (await ended(of_both))[0] == "incomplete"


async def test_a_process_that_was_stopped_takes_its_trace_back(start_server: StartServer, trace_id: str) -> None:
    """It was taken for dead; when it goes on, the trace runs before it has emitted anything."""
    server = await asyncio.to_thread(start_server, KINDS[0], LEASE_SECONDS)
    async with AsyncExitStack() as stack:
        socket = await watch(stack, server.url(trace_id), V1)
        async with holding(server, trace_id) as process:
            process.process.send_signal(signal.SIGSTOP)
            assert (await ended(socket))[0] == "incomplete"
            process.process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await state(server, trace_id) != "running":
                    await asyncio.sleep(0.05)  # between looks: nobody is told that a trace runs again
            await process.go_on()
            assert await state(server, trace_id) == "running"
