"""daphne and uvicorn by the ways in that they have themselves, their classes as they are: nothing is lacking."""

from __future__ import annotations

import asyncio
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.documentation.pages import blocks
from tests.live.servers import KINDS, ROOT, Server, no_connections, started
from tests.live.test_compression import test_clients_that_can_read_it_get_less_and_all_get_the_same
from tests.live.test_delivery import test_a_recorded_run_arrives_once_in_order_and_unchanged
from tests.live.test_event_stream import (
    test_a_reader_that_takes_nothing_is_given_up,
    test_a_server_that_ends_does_not_wait_for_a_reader_that_stops,
)
from tests.live.test_going_away import test_clients_are_told_to_come_back, test_what_was_emitted_in_it_is_stored
from tests.live.test_slow_readers import (
    impatient_server,
    patient_server,
    test_readers_that_stop_reading_cost_bounded_memory,
)
from tests.live.watching import watch

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=20), pytest.mark.usefixtures("unpatched")]

__all__ = [
    "impatient_server",
    "patient_server",
    "test_a_reader_that_takes_nothing_is_given_up",
    "test_a_recorded_run_arrives_once_in_order_and_unchanged",
    "test_a_server_that_ends_does_not_wait_for_a_reader_that_stops",
    "test_clients_are_told_to_come_back",
    "test_clients_that_can_read_it_get_less_and_all_get_the_same",
    "test_readers_that_stop_reading_cost_bounded_memory",
    "test_what_was_emitted_in_it_is_stored",
]


HANDSHAKE = (
    b"GET /ws/traces/t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes as they are."""
    monkeypatch.setenv("UNPATCHED", "1")


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest, unpatched: None) -> str:
    """A server by its own way in."""
    return f"{request.param} by its entrance"


@pytest.fixture
async def server(own_server: Server) -> AsyncIterator[Server]:
    """As of the tests of delivery."""
    yield own_server
    await no_connections(own_server)


@pytest.fixture
def compressing_server(server_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that compresses."""
    monkeypatch.setenv("COMPRESSION", "1")
    yield from started(server_kind, tmp_path)


async def test_a_connection_that_begins_to_watch_while_the_server_ends_does_not_keep_it(own_server: Server) -> None:
    """While a client that reads nothing is given its second: nobody would tell the new one, and uvicorn would wait."""
    async with AsyncExitStack() as stack:
        stalled = await watch(stack, own_server.url("stalled"), max_queue=1)
        await own_server.emit_large("stalled", 400, 100_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", own_server.port)
        writer.write(b"GET /ws/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        own_server.process.send_signal(signal.SIGTERM)
        with suppress(OSError):
            while True:  # until it listens no more
                socket.create_connection(("127.0.0.1", own_server.port)).close()
        writer.write(HANDSHAKE)
        await asyncio.to_thread(own_server.process.wait, 30)
        writer.close()
        stalled.transport.abort()
    own_server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_the_documentation_names_them(kind: str) -> None:
    """As they are tried here."""
    page = ROOT / "docs" / "deployment.md"
    (told,) = [block for block in blocks(page) if "trace_streaming.servers" in block.code]
    (line,) = [line for line in told.code.splitlines() if kind in line]
    _, python, *words, application = shlex.split(line)
    assert (python, application) == ("python", "mysite.asgi:application")
    server = Server.__new__(Server)
    server.kind, server.port = f"{kind} by its entrance", 0
    assert set(words) <= set(server.command())
