"""Frames compressed for clients that can read it, and for no others; and what a client may compress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.live.servers import KINDS, Server, no_connections
from tests.live.watching import PROFILES, collect

OUTPUT = " ".join(f"{number}: a line of a tool's output, much like the others" for number in range(500))
EVENTS: list[tuple[str, dict[str, Any], str]] = [
    ("tool_call_complete", {"output": output, "n": n}, "success") for n, output in enumerate(["", OUTPUT, "ü", OUTPUT])
]
BOMB = "0" * (48 << 20)


class CountingConnection(ClientConnection):
    """Knows how many bytes came through the network."""

    bytes_received = 0

    def data_received(self, data: bytes) -> None:
        self.bytes_received += len(data)
        super().data_received(data)


@pytest.fixture(params=KINDS)
def compressing_server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    monkeypatch.setenv("COMPRESSION", "1")
    server = Server(request.param, tmp_path)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log, server.log


@PROFILES
async def test_clients_that_can_read_it_get_less_and_all_get_the_same(
    compressing_server: Server, profile: str | None
) -> None:
    """Live and replayed, large and small frames, with any window: every client decodes what the others read."""
    factories = [
        ClientPerMessageDeflateFactory(server_max_window_bits=9),
        ClientPerMessageDeflateFactory(server_max_window_bits=15, server_no_context_takeover=True),
        ClientPerMessageDeflateFactory(client_max_window_bits=10, client_no_context_takeover=True),
    ]
    offers: list[dict[str, Any]] = [
        {"compression": None},
        {"compression": "deflate"},
        *({"compression": None, "extensions": [factory]} for factory in factories),
    ]
    subprotocols: Any = [profile] if profile else None
    await compressing_server.emit("t", EVENTS)
    async with AsyncExitStack() as stack:
        sockets: list[Any] = []
        for offer in offers:
            url = compressing_server.url("t", since=0)
            options: dict[str, Any] = {"subprotocols": subprotocols, "create_connection": CountingConnection, **offer}
            sockets.append(await stack.enter_async_context(connect(url, **options)))
            await sockets[-1].recv()
        await collect(sockets[0], len(EVENTS))
        await compressing_server.emit("t", EVENTS)
        plain = await collect(sockets[0], len(EVENTS))
        for socket in sockets[1:]:
            assert (await collect(socket, 2 * len(EVENTS)))[-len(EVENTS) :] == plain
        assert [event["details"].get("output") for event in plain] == [details["output"] for _, details, _ in EVENTS]
        most, *others = [socket.bytes_received for socket in sockets]
        assert max(others) < most / 4
    await no_connections(compressing_server)


async def test_without_the_setting_nothing_is_compressed(server: Server, trace_id: str) -> None:
    """Whatever a client offers, and uvicorn agrees to by itself."""
    async with connect(server.url(trace_id), create_connection=CountingConnection) as socket:
        await socket.recv()
        await server.emit(trace_id, EVENTS)
        await collect(socket, len(EVENTS))
        assert isinstance(socket, CountingConnection)
        assert socket.bytes_received > 2 * len(OUTPUT)


async def test_a_decompression_bomb_is_refused(compressing_server: Server) -> None:
    """What inflates beyond the server's limit ends the connection, and takes no more memory than the limit."""
    async with connect(compressing_server.url("t")) as other:
        await other.recv()
        before = compressing_server.as_psutil.memory_info().rss
        for _ in range(8):
            async with connect(compressing_server.url("t"), max_size=None) as socket:
                with pytest.raises(ConnectionClosed):
                    await socket.send(BOMB)
                    while True:
                        await socket.recv()
                assert socket.close_code in (1006, 1009)
        assert compressing_server.as_psutil.memory_info().rss - before < 2 * len(BOMB)
        await other.send("ping")
        assert await other.recv() == "pong"
        await compressing_server.emit("t", EVENTS[:1])
        assert orjson.loads(await other.recv())["details"]["n"] == 0
    await no_connections(compressing_server)
