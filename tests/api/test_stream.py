"""Server-sent events: the same cursor over the same log as a socket has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.sessions.models import Session
from django.core.asgi import get_asgi_application
from django.db import OperationalError
from django.test import AsyncClient, Client
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework_simplejwt.tokens import AccessToken

from cuga_site.asgi import application
from tests.access.handshakes import basic, lock_out
from trace_streaming import TraceEmitter
from trace_streaming.access import revocation
from trace_streaming.access.admission import judge
from trace_streaming.access.authentication import Handshake
from trace_streaming.connections import event_source
from trace_streaming.management.commands import tail_trace
from trace_streaming.models import Event, Trace
from trace_streaming.remote.resuming import Place
from trace_streaming.storage import store
from trace_streaming.watching import hubs
from trace_streaming.watching.hubs import connections_by_trace
from trace_streaming.watching.subscription import Subscription
from trace_streaming.wire.protocol import WatchRequest

pytestmark = pytest.mark.django_db(transaction=True)


class Reader:
    """A client of the real application, without a server."""

    def __init__(self, path: str, **headers: str) -> None:
        path, _, query = path.partition("?")
        names = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        self.app = ApplicationCommunicator(
            application,
            {
                "type": "http",
                "method": "GET",
                "path": f"/api/traces/{path}/stream",
                "query_string": query.encode(),
                "headers": [(b"host", b"testserver"), *names],
            },
        )
        self.headers: dict[bytes, bytes] = {}
        self._text = ""

    async def open(self) -> int:
        await self.app.send_input({"type": "http.request"})
        start = await self.app.receive_output(timeout=60)
        self.headers = dict(start["headers"])
        if start["status"] != 200:
            await self.app.receive_output(timeout=60)
            await self.app.wait(timeout=60)
        return int(start["status"])

    async def message(self) -> dict[str, str]:
        """The next message's fields; empty at the end."""
        while "\n\n" not in self._text:
            body = await self.app.receive_output(timeout=60)
            self._text += body.get("body", b"").decode()
            if not body.get("more_body"):
                return {}
        block, _, self._text = self._text.partition("\n\n")
        return dict(line.split(": ", 1) for line in block.split("\n"))

    async def messages(self, until: str) -> list[dict[str, str]]:
        got: list[dict[str, str]] = []
        while not got or got[-1].get("event") != until:
            got.append(await self.message())
            assert got[-1], "the stream has ended"
        return got

    async def close(self) -> None:
        await self.app.send_input({"type": "http.disconnect"})
        await self.app.wait(timeout=60)


@asynccontextmanager
async def reading(path: str, **headers: str) -> AsyncIterator[Reader]:
    reader = Reader(path, **headers)
    assert await reader.open() == 200
    yield reader
    await reader.close()
    assert connections_by_trace() == {}


async def emit(count: int, trace_id: str = "t", end: str | None = None) -> TraceEmitter:
    emitter = TraceEmitter(trace_id)
    for number in range(count):
        emitter.emit("plan_created", {"n": number}, "success" if number % 2 else "error")
    if end is not None:
        emitter.end(end)
    assert await emitter.aflush(60)
    return emitter


def ids(messages: list[dict[str, str]]) -> list[str]:
    return [message["id"] for message in messages if "event" not in message and "data" in message]


async def test_replay_and_live_are_one_stream() -> None:
    """With the headers that keep proxies and caches from holding it back."""
    emitter = await emit(3)
    async with reading("t?since=1") as reader:
        assert reader.headers[b"Content-Type"] == b"text/event-stream"
        assert reader.headers[b"X-Accel-Buffering"] == b"no"
        assert b"no-cache" in reader.headers[b"Cache-Control"]
        first = await reader.messages("live")
        assert (first[0], first[1]["event"], ids(first)) == ({"retry": "2000"}, "connected", ["2", "3"])
        assert connections_by_trace() == {"t": 1}
        emitter.emit("plan_created")
        live = await reader.message()
        assert (live["id"], json.loads(live["data"])["sequence"]) == ("4", 4)


async def test_the_header_of_an_event_source_goes_before_the_url() -> None:
    """It comes back with the URL that it began with."""
    await emit(5)
    async with reading("t?since=0", Last_Event_ID="3") as reader:
        assert ids(await reader.messages("live")) == ["4", "5"]


async def test_who_asks_for_no_replay_has_a_place_all_the_same() -> None:
    """A connection that breaks before the first event resumes where it began."""
    await emit(5)
    async with reading("t") as reader:
        first = await reader.messages("live")
        assert (first[0], ids(first)) == ({"id": "5"}, [])


async def test_the_filter_is_that_of_the_sockets() -> None:
    """Invariant 8, for replay and live."""
    emitter = await emit(4)
    async with reading("t?since=0&status=error&events=plan_created") as reader:
        assert ids(await reader.messages("live")) == ["1", "3"]
        emitter.emit("plan_created", status="success")
        emitter.emit("plan_created", status="error")
        assert (await reader.message())["id"] == "6"


async def test_the_end_ends_the_stream_and_the_reconnects() -> None:
    """The place is the log's end, though the filter left its last event out; with it, there is no more to say."""
    emitter = await emit(4)
    async with reading("t?since=0&status=error") as reader:
        await reader.messages("live")
        emitter.end("error")
        ended = (await reader.messages("ended"))[-1]
        assert (ended["id"], json.loads(ended["data"])) == ("4", {"state": "error", "sequence": 4})
        assert await reader.message() == {}
    assert await Reader("t?since=0&status=error", Last_Event_ID="4").open() == 204
    async with reading("t?since=4") as reader:  # somebody new is told the state
        assert (await reader.messages("ended"))[-1]["id"] == "4"


async def test_a_gap_is_said() -> None:
    """Where history was pruned, and where the trace began again: there the place is the beginning."""
    await emit(6)
    await Event.objects.filter(sequence__in=(2, 3)).adelete()
    async with reading("t?since=0") as reader:
        messages = await reader.messages("live")
        gap = next(message for message in messages if message.get("event") == "gap")
        assert json.loads(gap["data"]) == {"from": 2, "to": 3, "reason": "pruned"}
        assert ids(messages) == ["1", "4", "5", "6"]
    await Trace.objects.all().adelete()
    async with reading("t", Last_Event_ID="6") as reader:  # who breaks off here misses nothing of the next life
        gap = next(message for message in await reader.messages("live") if message.get("event") == "gap")
        assert (gap["id"], json.loads(gap["data"])) == ("0", {"from": 1, "to": 6, "reason": "epoch"})
    await emit(2)
    async with reading("t", Last_Event_ID="6") as reader:
        messages = await reader.messages("live")
        gap = next(message for message in messages if message.get("event") == "gap")
        assert (gap["id"], json.loads(gap["data"])["reason"], ids(messages)) == ("0", "epoch", ["1", "2"])


async def test_heartbeats_are_comments(settings: Settings) -> None:
    """A proxy sees a byte now and then."""
    settings.TRACE_STREAMING_HEARTBEAT_SECONDS = 0.05
    async with reading("t") as reader:
        await reader.messages("live")
        assert await reader.message() == {"": "0"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [("t?since=x", {}), ("t?events=dance", {}), ("t?status=dead", {}), ("t", {"Last_Event_ID": "x"}), ("a b", {})],
)
async def test_a_bad_request_is_400_in_json(path: str, headers: dict[str, str]) -> None:
    """An ``EventSource`` does not come back for it."""
    reader = Reader(path, **headers)
    assert (await reader.open(), reader.headers[b"Content-Type"]) == (400, b"application/json")


async def test_who_may_not_watch_learns_nothing(settings: Settings) -> None:
    """A trace of somebody else is the same as none."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
    await emit(1)
    client = AsyncClient()
    for path in ("t", "none"):
        assert (await client.get(f"/api/traces/{path}/stream")).status_code in (401, 403)
    await client.aforce_login(await User.objects.acreate(username="other"))
    answers = [await client.get(f"/api/traces/{path}/stream") for path in ("t", "none")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


async def test_a_database_that_goes_away_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """200: for anything else an ``EventSource`` would not come back."""

    def away(*args: object) -> Any:
        raise OperationalError

    monkeypatch.setattr(store, "read_heads", away)
    async with reading("t") as reader:
        assert (await reader.message())["event"] == "refused"
        assert await reader.message() == {}
    assert hubs.running == {}


async def test_a_failing_stream_ends_and_the_log_says_whose(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the text of what failed, which may hold an event's."""
    await emit(2)
    payload = "m4rker"

    async def broken(self: object) -> None:
        raise ValueError(payload)

    monkeypatch.setattr(Subscription, "run", broken)
    async with reading("t?since=1") as reader:
        while (message := await reader.message()).get("event") != "refused":
            assert message
    fields = next(vars(record) for record in caplog.records if "A subscription failed" in record.message)
    assert (fields["trace_id"], fields["sequence"]) == ("t", 1)
    assert fields["connection"].count(":") == 1
    assert payload not in caplog.text


async def test_the_server_s_end_ends_the_streams() -> None:
    """Each is told to come back, and its place is free."""
    async with reading("t") as reader, reading("u") as other:
        for one in (reader, other):
            await one.messages("live")
        await event_source.end_all()
        for one in (reader, other):
            assert (await one.message())["event"] == "refused"
            assert await one.message() == {}
    assert event_source._open == {}
    async with reading("t") as late:
        assert (await late.message())["event"] == "refused"
        assert await late.message() == {}


async def test_a_client_that_takes_nothing_is_given_up(settings: Settings) -> None:
    """What it holds is bounded, and its place is freed while it still holds the connection."""
    settings.TRACE_STREAMING_HEARTBEAT_SECONDS = settings.TRACE_STREAMING_STALL_SECONDS = 0.1
    await emit(1)
    source = event_source.EventSource(WatchRequest("t", since=0), {}, Handshake({}), AnonymousUser())
    stalled = asyncio.Event()

    async def respond() -> None:
        async for _ in source.parts():
            await stalled.wait()  # as a server's send does

    response = asyncio.create_task(respond())
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await response
    await asyncio.sleep(0)  # what is called when a task is done is called then
    assert connections_by_trace() == {}


async def test_who_loses_the_right_to_watch_is_cut_off(settings: Settings) -> None:
    """Invariant 10, as at the sockets; the client is told, and may come back with other credentials."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01
    await emit(1)
    user = await User.objects.acreate(username="ada")
    permission = await Permission.objects.aget(codename="view_trace")
    await user.user_permissions.aadd(permission)
    client = AsyncClient()
    await client.aforce_login(user)
    async with reading("t?since=0", Cookie=f"sessionid={client.cookies['sessionid'].value}") as reader:
        await reader.messages("live")
        await user.user_permissions.aremove(permission)
        (*_, said) = await reader.messages("refused")
        assert json.loads(said["data"])["code"] == 4403
        assert await reader.message() == {}


ENDINGS = ["logout", "password", "deactivation", "deletion"]


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_session_that_has_ended_ends_the_stream(settings: Settings, end: str) -> None:
    """Invariant 10: what the request was found to be of is not believed a second time."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01
    user = await User.objects.acreate(username="ada", is_superuser=True)
    client = AsyncClient()
    await client.aforce_login(user)
    async with reading("t?since=0", Cookie=f"sessionid={client.cookies['sessionid'].value}") as reader:
        await reader.messages("live")
        if end == "logout":
            await Session.objects.all().adelete()
        else:
            await sync_to_async(lock_out)(user, end)
        (*_, said) = await reader.messages("refused")
        assert json.loads(said["data"])["code"] == 4031
        assert await reader.message() == {}


class ShortLived(BaseAuthentication):
    """Whoever shows a key, as long as it is one; nobody else, without a word."""

    keys: set[str] = set()

    def authenticate(self, request: Any) -> Any:
        return (User.objects.get(), None) if request.headers.get("X-Api-Key") in self.keys else None


@pytest.mark.parametrize("kind", ["token", "JWT", "key"])
async def test_a_token_that_has_ended_ends_the_stream(settings: Settings, kind: str) -> None:
    """The user is as good as ever, but nobody has shown that it is he."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.BasicAuthentication",
        f"{__name__}.ShortLived",
    ]
    user = await sync_to_async(User.objects.create_superuser)("ada", password="pass")
    ShortLived.keys = {"k"}
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=timedelta(seconds=2))
    shown = {
        "token": {"Authorization": basic("ada", "pass")},
        "JWT": {"Authorization": f"Bearer {token}"},
        "key": {"X_Api_Key": "k"},
    }
    async with reading("t?since=0", **shown[kind]) as reader:
        await reader.messages("live")
        ShortLived.keys = set()
        await sync_to_async(lock_out)(user, "password") if kind == "token" else None
        (*_, said) = await reader.messages("refused")
        assert json.loads(said["data"])["code"] == 4031


def by_header(get_response: Any) -> Any:
    """A middleware of a project's own, which no cookie can be asked instead of."""

    def middleware(request: Any) -> Any:
        if request.headers.get("X-Gateway-User"):
            request.user = User.objects.get(username=request.headers["X-Gateway-User"])
        return get_response(request)

    return middleware


async def test_the_user_of_another_middleware_stays_as_long_as_he_may(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the middleware looked at cannot be asked again; the user can."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.by_header"]
    monkeypatch.setitem(globals(), "application", get_asgi_application())  # the site's has read its middleware
    user = await sync_to_async(User.objects.create_superuser)("ada", password="pass")
    async with reading("t?since=0", X_Gateway_User="ada") as reader:
        await reader.messages("live")
        emitter = await emit(1)
        assert (await reader.message())["id"] == "1"
        (source,) = event_source._open
        assert await sync_to_async(judge)([(source.credentials, "t")] * 2) == [None, None]
        emitter.emit("plan_created")
        assert (await reader.message())["id"] == "2"
        await sync_to_async(lock_out)(user, "password")
        (*_, said) = await reader.messages("refused")
        assert json.loads(said["data"])["code"] == 4031


async def test_a_terminal_beside_the_database_is_not_cut_off(settings: Settings) -> None:
    """``tail_trace`` has nobody to let in: the policy for strangers is not asked for it."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.001
    emitter = await emit(1)
    parts = tail_trace._here("t", {})(Place(since=0, epoch=None))
    assert b"connected" in await anext(parts)
    assert b'"sequence":1' in await anext(parts)
    assert revocation._checkers == {}
    emitter.end("success")
    assert b"ended" in b"".join([part async for part in parts])


async def test_a_place_is_limited(settings: Settings) -> None:
    """Of a trace, here: the second is told when to come back; the first goes on, and frees its place."""
    settings.TRACE_STREAMING_LIMITS = {"connections_per_trace": 1}
    async with reading("t") as first:
        await first.messages("live")
        second = Reader("t")
        assert await second.open() == 200
        said = await second.message()
        assert (said["event"], json.loads(said["data"])["code"]) == ("refused", 4029)
        await second.close()
    async with reading("t") as third:
        await third.messages("live")


async def test_a_head_request_has_no_stream() -> None:
    """It would never end."""
    response = await AsyncClient().head("/api/traces/t/stream")
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")


def test_wsgi_cannot_stream(client: Client) -> None:
    """It is said, instead of hanging."""
    assert client.get("/api/traces/t/stream").status_code == 501


async def test_middleware_that_compresses_holds_nothing_back(settings: Settings) -> None:
    """Django's own would gather events until there are enough."""
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    response = await AsyncClient().get("/api/traces/t/stream", headers={"accept-encoding": "gzip"})
    assert response["Content-Encoding"] == "identity"
