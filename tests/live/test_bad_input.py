"""What real servers make of bad requests and frames: an answer or nothing, and a socket that lives."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from tests.live.servers import Server
from tests.live.watching import PROFILES, V1, watch

ONE_MEBIBYTE = "x" * 2**20


@PROFILES
@pytest.mark.parametrize(
    ("path", "word"),
    [("a%20b", "trace id"), ("%2e%2e%2fetc", "trace id"), ("t%00", "trace id"), ("", "trace id")]
    + [("t?since=x", "since"), ("t?events=dance", "dance"), ("t?status=dead", "dead"), ("t?epoch=%FF", "UTF-8")],
)
async def test_a_bad_request_is_told_what_is_wrong(server: Server, path: str, word: str, profile: str | None) -> None:
    """The server accepts, says why in an error frame, and closes with 4400, so that a browser can read both."""
    subprotocols: Any = [profile] if profile else None
    async with connect(f"ws://127.0.0.1:{server.port}/ws/traces/{path}", subprotocols=subprotocols) as socket:
        frame = orjson.loads(await socket.recv())
        error = frame if profile else frame["details"]
        assert (error["code"], word in error["message"]) == (4400, True)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4400


async def test_plain_sockets_live_through_every_frame(server: Server, trace_id: str) -> None:
    """Binary, empty, unknown and 1 MiB frames are ignored; ping is still answered."""
    async with connect(server.url(trace_id)) as socket:
        await socket.recv()
        for frame in ("", "unknown", "{", b"", b"\xff\x00", ONE_MEBIBYTE, ONE_MEBIBYTE.encode(), "PING"):
            await socket.send(frame)
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_v1_sockets_live_through_every_frame(server: Server, trace_id: str) -> None:
    """Each bad command is answered with an error; ping is still answered."""
    async with connect(server.url(trace_id), subprotocols=[V1]) as socket:  # type: ignore[list-item]
        await socket.recv()
        await socket.recv()
        bad: list[str | bytes] = ["unknown", "{", b"\xff\x00", ONE_MEBIBYTE, ONE_MEBIBYTE.encode()]
        bad.append('{"type":"dance","id":1}')
        for frame in bad:
            await socket.send(frame)
        answers = [orjson.loads(await socket.recv()) for _ in bad]
        assert [answer["type"] for answer in answers] == ["error"] * len(bad)
        assert answers[-1]["id"] == 1
        await socket.send('{"type":"ping"}')
        assert orjson.loads(await socket.recv()) == {"type": "pong"}


@PROFILES
async def test_close_is_a_clean_close(server: Server, trace_id: str, profile: str | None) -> None:
    """Asked to close, the server does, with 1000."""
    subprotocols: Any = [profile] if profile else None
    async with connect(server.url(trace_id), subprotocols=subprotocols) as socket:
        await socket.send('{"type":"close"}' if profile else "close")
        with pytest.raises(ConnectionClosedOK):
            while True:
                await socket.recv()
        assert socket.close_code == 1000


async def test_clients_that_vanish_free_their_places(server: Server, trace_id: str) -> None:
    """Invariant 7: connections cut without a close are counted out; the fixture waits for exactly zero."""
    async with AsyncExitStack() as stack:
        sockets = [await watch(stack, server.url(trace_id)) for _ in range(50)]
        assert (await asyncio.to_thread(server.get, "/ws/health"))["active_connections"] == 50
        for socket in sockets:
            socket.transport.abort()
