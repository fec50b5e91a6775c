"""The socket: both profiles, every kind of bad input, and places that are always freed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import AsyncClient
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from tests.access.handshakes import cookie, lock_out, log_in
from trace_streaming import TraceEmitter, consumers, is_trace_streaming
from trace_streaming.access import admission, connection_limits
from trace_streaming.connections import commands, open_sockets, opening
from trace_streaming.consumers import MAX_BAD_COMMANDS
from trace_streaming.models import Trace
from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.storage import store
from trace_streaming.watching import hubs
from trace_streaming.watching.subscription import Subscription
from trace_streaming.wire.profiles import WINDOW_BYTES
from trace_streaming.wire.protocol import MAX_COMMAND_CHARACTERS, SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter(websocket_urlpatterns)


@pytest.fixture(autouse=True)
def _open_to_everybody(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]


@pytest.fixture(autouse=True)
async def _places_are_freed() -> AsyncIterator[None]:
    """Invariant 7: after each test the counts are exactly zero."""
    yield
    async with asyncio.timeout(60):
        while hubs.running:
            await asyncio.sleep(0.001)
    assert hubs.connections_by_trace() == {}


@asynccontextmanager
async def connect(
    path: str = "t", subprotocol: str | None = None, headers: list[tuple[bytes, bytes]] | None = None
) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(
        application, f"/ws/traces/{path}", headers or [], [subprotocol] if subprotocol else None
    )
    connected, accepted = await communicator.connect(timeout=60)
    assert connected
    assert accepted == subprotocol
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=60)


async def receive(socket: WebsocketCommunicator) -> Any:
    return orjson.loads(await socket.receive_from(timeout=60))


async def assert_refused(socket: WebsocketCommunicator, code: int, *words: str) -> None:
    """An error frame that says what is wrong, then the close."""
    frame = await receive(socket)
    error = frame if frame.get("type") == "error" else frame["details"]
    assert error["code"] == code
    assert all(word in error["message"] for word in words)
    closing = await socket.receive_output(timeout=60)
    assert (closing["type"], closing["code"]) == ("websocket.close", code)


async def test_plain_profile_greets_first() -> None:
    """The first frame that existing clients wait for, exactly."""
    async with connect() as socket:
        frame = await receive(socket)
        timestamp = frame.pop("timestamp")
        assert len(timestamp) == len("2026-01-05T12:00:00.000000+00:00")
        assert frame == {
            "event": "connected",
            "trace_id": "t",
            "status": "success",
            "message": "WebSocket trace streaming active",
            "details": {},
            "sequence": 0,
            "epoch": None,
        }
        assert is_trace_streaming("t")


async def test_plain_profile_sends_one_event_per_frame() -> None:
    """An emitted event arrives in the shape that existing clients read."""
    async with connect() as socket:
        await receive(socket)
        emitter = TraceEmitter("t")
        emitter.emit("tool_call_complete", {"tool": "search_contacts", "duration_ms": 12.5}, "success")
        frame = await receive(socket)
        assert frame == {
            **emitter.get_trace()[0],
            "sequence": 1,
            "tool_name": "search_contacts",
            "duration_ms": 12.5,
        }
        assert list(frame)[:5] == ["event", "trace_id", "timestamp", "details", "status"]


async def test_plain_profile_answers_ping_and_close_and_ignores_the_rest() -> None:
    """Unknown text and binary frames change nothing; ``close`` is a clean close."""
    async with connect() as socket:
        await receive(socket)
        await socket.send_to(text_data="invalid_command")
        await socket.send_to(text_data='{"type":"ping"}')
        await socket.send_to(bytes_data=b"\x00ping")
        await socket.send_to(text_data="x" * 2**20)
        await socket.send_to(text_data="ping")
        assert await socket.receive_from(timeout=60) == "pong"
        await socket.send_to(text_data="close")
        closing = await socket.receive_output(timeout=60)
        assert closing == {"type": "websocket.close", "code": 1000}


async def test_v1_greets_replays_and_goes_live() -> None:
    """connected, events, live, ended: in this order, with what each promises."""
    with TraceEmitter("t") as emitter:
        emitter.emit("plan_created", {"steps": 1}, "success")
    assert await emitter.aflush(60)
    async with connect("t?since=0", SUBPROTOCOL) as socket:
        connected = await receive(socket)
        epoch = (await sync_to_async(store.read_heads)(["t"]))["t"].epoch
        assert connected == {
            "type": "connected",
            "trace_id": "t",
            "epoch": epoch,
            "sequence": 1,
            "state": "success",
            "heartbeat_seconds": 15.0,
            "window": WINDOW_BYTES,
        }
        events = await receive(socket)
        assert [event["sequence"] for event in events["events"]] == [1]
        assert await receive(socket) == {"type": "live", "sequence": 1}
        assert await receive(socket) == {"type": "ended", "state": "success", "sequence": 1}


async def test_v1_heartbeats_tell_the_head(settings: Settings) -> None:
    """Every ``heartbeat_seconds`` the client hears where the log ends."""
    settings.TRACE_STREAMING_HEARTBEAT_SECONDS = 0.01
    async with connect("t", SUBPROTOCOL) as socket:
        assert (await receive(socket))["heartbeat_seconds"] == 0.01
        assert (await receive(socket))["type"] == "live"
        assert await receive(socket) == {"type": "heartbeat", "sequence": 0}
        assert await receive(socket) == {"type": "heartbeat", "sequence": 0}


async def test_v1_commands() -> None:
    """ping, subscribe, ack and close are answered as the protocol says."""
    async with connect("t", SUBPROTOCOL) as socket:
        await receive(socket)
        await receive(socket)
        await socket.send_json_to({"type": "ping"})
        assert await receive(socket) == {"type": "pong"}
        await socket.send_json_to({"type": "subscribe", "id": "s1", "events": ["tool_call_error"]})
        assert await receive(socket) == {"type": "result", "id": "s1"}
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        emitter.emit("tool_call_error", {}, "error")
        assert [event["sequence"] for event in (await receive(socket))["events"]] == [2]
        await socket.send_json_to({"type": "ack", "sequence": 2})
        await socket.send_json_to({"type": "subscribe", "id": 2, "events": None, "status": []})
        assert await receive(socket) == {"type": "result", "id": 2}
        emitter.emit("plan_created")
        assert [event["sequence"] for event in (await receive(socket))["events"]] == [3]
        await socket.send_json_to({"type": "close"})
        assert (await socket.receive_output(timeout=60))["type"] == "websocket.close"


BAD_COMMANDS = {
    "not JSON": "{",
    "no object": "[]",
    "no type": "{}",
    "a type that is no text": '{"type":1}',
    "an unknown type": '{"type":"dance","id":"x"}',
    "an ack without a number": '{"type":"ack","id":"x"}',
    "an ack below zero": '{"type":"ack","sequence":-1,"id":"x"}',
    "an unknown event": '{"type":"subscribe","id":"x","events":["dance"]}',
    "a filter that is no list": '{"type":"subscribe","id":"x","status":"success"}',
    "an approval": '{"type":"decide","id":"x","approval_id":"a","decision":"approved"}',
    "too long": "x" * (MAX_COMMAND_CHARACTERS + 1),
    "1 MiB": "x" * 2**20,
}


@pytest.mark.parametrize("text", BAD_COMMANDS.values(), ids=BAD_COMMANDS)
async def test_v1_answers_a_bad_command_and_lives(text: str) -> None:
    """An error that carries the command's id; the socket stays open."""
    async with connect("t", SUBPROTOCOL) as socket:
        await receive(socket)
        await receive(socket)
        await socket.send_to(text_data=text)
        error = await receive(socket)
        assert error["type"] == "error"
        assert error.get("id") == ("x" if '"id":"x"' in text else None)
        await socket.send_json_to({"type": "ping"})
        assert await receive(socket) == {"type": "pong"}


async def test_v1_answers_a_binary_frame() -> None:
    """A command is text."""
    async with connect("t", SUBPROTOCOL) as socket:
        await receive(socket)
        await receive(socket)
        await socket.send_to(bytes_data=b'{"type":"ping"}')
        assert (await receive(socket))["type"] == "error"


async def test_v1_closes_on_a_flood_of_bad_commands() -> None:
    """So many in a row are no mistake: 4029."""
    async with connect("t", SUBPROTOCOL) as socket:
        await receive(socket)
        await receive(socket)
        for _ in range(MAX_BAD_COMMANDS):
            await socket.send_to(text_data="{")
        for _ in range(MAX_BAD_COMMANDS):
            assert (await receive(socket))["type"] == "error"
        await assert_refused(socket, 4029)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", ["trace id"]),
        ("a b", ["trace id"]),
        ("a/b", ["trace id"]),
        ("t/", ["trace id"]),
        ("x" * 129, ["trace id"]),
        ("<script>", ["trace id"]),
        ("a%0Ab", ["trace id"]),
        ("t?since=-1", ["since", "'-1'"]),
        ("t?since=1.5", ["since"]),
        ("t?since=", ["since"]),
        ("t?since=%D9%A1", ["since"]),
        ("t?since=9999999999999999999", ["since"]),
        ("t?since=1&since=2", ["since", "more than once"]),
        ("t?events=dance", ["events", "dance", "plan_created"]),
        ("t?status=success,dead", ["status", "dead", "warning"]),
        ("t?epoch=%FF", ["UTF-8"]),
        ("t?" + "&".join(f"a{n}=1" for n in range(40)), ["parameters"]),
    ],
)
@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_a_bad_request_is_told_what_is_wrong(path: str, words: list[str], subprotocol: str | None) -> None:
    """An error frame, then close 4400."""
    async with connect(path, subprotocol) as socket:
        await assert_refused(socket, 4400, *words)


async def test_filters_of_the_url_hold_for_replay_and_live() -> None:
    """Invariant 8."""
    emitter = TraceEmitter("t")
    emitter.emit("plan_created", {}, "success")
    emitter.emit("tool_call_error", {}, "error")
    assert await emitter.aflush(60)
    async with connect("t?since=0&events=tool_call_error,tool_call_start&status=error") as socket:
        assert (await receive(socket))["sequence"] == 2
        assert (await receive(socket))["sequence"] == 2
        emitter.emit("tool_call_start", {}, "pending")
        emitter.emit("tool_call_error", {}, "error")
        assert (await receive(socket))["sequence"] == 4


async def test_an_empty_filter_is_no_filter() -> None:
    """``?events=`` is what a form without a choice sends."""
    async with connect("t?events=&status=") as socket:
        await receive(socket)
        TraceEmitter("t").emit("plan_created")
        assert (await receive(socket))["sequence"] == 1


async def test_resume_with_since_and_epoch() -> None:
    """Everything after the number, when the epoch is the trace's."""
    emitter = TraceEmitter("t")
    for _ in range(3):
        emitter.emit("plan_created")
    assert await emitter.aflush(60)
    epoch = (await sync_to_async(store.read_heads)(["t"]))["t"].epoch
    async with connect(f"t?since=2&epoch={epoch}") as socket:
        assert (await receive(socket))["epoch"] == epoch
        assert (await receive(socket))["sequence"] == 3
    async with connect("t?since=2&epoch=another") as socket:
        await receive(socket)
        gap = await receive(socket)
        assert (gap["event"], gap["status"], gap["details"]["reason"]) == ("gap", "warning", "epoch")
        assert [(await receive(socket))["sequence"] for _ in range(3)] == [1, 2, 3]


async def test_an_unknown_subprotocol_is_not_accepted_by_name() -> None:
    """The plain profile is spoken, and no protocol is claimed."""
    communicator = WebsocketCommunicator(application, "/ws/traces/t", subprotocols=["graphql-ws"])
    assert await communicator.connect(timeout=60) == (True, None)
    assert (await receive(communicator))["event"] == "connected"
    await communicator.disconnect()


async def test_a_database_that_is_away_asks_the_client_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """4001 is a code to reconnect on; nothing of the error is shown."""

    def away(trace_ids: object) -> None:
        raise OperationalError("secret host name")

    monkeypatch.setattr(store, "read_heads", away)
    async with connect() as socket:
        await assert_refused(socket, 4001, "database")


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
@pytest.mark.parametrize("policy", ["rest_framework.permissions.AllowAny", f"{__name__}.Everybody"])
async def test_an_open_socket_watches(settings: Settings, subprotocol: str | None, policy: str) -> None:
    """Invariant 15: whoever opens a socket and emits misses nothing, also where the project's own class is asked."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [policy]
    emitter = TraceEmitter("t")
    for number in range(1, 6):
        async with connect("t", subprotocol) as socket:
            assert is_trace_streaming("t")
            emitter.emit("plan_created", {"number": number})
            frames = [await receive(socket) for _ in range(3 if subprotocol else 2)]
            events = frames[-1]["events"] if subprotocol else frames[-1:]
            assert [event["sequence"] for event in events] == [number], frames


class Everybody(BasePermission):
    """A policy of a project's own."""


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The database does not answer until this is set; handshakes are not kept waiting for long."""
    answered = threading.Event()
    monkeypatch.setattr(opening, "ANSWER_SECONDS", 0.01)
    read_heads = store.read_heads

    def wait(trace_ids: Any) -> Any:
        assert answered.wait(30)
        return read_heads(trace_ids)

    monkeypatch.setattr(store, "read_heads", wait)
    yield answered
    answered.set()


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_a_database_that_hangs_keeps_no_handshake_waiting(
    unanswered: threading.Event, subprotocol: str | None
) -> None:
    """It is answered at once, and says when it watches."""
    async with connect("t", subprotocol) as socket:
        assert await socket.receive_nothing(0.01)
        unanswered.set()
        assert (await receive(socket))["sequence"] == 0


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_a_view_that_hangs_keeps_no_handshake_waiting(subprotocol: str | None) -> None:
    """All synchronous views share a thread; neither who comes nor who goes waits for it."""
    begun, go_on = threading.Event(), threading.Event()

    def view() -> None:
        begun.set()
        assert go_on.wait(30)

    hanging = asyncio.create_task(sync_to_async(view)())
    try:
        assert await asyncio.to_thread(begun.wait, 10)
        async with connect("t", subprotocol) as socket:
            assert (await receive(socket))["sequence"] == 0
        assert not is_trace_streaming("t")
    finally:
        go_on.set()
        await hanging


@pytest.mark.usefixtures("unanswered")
async def test_a_socket_that_is_opened_before_all_else_has_the_profile_that_it_offers() -> None:
    """As in a loop that was kept busy since the server has called."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "websocket", "path": "/ws/traces/t", "query_string": b"", "subprotocols": [SUBPROTOCOL]}
    serving = asyncio.create_task(application(scope, inbox.get, said.put))
    async with asyncio.timeout(60):
        assert await said.get() == {"type": "websocket.accept", "subprotocol": SUBPROTOCOL}
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("goes", ["before it is answered", "afterwards"])
async def test_a_client_that_goes_while_the_database_hangs_frees_its_place(
    unanswered: threading.Event, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    """Invariant 7: and of what it was waited with, nothing is left."""
    if goes != "afterwards":
        monkeypatch.setattr(opening, "ANSWER_SECONDS", 30)
    communicator = WebsocketCommunicator(application, "/ws/traces/t")
    await communicator.send_input({"type": "websocket.connect"})
    if goes == "afterwards":
        assert (await communicator.receive_output(timeout=60))["type"] == "websocket.accept"
    async with asyncio.timeout(60):
        while not is_trace_streaming("t"):
            await asyncio.sleep(0.001)
    communicator.future.cancel()
    await asyncio.gather(communicator.future, return_exceptions=True)
    assert not is_trace_streaming("t")
    assert connection_limits.places.taken() == {}


async def test_a_client_that_has_gone_when_it_is_accepted_late(
    unanswered: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """As uvicorn says it; nobody is told of an error."""

    accepting = asyncio.Event()

    async def gone(message: Any) -> None:
        accepting.set()
        raise ConnectionResetError

    inbox: asyncio.Queue[Any] = asyncio.Queue()
    inbox.put_nowait({"type": "websocket.connect"})
    scope = {"type": "websocket", "path": "/ws/traces/t", "query_string": b"", "subprotocols": []}
    serving = asyncio.create_task(application(scope, inbox.get, gone))
    async with asyncio.timeout(60):
        await accepting.wait()
    unanswered.set()
    with pytest.raises(ConnectionResetError):
        await serving
    assert caplog.records == []


async def test_a_cancelled_application_frees_its_place() -> None:
    """Invariant 7: servers cancel without a disconnect message."""
    communicator = WebsocketCommunicator(application, "/ws/traces/t")
    await communicator.connect(timeout=60)
    await receive(communicator)
    assert is_trace_streaming("t")
    communicator.future.cancel()
    await asyncio.gather(communicator.future, return_exceptions=True)
    assert not is_trace_streaming("t")


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_nothing_is_sent_behind_a_close(subprotocol: str | None) -> None:
    """The place is free before the close goes out, so events that come in that moment are for others."""
    async with connect("t", subprotocol) as socket:
        await receive(socket)
        if subprotocol:
            await receive(socket)
        await socket.send_to(text_data='{"type":"close"}' if subprotocol else "close")
        assert (await socket.receive_output(timeout=60))["type"] == "websocket.close"
        assert not is_trace_streaming("t")
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        assert await emitter.aflush(60)
        assert await socket.receive_nothing()


async def test_a_failing_pump_closes_the_socket(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 2: a bug ends in a close that asks to reconnect, never in a silent socket; the log says whose."""

    async def broken(self: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Subscription, "run", broken)
    async with connect() as socket:
        await receive(socket)
        await assert_refused(socket, 4001)
    fields = next(vars(record) for record in caplog.records if "A subscription failed" in record.message)
    assert (fields["trace_id"], fields["sequence"], fields["connection"]) == ("t", 0, "unknown:0")


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
class TestPermission:
    """By default the owner, and users with ``view_trace``, and nobody else."""

    @pytest.fixture(autouse=True)
    def _closed(self, settings: Settings, _open_to_everybody: None) -> None:
        del settings.TRACE_STREAMING_PERMISSION_CLASSES

    @staticmethod
    async def cookie(user: User) -> list[tuple[bytes, bytes]]:
        client = AsyncClient()
        await client.aforce_login(user)
        return [(b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())]

    async def test_strangers_are_asked_to_log_in(self, subprotocol: str | None) -> None:
        async with connect("t", subprotocol) as socket:
            await assert_refused(socket, 4401, "Log in")

    async def test_others_are_refused(self, subprotocol: str | None, django_user_model: type[User]) -> None:
        user = await django_user_model.objects.acreate(username="eve")
        async with connect("t", subprotocol, await self.cookie(user)) as socket:
            await assert_refused(socket, 4403)

    async def test_owners_watch_before_the_first_event(
        self, subprotocol: str | None, django_user_model: type[User]
    ) -> None:
        owner = await django_user_model.objects.acreate(username="ada")
        emitter = TraceEmitter("t", owner=owner)
        assert await emitter.aflush(60)
        async with connect("t", subprotocol, await self.cookie(owner)) as socket:
            assert (await receive(socket))["sequence"] == 0

    async def test_owners_and_permitted_users_watch(
        self, subprotocol: str | None, django_user_model: type[User]
    ) -> None:
        owner = await django_user_model.objects.acreate(username="ada")
        staff = await django_user_model.objects.acreate(username="ops")
        await staff.user_permissions.aadd(await Permission.objects.aget(codename="view_trace"))
        emitter = TraceEmitter("t", owner=owner)
        emitter.emit("plan_created")
        assert await emitter.aflush(60)
        for user in (owner, staff):
            async with connect("t", subprotocol, await self.cookie(user)) as socket:
                assert (await receive(socket))["sequence"] == 1


@asynccontextmanager
async def open_socket(
    query: str = "",
    subprotocols: list[str] | None = None,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> AsyncIterator[WebsocketCommunicator]:
    """A socket that offers several subprotocols, and has been let in."""
    communicator = WebsocketCommunicator(application, f"/ws/traces/t{query}", headers or [], subprotocols)
    connected, accepted = await communicator.connect(timeout=60)
    assert (connected, accepted) == (True, SUBPROTOCOL if SUBPROTOCOL in (subprotocols or ()) else None)
    frame = await receive(communicator)
    assert "connected" in (frame.get("type"), frame.get("event")), frame
    if accepted:
        assert (await receive(communicator))["type"] == "live"
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=60)


async def ask_for_ticket(client: AsyncClient, trace_id: str = "t") -> str:
    response = await client.post(f"/api/traces/{trace_id}/ticket")
    assert response.status_code == 201, response.content
    ticket: str = response.json()["ticket"]
    return ticket


class TestForAsLongAsTheyMay:
    """Whoever lost the right to watch is cut off (invariant 10), and told how to come back."""

    @pytest.fixture(autouse=True)
    def _closed(self, settings: Settings, _open_to_everybody: None) -> None:
        del settings.TRACE_STREAMING_PERMISSION_CLASSES
        settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01

    @pytest.fixture
    async def ada(self, django_user_model: type[User]) -> User:
        ada = await django_user_model.objects.acreate(username="ada")
        emitter = TraceEmitter("t", owner=ada)
        emitter.emit("plan_created")
        assert await emitter.aflush(60)
        return ada

    @pytest.fixture
    async def client(self, ada: User) -> AsyncClient:
        client = AsyncClient()
        await client.aforce_login(ada)
        return client

    @staticmethod
    def cookie(client: AsyncClient) -> list[tuple[bytes, bytes]]:
        return [(b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())]

    @pytest.mark.parametrize("subprotocols", [None, [SUBPROTOCOL]])
    @pytest.mark.parametrize("by", ["cookie", "ticket"])
    @pytest.mark.parametrize(
        ("end", "code"), [("logout", 4031), ("password", 4031), ("deactivation", 4031), ("ownership", 4403)]
    )
    async def test_the_right_ends(
        self, ada: User, client: AsyncClient, subprotocols: list[str] | None, by: str, end: str, code: int
    ) -> None:
        query = f"?ticket={await ask_for_ticket(client)}" if by == "ticket" else ""
        async with open_socket(query, subprotocols, self.cookie(client) if by == "cookie" else None) as socket:
            match end:
                case "logout":
                    await client.alogout()
                case "password":
                    ada.set_password("another")
                    await ada.asave()
                case "deactivation":
                    await User.objects.aupdate(is_active=False)
                case "ownership":
                    await Trace.objects.aupdate(owner=None)
            await assert_refused(socket, code)

    async def test_age_ends_it(self, client: AsyncClient, settings: Settings) -> None:
        settings.TRACE_STREAMING_MAX_AGE_SECONDS = 0.05
        async with open_socket(headers=self.cookie(client)) as socket:
            await assert_refused(socket, 4031, "expired")

    async def test_a_ticket_in_a_subprotocol_is_not_answered_with(self, client: AsyncClient) -> None:
        ticket = await ask_for_ticket(client)
        async with open_socket(subprotocols=[SUBPROTOCOL, f"ticket.{ticket}"]):
            pass
        ticket = await ask_for_ticket(client)
        async with open_socket(subprotocols=[f"ticket.{ticket}"]):
            pass

    async def test_renewing_keeps_the_place(self, client: AsyncClient) -> None:
        """Events go on as before; what ended were the old credentials alone."""
        async with open_socket("?since=1", [SUBPROTOCOL], self.cookie(client)) as socket:
            ticket = await ask_for_ticket(client)
            emitter = TraceEmitter("t")
            emitter.emit("plan_created")
            assert [event["sequence"] for event in (await receive(socket))["events"]] == [2]
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": ticket})
            assert await receive(socket) == {"type": "result", "id": 1}
            emitter.emit("plan_created")
            assert [event["sequence"] for event in (await receive(socket))["events"]] == [3]
            await client.alogout()
            await assert_refused(socket, 4031)

    async def test_renewing_makes_young_again(self, client: AsyncClient, settings: Settings) -> None:
        settings.TRACE_STREAMING_MAX_AGE_SECONDS = 1
        async with open_socket("", [SUBPROTOCOL], self.cookie(client)) as socket:
            consumer: Any = next(iter(open_sockets.open_sockets.values()))
            began = consumer.opened_at
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": await ask_for_ticket(client)})
            assert await receive(socket) == {"type": "result", "id": 1}
            assert consumer.opened_at > began

    @pytest.mark.parametrize("ticket", [None, 7, "", "forged", "x" * 60_000])
    async def test_a_bad_renewal_is_told_and_changes_nothing(self, client: AsyncClient, ticket: object) -> None:
        async with open_socket("", [SUBPROTOCOL], self.cookie(client)) as socket:
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": ticket})
            error = await receive(socket)
            assert (error["type"], error["id"]) == ("error", 1)
            assert error["code"] == (4401 if isinstance(ticket, str) else 4400)
            await socket.send_json_to({"type": "ping"})
            assert await receive(socket) == {"type": "pong"}

    async def test_another_users_ticket_renews_nothing(
        self, client: AsyncClient, django_user_model: type[User]
    ) -> None:
        """Limits and whatever is kept by user would be counted for the wrong one."""
        eve = await django_user_model.objects.acreate(username="eve", is_superuser=True)
        other = AsyncClient()
        await other.aforce_login(eve)
        async with open_socket("", [SUBPROTOCOL], self.cookie(client)) as socket:
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": await ask_for_ticket(other)})
            assert (await receive(socket))["code"] == 4403
            await other.alogout()
            await socket.send_json_to({"type": "ping"})
            assert await receive(socket) == {"type": "pong"}

    async def test_a_database_that_is_away_renews_nothing(
        self, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The socket lives; the client is asked to try again."""

        def away(*arguments: object) -> None:
            raise OperationalError("secret host name")

        async with open_socket("", [SUBPROTOCOL], self.cookie(client)) as socket:
            monkeypatch.setattr(commands, "renew", away)
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": "x"})
            error = await receive(socket)
            assert (error["code"], error["id"], "secret" in error["message"]) == (4001, 1, False)
            await socket.send_json_to({"type": "ping"})
            assert await receive(socket) == {"type": "pong"}

    async def test_an_end_while_it_renews_is_the_end(
        self, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is sent behind the close, which servers take for an error."""
        ticket = await ask_for_ticket(client)
        closed, real = threading.Event(), admission.renew

        def late(*arguments: Any) -> Any:
            assert closed.wait(60)
            return real(*arguments)

        monkeypatch.setattr(commands, "renew", late)
        async with open_socket("", [SUBPROTOCOL], self.cookie(client)) as socket:
            await socket.send_json_to({"type": "renew", "id": 1, "ticket": ticket})
            await Trace.objects.aupdate(owner=None)
            await assert_refused(socket, 4403)
            closed.set()
            assert await socket.receive_nothing()


class Broken(BaseAuthentication):
    """Has a bug that a client can reach."""

    def authenticate(self, request: Any) -> None:
        raise KeyError(request.headers["Authorization"])


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_an_authentication_class_that_fails_ends_in_a_close(
    settings: Settings, subprotocol: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An error frame, and a line in the log without the token."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"{__name__}.Broken"]
    async with connect("t", subprotocol, [(b"authorization", b"Bearer abc")]) as socket:
        await assert_refused(socket, 4001, "failed")
    assert "KeyError" in caplog.text
    assert "abc" not in caplog.text


@pytest.mark.parametrize(
    ("limit", "words"),
    [("connections", "process"), ("connections_per_address", "address"), ("connections_per_trace", "trace")],
)
async def test_a_socket_too_many_is_refused_and_the_next_let_in(settings: Settings, limit: str, words: str) -> None:
    """With when to retry; the place of one that has gone is free."""
    settings.TRACE_STREAMING_LIMITS = {limit: 1}
    async with open_socket(), connect("t") as late:
        await assert_refused(late, 4029, words, "retry in")
    async with open_socket():
        pass
    assert connection_limits.places.taken() == {}


async def test_limits_hold_before_anybody_is_asked_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood costs no query."""
    settings.TRACE_STREAMING_LIMITS = {"connects_per_address": "1/hour"}
    connection_limits.places.reset()
    asked: list[object] = []
    monkeypatch.setattr(consumers, "let_in", asked.append)
    connection_limits.places.attempt("unknown")
    for _ in range(3):
        async with connect("t") as socket:
            await assert_refused(socket, 4029, "retry in")
    assert asked == []
    connection_limits.places.reset()


@pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL])
async def test_commands_too_fast_end_the_socket(settings: Settings, subprotocol: str | None) -> None:
    """Good ones, too: each costs something."""
    settings.TRACE_STREAMING_LIMITS = {"commands_per_socket": "3/min"}
    async with open_socket("", [subprotocol] if subprotocol else None) as socket:
        ping, pong = ('{"type":"ping"}', {"type": "pong"}) if subprotocol else ("ping", "pong")
        for _ in range(4):
            await socket.send_to(text_data=ping)
        for _ in range(3):
            answer = await socket.receive_from(timeout=60)
            assert answer == pong if subprotocol is None else orjson.loads(answer) == pong
        await assert_refused(socket, 4029, "more slowly")


@pytest.mark.parametrize("end", ["logout", "password", "deactivation", "deletion"])
async def test_behind_the_middleware_of_channels_a_session_that_has_ended_ends_the_socket(
    settings: Settings, end: str
) -> None:
    """What it has loaded is not believed for longer than the handshake."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    settings.TRACE_STREAMING_RECHECK_SECONDS = 0.01
    user = await User.objects.acreate(username="ada", is_superuser=True)
    key = await sync_to_async(log_in)(user)
    socket = WebsocketCommunicator(
        AuthMiddlewareStack(application), "/ws/traces/t", [(b"host", b"h"), (b"cookie", cookie(key).encode())]
    )
    assert (await socket.connect(timeout=60))[0]
    await receive(socket)
    if end == "logout":
        await Session.objects.all().adelete()
    else:
        await sync_to_async(lock_out)(user, end)
    await assert_refused(socket, 4031)
    await socket.disconnect(timeout=60)
