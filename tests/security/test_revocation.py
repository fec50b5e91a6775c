"""Whoever lost the right to watch is cut off within seconds, in every process; whoever renews it loses nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest
from rest_framework_simplejwt.tokens import AccessToken
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.live.servers import KINDS
from tests.live.watching import V1
from tests.security.conftest import Closed

pytestmark = pytest.mark.takes(seconds=20)

SECONDS: Final = 8
"""The default interval of the looks is 5; a busy machine takes a little longer."""
PATIENCE_SECONDS: Final = 60
USER: Final = "(SELECT id FROM auth_user WHERE username = ?)"
REVOCATIONS: Final = {
    "logout": ("DELETE FROM django_session WHERE session_key = ?", 4031),
    "password": ("UPDATE auth_user SET password = 'another' WHERE username = ?", 4031),
    "deactivation": ("UPDATE auth_user SET is_active = 0 WHERE username = ?", 4031),
    "ownership": ("UPDATE trace_streaming_trace SET owner_id = NULL WHERE trace_id = ?", 4403),
    "permission": (f"DELETE FROM auth_user_user_permissions WHERE user_id = {USER}", 4403),
    "object": (f"DELETE FROM guardian_userobjectpermission WHERE user_id = {USER}", 4403),
    "token": (f"DELETE FROM authtoken_token WHERE user_id = {USER}", 4031),
}


async def watch(
    stack: AsyncExitStack, closed: Closed, kind: str, trace_id: str, profile: str | None, shown: Mapping[str, str] | str
) -> ClientConnection:
    """A socket that was let in, by headers or by a ticket."""
    query = "" if isinstance(shown, Mapping) else f"?ticket={shown}"
    url = f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/{trace_id}{query}"
    socket = await stack.enter_async_context(
        connect(
            url,
            subprotocols=[profile] if profile else None,  # type: ignore[list-item]
            additional_headers=shown if isinstance(shown, Mapping) else None,
        )
    )
    first = orjson.loads(await socket.recv())
    assert "connected" in (first.get("event"), first.get("type")), first
    return socket


async def cut_off(socket: ClientConnection) -> tuple[int | None, float]:
    """The code, and when it came; the error frame before it has the same."""
    last: Any = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                last = orjson.loads(await socket.recv())
    except ConnectionClosed:
        error = last if last.get("type") == "error" else last["details"]
        assert error["code"] == socket.close_code
        return socket.close_code, time.monotonic()


async def test_every_revocation_in_every_process(closed: Closed) -> None:
    """Seven ways to lose the right, two processes, both profiles, by credentials and by tickets: all at once."""
    sockets: dict[tuple[str, ...], ClientConnection] = {}
    async with AsyncExitStack() as stack:
        for name in REVOCATIONS:
            person = closed.people[name]
            shown = closed.token(person["token"]) if name == "token" else closed.session(name)
            for kind in KINDS:
                for profile in (None, V1):
                    socket = await watch(stack, closed, kind, name, profile, shown)
                    sockets[name, kind, profile or "plain", "credentials"] = socket
                headers = shown
                if "Cookie" in shown:
                    csrf = "c" * 32
                    headers = {"Cookie": f"{shown['Cookie']}; csrftoken={csrf}", "X-CSRFToken": csrf}
                ticket = await closed.ticket(kind, headers, name)
                sockets[name, kind, V1, "ticket"] = await watch(stack, closed, kind, name, V1, ticket)
        innocent = [await watch(stack, closed, kind, "secret", V1, closed.session("ada")) for kind in KINDS]
        began = time.monotonic()
        for name, (sql, _) in REVOCATIONS.items():
            closed.write(sql, closed.people[name]["session"] if name == "logout" else name)
        ends = dict(zip(sockets, await asyncio.gather(*map(cut_off, sockets.values())), strict=True))
        for socket in innocent:
            await socket.send('{"type":"ping"}')
            answers = [orjson.loads(await socket.recv())["type"] for _ in range(2)]
            assert answers == ["live", "pong"]
    assert {which: code for which, (code, _) in ends.items()} == {which: REVOCATIONS[which[0]][1] for which in sockets}
    longest = max(at - began for _, at in ends.values())
    assert longest < SECONDS


async def test_renewing_keeps_the_place(closed: Closed) -> None:
    """A JWT expires while its socket is busy; the one that renewed goes on, no event lost or repeated."""
    watching = asyncio.Barrier(len(KINDS))
    await asyncio.gather(*(renew(closed, kind, watching) for kind in KINDS))


async def renew(closed: Closed, kind: str, watching: asyncio.Barrier) -> None:
    person = closed.people["expiry"]
    server, count = closed.servers[kind], 300
    async with AsyncExitStack() as stack:
        shown = closed.bearer(that_expires_soon(person["JWT"]))
        renewing, idle = [await watch(stack, closed, kind, "expiry", V1, shown) for _ in range(2)]
        got: list[int] = []
        results: list[object] = []

        async def read() -> None:
            async for text in renewing:
                frame = orjson.loads(text)
                got.extend(event["sequence"] for event in frame.get("events", ()))
                if frame["type"] in ("result", "error"):
                    results.append(frame)

        reading = asyncio.create_task(read())
        await watching.wait()  # each watches what both servers emit
        for number in range(6):
            await server.emit("expiry", [("plan_created", {"n": n}, "success") for n in range(count // 6)])
            if number == 2:
                ticket = await closed.ticket(kind, closed.bearer(person["JWT"]), "expiry")
                await renewing.send(json.dumps({"type": "renew", "id": 1, "ticket": ticket}))
        code, _ = await cut_off(idle)
        await server.emit("expiry", [("plan_created", {}, "success")])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(got) < 2 * count + 2:
                await asyncio.sleep(0.01)
        reading.cancel()
    assert code == 4031
    assert results == [{"type": "result", "id": 1}]
    assert got == list(range(got[0], got[0] + len(got)))


def that_expires_soon(token: str) -> str:
    """The same JWT, as the site would have made it a little earlier: late enough for a busy machine to let it in."""
    access = AccessToken(token)  # type: ignore[arg-type]
    access.set_exp(lifetime=timedelta(seconds=8))
    return str(access)
