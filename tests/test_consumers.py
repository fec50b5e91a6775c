"""The socket: both profiles, every kind of bad input, and places that are always freed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import AsyncClient
from pytest_django import Settings

from trace_streaming import TraceEmitter, hub, is_trace_streaming, store
from trace_streaming.consumers import MAX_BAD_COMMANDS
from trace_streaming.frames import WINDOW_BYTES
from trace_streaming.protocol import MAX_COMMAND_CHARACTERS, SUBPROTOCOL
from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.subscription import Subscription

pytestmark = pytest.mark.django_db(transaction=True)

application = URLRouter(websocket_urlpatterns)


@pytest.fixture(autouse=True)
def _open_to_everybody(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]


@pytest.fixture(autouse=True)
async def _places_are_freed() -> AsyncIterator[None]:
    """Invariant 7: after each test the counts are exactly zero."""
    yield
    async with asyncio.timeout(10):
        while hub._hubs:
            await asyncio.sleep(0.001)
    assert hub.connections_by_trace() == {}


@asynccontextmanager
async def connect(
    path: str = "t", subprotocol: str | None = None, headers: list[tuple[bytes, bytes]] | None = None
) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(
        application, f"/ws/traces/{path}", headers or [], [subprotocol] if subprotocol else None
    )
    connected, accepted = await communicator.connect(timeout=5)
    assert connected
    assert accepted == subprotocol
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=5)


async def receive(socket: WebsocketCommunicator) -> Any:
    return orjson.loads(await socket.receive_from(timeout=5))


async def assert_refused(socket: WebsocketCommunicator, code: int, *words: str) -> None:
    """An error frame that says what is wrong, then the close."""
    frame = await receive(socket)
    error = frame if frame.get("type") == "error" else frame["details"]
    assert error["code"] == code
    assert all(word in error["message"] for word in words)
    closing = await socket.receive_output(timeout=5)
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
        assert await socket.receive_from(timeout=5) == "pong"
        await socket.send_to(text_data="close")
        closing = await socket.receive_output(timeout=5)
        assert closing == {"type": "websocket.close", "code": 1000}


async def test_v1_greets_replays_and_goes_live() -> None:
    """connected, events, live, ended: in this order, with what each promises."""
    with TraceEmitter("t") as emitter:
        emitter.emit("plan_created", {"steps": 1}, "success")
    assert await emitter.aflush(10)
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
        assert (await socket.receive_output(timeout=5))["type"] == "websocket.close"


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
    assert await emitter.aflush(10)
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
    assert await emitter.aflush(10)
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
    assert await communicator.connect(timeout=5) == (True, None)
    assert (await receive(communicator))["event"] == "connected"
    await communicator.disconnect()


async def test_a_database_that_is_away_asks_the_client_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """4001 is a code to reconnect on; nothing of the error is shown."""

    def away(trace_ids: object) -> None:
        raise OperationalError("secret host name")

    monkeypatch.setattr(store, "read_heads", away)
    async with connect() as socket:
        await assert_refused(socket, 4001, "database")


async def test_a_cancelled_application_frees_its_place() -> None:
    """Invariant 7: servers cancel without a disconnect message."""
    communicator = WebsocketCommunicator(application, "/ws/traces/t")
    await communicator.connect(timeout=5)
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
        assert (await socket.receive_output(timeout=5))["type"] == "websocket.close"
        assert not is_trace_streaming("t")
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        assert await emitter.aflush(10)
        assert await socket.receive_nothing()


async def test_a_failing_pump_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 2: a bug ends in a close that asks to reconnect, never in a silent socket."""

    async def broken(self: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Subscription, "run", broken)
    async with connect() as socket:
        await receive(socket)
        await assert_refused(socket, 4001)


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
        assert await emitter.aflush(10)
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
        assert await emitter.aflush(10)
        for user in (owner, staff):
            async with connect("t", subprotocol, await self.cookie(user)) as socket:
                assert (await receive(socket))["sequence"] == 1
