"""Attackers and doors: who gets what, on real servers.

A socket answers with the code that it closes with, or 0 where it lets watch; HTTP with a status. ``health`` is what it
names: the watched traces, or nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live.servers import KINDS
from tests.live.watching import V1
from tests.security.conftest import Closed

pytestmark = pytest.mark.takes(seconds=20)


@pytest.fixture(scope="module", autouse=True)
def _nobody_watches_yet(closed: Closed) -> None:
    """What one server knows of the other's connections is some seconds old."""
    deadline = time.monotonic() + 60
    for server in closed.servers.values():
        while server.ask("GET", "/ws/health", {})[1]["active_connections"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)  # between looks at what nobody announces


class Shown(NamedTuple):
    """What a client shows at a door."""

    headers: Mapping[str, str] = {}
    ticket: str = ""


class Doors(NamedTuple):
    """What it gets there."""

    plain: int
    v1: int
    ticket: int
    read: int
    stream: int
    admin: int
    health: str


CLOSED: Final = Doors(4401, 4401, 401, 401, 401, 302, "nothing")
"""To those who are nobody."""
TABLE: Final = {
    # Those who may: if they were refused, all the others would be for no reason.
    "the owner": Doors(0, 0, 201, 200, 200, 302, "nothing"),
    "the owner, by a token": Doors(0, 0, 201, 200, 200, 302, "nothing"),
    "the owner, by a JWT": Doors(0, 0, 201, 200, 200, 302, "nothing"),
    "the owner, by a ticket": Doors(0, 0, 401, 401, 401, 302, "nothing"),
    "the owner, by a ticket in a subprotocol": Doors(0, 0, 401, 401, 401, 302, "nothing"),
    "the owner, by a JWT from another page": Doors(0, 0, 201, 200, 200, 302, "nothing"),
    "the owner's page": Doors(0, 0, 403, 200, 200, 302, "nothing"),
    "an allowed page": Doors(0, 0, 403, 200, 200, 302, "nothing"),
    "a user with view_trace": Doors(0, 0, 201, 200, 200, 200, "secret"),
    "a user with view_trace for this trace": Doors(0, 0, 201, 200, 200, 302, "nothing"),
    # Those who may not.
    "nobody": CLOSED,
    "another user": Doors(4403, 4403, 403, 404, 404, 302, "nothing"),
    "another user, by a JWT": Doors(4403, 4403, 403, 404, 404, 302, "nothing"),
    "staff without permission": Doors(4403, 4403, 403, 404, 404, 403, "nothing"),
    "a session that expired": CLOSED,
    "a session that is forged": CLOSED,
    "a page of another origin": Doors(4403, 4403, 403, 200, 200, 302, "nothing"),
    "a sandboxed page": Doors(4403, 4403, 403, 200, 200, 302, "nothing"),
    "a ticket that was used": CLOSED,
    "a ticket of another trace": CLOSED,
    "a ticket that expired": CLOSED,
    "a ticket that is forged": CLOSED,
    "a JWT that is forged": CLOSED,
    "a JWT without a signature": CLOSED,
    "a JWT that expired": CLOSED,
    "a token that is forged": CLOSED,
}


def unsigned(token: str) -> str:
    """The attack on libraries that believe a token's own header (CVE-2015-9235)."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


async def used(closed: Closed, kind: str, ticket: str) -> str:
    async with connect(f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/secret?ticket={ticket}") as socket:
        assert orjson.loads(await socket.recv())["event"] == "connected"
    return ticket


async def expired(closed: Closed, ticket: str) -> str:
    closed.write("UPDATE trace_streaming_ticket SET expires_at = '2000-01-01'")
    return ticket


async def show(who: str, closed: Closed, kind: str) -> Shown:  # noqa: C901  a table
    """What somebody has; a ticket is asked for anew each time."""
    people, session = closed.people, closed.session
    of_ada = session("ada")
    match who:
        case "nobody":
            return Shown()
        case "the owner":
            return Shown(of_ada)
        case "the owner, by a token":
            return Shown(closed.token(people["ada's token"]))
        case "the owner, by a JWT":
            return Shown(closed.bearer(people["ada's JWT"]))
        case "the owner, by a JWT from another page":
            return Shown({**closed.bearer(people["ada's JWT"]), "Origin": "https://elsewhere.example"})
        case "the owner, by a ticket":
            return Shown(ticket="?" + await closed.ticket(kind, closed.bearer(people["ada's JWT"])))
        case "the owner, by a ticket in a subprotocol":
            return Shown(ticket="." + await closed.ticket(kind, closed.token(people["ada's token"])))
        case "the owner's page":
            return Shown({**of_ada, "Origin": f"http://127.0.0.1:{closed.servers[kind].port}"})
        case "an allowed page":
            return Shown({**of_ada, "Origin": f"http://127.0.0.1:{closed.allowed_port}"})
        case "a page of another origin":
            return Shown({**of_ada, "Origin": f"http://127.0.0.1:{closed.allowed_port - 1}"})
        case "a sandboxed page":
            return Shown({**of_ada, "Origin": "null"})
        case "a user with view_trace":
            return Shown(session("viewer"))
        case "a user with view_trace for this trace":
            return Shown(session("guest"))
        case "another user":
            return Shown(session("eve"))
        case "another user, by a JWT":
            return Shown(closed.bearer(people["eve's JWT"]))
        case "staff without permission":
            return Shown(session("ops"))
        case "a session that expired":
            closed.people["gone"] = {"session": "g" * 32}
            closed.write(
                "INSERT OR REPLACE INTO django_session SELECT ?, session_data, '2000-01-01' FROM django_session"
                " WHERE session_key = ?",
                "g" * 32,
                people["ada"]["session"],
            )
            return Shown(session("gone"))
        case "a session that is forged":
            closed.people["forged"] = {"session": "f" * 32}
            return Shown(session("forged"))
        case "a ticket that was used":
            return Shown(ticket="?" + await used(closed, kind, await closed.ticket(kind, of_ada_post(closed, kind))))
        case "a ticket of another trace":
            return Shown(ticket="?" + await closed.ticket(kind, closed.bearer(people["eve's JWT"]), "eves"))
        case "a ticket that expired":
            return Shown(
                ticket="?" + await expired(closed, await closed.ticket(kind, closed.bearer(people["ada's JWT"])))
            )
        case "a ticket that is forged":
            return Shown(ticket="?" + "A" * 43)
        case "a JWT that is forged":
            head, body, _ = people["ada's JWT"].split(".")
            return Shown(closed.bearer(f"{head}.{body}.{'A' * 43}"))
        case "a JWT without a signature":
            return Shown(closed.bearer(unsigned(people["ada's JWT"])))
        case "a JWT that expired":
            return Shown(closed.bearer(people["ada's expired JWT"]))
        case "a token that is forged":
            return Shown(closed.token("0" * 40))
    raise AssertionError(who)


def of_ada_post(closed: Closed, kind: str) -> Mapping[str, str]:
    """Her page's request: Django's token against request forgery twice, in a cookie and in a header."""
    token = "c" * 32
    cookie = closed.session("ada")["Cookie"]
    return {"Cookie": f"{cookie}; csrftoken={token}", "X-CSRFToken": token}


async def at_socket(closed: Closed, kind: str, shown: Shown, profile: str | None) -> int:
    url = f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/secret"
    subprotocols: Any = [profile] if profile else None
    if shown.ticket.startswith("?"):
        url += f"?ticket={shown.ticket[1:]}&since=0"
    elif shown.ticket:
        subprotocols = [*(subprotocols or []), f"ticket.{shown.ticket[1:]}"]
    async with connect(url, subprotocols=subprotocols, additional_headers=shown.headers) as socket:
        assert socket.subprotocol == profile  # never the ticket
        first = orjson.loads(await socket.recv())
        if "connected" in (first.get("event"), first.get("type")):
            return 0
        error = first if profile else first["details"]
        assert "secret" not in error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == error["code"]
        return socket.close_code or -1


async def at_ticket(closed: Closed, kind: str, shown: Shown) -> int:
    headers = dict(shown.headers)
    if "Cookie" in headers and "Origin" not in headers:  # as the site's own page would
        headers = {**of_ada_post(closed, kind), "Cookie": f"{headers['Cookie']}; csrftoken={'c' * 32}"}
    ask = closed.servers[kind].ask
    status, answer, got = await asyncio.to_thread(ask, "POST", "/api/traces/secret/ticket", headers)
    assert "Access-Control-Allow-Origin" not in got
    assert next(iter(answer)) == ("ticket" if status == 201 else "detail")
    return status


async def at_read(closed: Closed, kind: str, shown: Shown) -> int:
    return await asyncio.to_thread(status_of, closed, kind, shown, "/api/traces/secret/")


async def at_stream(closed: Closed, kind: str, shown: Shown) -> int:
    """A page of another origin is answered, and kept from reading by the browser: nothing allows it to."""
    return await asyncio.to_thread(status_of, closed, kind, shown, "/api/traces/secret/stream")


def status_of(closed: Closed, kind: str, shown: Shown, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", closed.servers[kind].port, timeout=30)
    try:
        connection.request("GET", path, headers=dict(shown.headers))
        response = connection.getresponse()  # the head alone: a stream does not end
        assert response.getheader("Access-Control-Allow-Origin") is None
        return response.status
    finally:
        connection.close()


async def at_admin(closed: Closed, kind: str, shown: Shown) -> int:
    path = "/admin/trace_streaming/trace/"
    return (await asyncio.to_thread(closed.servers[kind].ask, "GET", path, shown.headers))[0]


async def at_health(closed: Closed, kind: str, shown: Shown) -> str:
    status, answer, _ = await asyncio.to_thread(closed.servers[kind].ask, "GET", "/ws/health", shown.headers)
    assert (status, list(answer)) == (200, ["status", "service", "active_connections", "active_traces"])
    return ", ".join(answer["active_traces"]) or "nothing"


async def at_plain(closed: Closed, kind: str, shown: Shown) -> int:
    return await at_socket(closed, kind, shown, None)


async def at_v1(closed: Closed, kind: str, shown: Shown) -> int:
    return await at_socket(closed, kind, shown, V1)


ASK: Final[Mapping[str, Callable[[Closed, str, Shown], Awaitable[object]]]] = {
    "plain": at_plain,
    "v1": at_v1,
    "ticket": at_ticket,
    "read": at_read,
    "stream": at_stream,
    "admin": at_admin,
    "health": at_health,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("who", TABLE)
async def test_who_gets_what(closed: Closed, kind: str, who: str) -> None:
    """While the owner watches, so that there is a trace to be named."""
    url = f"ws://127.0.0.1:{closed.servers[kind].port}/ws/traces/secret"
    async with connect(url, additional_headers=closed.session("ada")) as socket:
        assert orjson.loads(await socket.recv())["event"] == "connected"
        got = {door: await ask(closed, kind, await show(who, closed, kind)) for door, ask in ASK.items()}
    assert Doors(**got) == TABLE[who]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_refused_says_nothing_about_what_there_is(closed: Closed, kind: str) -> None:
    """A trace that there is, one that there is not, and one of somebody else look alike."""

    async def answers(trace_id: str, headers: Mapping[str, str]) -> list[object]:
        server = closed.servers[kind]
        async with connect(f"ws://127.0.0.1:{server.port}/ws/traces/{trace_id}", additional_headers=headers) as socket:
            frame = json.loads(await socket.recv())
        status, answer, _ = await asyncio.to_thread(server.ask, "POST", f"/api/traces/{trace_id}/ticket", headers)
        return [frame["details"], status, answer]

    for headers in ({}, closed.bearer(closed.people["eve's JWT"])):
        assert await answers("secret", headers) == await answers("no-such-trace", headers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_in_chunks_is_read(closed: Closed, kind: str) -> None:
    """As programs send it that do not know its length before."""
    headers = {**closed.token(closed.people["ada's token"]), "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", closed.servers[kind].port, timeout=30)) as connection:
        chunks = iter([b'{"event":"plan', b'_created"}'])
        connection.request("POST", "/api/traces/secret/events", chunks, headers, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["accepted"]) == (200, 1)
