"""Whatever a client sends: no exception, no socket that dies without a word, and no place that is kept.

``make test-all`` and ``make fuzz`` send 100,000 inputs.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from time import monotonic
from typing import Any, Final

import orjson
import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_django import Settings as DjangoSettings

from tests.live import reports
from tests.watching.sockets import application
from trace_streaming.access.connection_limits import places
from trace_streaming.connections import open_sockets
from trace_streaming.watching import hubs
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)

SOME_INPUTS, MANY_INPUTS = 4_000, 100_000
FRAMES, MUTANTS = 40, 40
PATIENCE_SECONDS: Final = 60.0
"""How long anything may take, beside whatever else the machine does."""

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
names = st.sampled_from(["ping", "ack", "subscribe", "decide", "renew", "pong", "connected", "event", ""])
keys = st.sampled_from(["id", "sequence", "events", "status", "ticket", "type", "approval_id", "decision"])
near_names = st.sampled_from(["plan_created", "success", "error", "dance", "", " "])
arguments = st.dictionaries(keys, json_values | st.lists(near_names) | st.integers(-1, 5), max_size=4)
commands = st.builds(lambda name, rest: json.dumps({**rest, "type": name}), names, arguments)
mangled = st.builds(
    lambda text, cut, more: text[:cut] + more + text[cut:], commands, st.integers(0, 40), st.text(max_size=3)
)
texts = st.one_of(commands, mangled, st.text(max_size=200), json_values.map(json.dumps), st.just("x" * 70_000))
frames = st.one_of(texts.map(lambda text: {"text": text}), st.binary(max_size=200).map(lambda data: {"bytes": data}))

parameters = st.sampled_from(["since", "epoch", "events", "status", "ticket", "since ", "%73ince", "x", ""])
values = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=20)
values |= st.sampled_from(
    [b"0", b"-1", b"9" * 30, b"%00", b"%FF", b"plan_created", b"success,error", b"&", b"a&ticket=b"]
)
queries = st.lists(st.builds(lambda name, value: name.encode() + b"=" + value, parameters, values), max_size=5).map(
    b"&".join
) | st.binary(max_size=50)
header_names = st.sampled_from(
    ["host", "origin", "cookie", "authorization", "sec-websocket-protocol", "x-forwarded-proto", "content-length", "x"]
)
header_values = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"http://[",
            b"http://h:99999",
            b"null",
            b"sessionid=" + b"a" * 32,
            b'sessionid="aaaaaaaa\\000"',
            b"Basic e30=",
        ]
        + [
            b"Basic " + b"=" * 9,
            b"Token \xff",
            b"Bearer a.b.c",
            b"Basic",
            b"testserver",
            b"a" * 5000,
            b"sessionid=;;;=,",
        ]
    ),
)
headers = st.lists(st.tuples(header_names.map(str.encode), header_values), max_size=5)
paths = st.one_of(st.text(max_size=40), st.sampled_from(["t", "", "a/b", "../t", "t\x00", "t" * 129, "\u0661", "t\n"]))
subprotocols = st.lists(
    st.sampled_from([SUBPROTOCOL, "ticket.", "ticket.x", "graphql-ws", ""]) | st.text(max_size=20), max_size=3
)


@pytest.fixture(autouse=True)
def _closed_and_unlimited(settings: DjangoSettings) -> None:
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework_simplejwt.authentication.JWTAuthentication",
    ]
    settings.TRACE_STREAMING_LIMITS = {"connects_per_address": None, "commands_per_socket": None}


@pytest.fixture(autouse=True)
async def _counts_are_zero(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """And nothing was logged that a client has done."""
    Client.inputs, started = 0, monotonic()
    yield
    if os.environ.get("SOAK"):
        seconds = f"{monotonic() - started:.0f}"
        reports.report("fuzz", {"test": request.node.name, "inputs": Client.inputs, "seconds": seconds})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while hubs.running or open_sockets.open_sockets:
            await asyncio.sleep(0.001)
    assert places.taken() == {}
    assert [record.getMessage() for record in caplog.records if record.name.startswith("trace_streaming")] == []


class Client:
    """As little of a server as can be: what is said to the consumer, and what it says."""

    inputs = 0
    """Handshakes and frames, of all."""

    def __init__(self, path: str, query: bytes, headers: list[tuple[bytes, bytes]], protocols: list[str]) -> None:
        self.said: list[dict[str, Any]] = []
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.inbox.put_nowait({"type": "websocket.connect"})
        scope: dict[str, Any] = {"type": "websocket", "path": f"/ws/traces/{path}", "query_string": query}
        scope |= {"headers": headers, "subprotocols": protocols, "client": ("192.0.2.1", 1)}
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(application(scope, self.inbox.get, self._hear))
        self.task.add_done_callback(lambda task: self._changed.set())
        Client.inputs += 1

    async def _hear(self, message: dict[str, Any]) -> None:
        assert not self.is_closed, f"sent behind a close: {message}"
        self.said.append(message)
        self._changed.set()
        if self.is_closed:
            self.inbox.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    @property
    def is_closed(self) -> bool:
        return bool(self.said) and self.said[-1]["type"] == "websocket.close"

    async def until(self, count: int) -> None:
        """Wait until it has said so much, or closed."""
        await self._until(lambda: len(self.said) >= count)

    async def _until(self, enough: Callable[[], bool]) -> None:
        """Or until it has closed. The loop may not turn meanwhile: threads that answer would wait for the lock."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (enough() or self.is_closed or self.task.done()):
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> None:
        """Raises what the application raises."""
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await self.task

    async def survive(self, frame: dict[str, Any], ping: str) -> None:
        """Send a frame, and wait until a ping behind it is answered, or the socket is closed."""
        self.said.clear()
        Client.inputs += 1
        self.inbox.put_nowait({"type": "websocket.receive", **frame})
        self.inbox.put_nowait({"type": "websocket.receive", "text": ping})
        await self._until(self._has_said_pong)
        assert self.is_closed or self._has_said_pong()

    def _has_said_pong(self) -> bool:
        return any(
            message["type"] == "websocket.send" and message["text"] in ("pong", '{"type":"pong"}')
            for message in self.said
        )

    def assert_closed_with_a_word(self) -> None:
        *_, error, close = self.said
        frame = orjson.loads(error["text"])
        assert close["code"] == (frame if frame.get("type") == "error" else frame["details"])["code"]


def drawing(examples: int) -> settings:
    """So many examples, none of them kept, and none made smaller where it fails."""
    quick = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, suppress_health_check=quick, database=None, phases=[Phase.generate])


def handshakes(inputs: int) -> settings:
    return drawing(inputs // 50)


def lists_of_frames(inputs: int) -> settings:
    """Of each profile; about an eighth of the frames that could be are drawn."""
    return drawing(inputs // (FRAMES // 8 * MUTANTS) // 2)


@handshakes(SOME_INPUTS)
@given(paths, queries, headers, subprotocols)
async def test_every_handshake_is_answered(
    path: str, query: bytes, headers: list[tuple[bytes, bytes]], protocols: list[str]
) -> None:
    """Accepted, then let in or told why not: here everybody is nobody."""
    await is_answered(path, query, headers, protocols)


@pytest.mark.thorough
@pytest.mark.takes(seconds=20)
@handshakes(MANY_INPUTS)
@given(paths, queries, headers, subprotocols)
async def test_thousands_of_handshakes_are_answered(
    path: str, query: bytes, headers: list[tuple[bytes, bytes]], protocols: list[str]
) -> None:
    """As before."""
    await is_answered(path, query, headers, protocols)


async def is_answered(path: str, query: bytes, headers: list[tuple[bytes, bytes]], protocols: list[str]) -> None:
    client = Client(path, query, headers, protocols)
    await client.until(3)
    assert client.said[0]["type"] == "websocket.accept"
    assert client.said[0]["subprotocol"] in (None, SUBPROTOCOL)
    assert client.is_closed
    client.assert_closed_with_a_word()
    await client.end()


@pytest.mark.parametrize("protocol", [None, SUBPROTOCOL])
@lists_of_frames(SOME_INPUTS)
@given(drawn=st.lists(frames, min_size=1, max_size=FRAMES), seed=st.integers(0, 2**32))
async def test_every_frame_is_survived(protocol: str | None, drawn: list[dict[str, Any]], seed: int) -> None:
    """A ping behind it is answered, or the socket was closed: because it was asked to, or with a word."""
    await are_survived(protocol, drawn, seed)


@pytest.mark.thorough
@pytest.mark.takes(seconds=60)
@pytest.mark.parametrize("protocol", [None, SUBPROTOCOL])
@lists_of_frames(MANY_INPUTS)
@given(drawn=st.lists(frames, min_size=1, max_size=FRAMES), seed=st.integers(0, 2**32))
async def test_many_thousands_of_frames_are_survived(
    protocol: str | None, drawn: list[dict[str, Any]], seed: int
) -> None:
    """As before."""
    await are_survived(protocol, drawn, seed)


async def are_survived(protocol: str | None, drawn: list[dict[str, Any]], seed: int) -> None:
    with override_settings(TRACE_STREAMING_PERMISSION_CLASSES=["rest_framework.permissions.AllowAny"]):
        client = await opened(protocol)
        for sent in [mutant for frame in drawn for mutant in mutants(frame, Random(seed))]:
            if client.is_closed:
                if client.said[-1]["code"] != 1000:
                    client.assert_closed_with_a_word()
                await client.end()
                client = await opened(protocol)
            await client.survive(sent, '{"type":"ping","id":"fuzz"}' if protocol else "ping")
        await client.end()


async def opened(protocol: str | None) -> Client:
    client = Client("t", b"", [], [protocol] if protocol else [])
    await client.until(3 if protocol else 2)
    assert not client.is_closed
    return client


def mutants(frame: dict[str, Any], random: Random) -> Iterator[dict[str, Any]]:
    """The frame, and what becomes of it on the way: quicker than having each drawn."""
    yield frame
    kind, whole = next(iter(frame.items()))
    for _ in range(MUTANTS - 1):
        start, end = sorted(random.randrange(len(whole) + 1) for _ in range(2))
        piece = random.choice(["", '"', "{", "null", "\u0000", "1e999", "\U0001f600", "[" * 2000])
        middle = whole[start:end] * random.choice([0, 2]) if len(whole) < 1000 else whole[:0]
        yield {kind: whole[:start] + middle + (piece if kind == "text" else piece.encode()) + whole[end:]}
