"""Somebody asks a run to stop, and its agent learns of it where it looks."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import orjson
import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.remote.test_emitter import NameIsToken
from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.exceptions import NotStoppableError, StopRequestedError
from trace_streaming.models import Event, StopRequest, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.remote.sender import all_senders
from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.stopping import listening
from trace_streaming.stopping.requests import request_stop
from trace_streaming.storage.retention import mark_incomplete
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _agents(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.02)
    yield
    gc.collect()
    listening.ear.look_now()
    until(lambda: not any(thread.name == "trace-stops" for thread in threading.enumerate()))


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada", password="ada")
    user.user_permissions.add(*Permission.objects.filter(codename__in=("view_trace", "decide_approval")))
    return user


def until(condition: Callable[[], object]) -> None:
    """Wait for another thread."""
    end = monotonic() + 10
    tick = threading.Event()
    while not condition():
        assert monotonic() < end, "not within 10 seconds"
        tick.wait(0.005)


def begun(trace_id: str = "t") -> TraceEmitter:
    emitter = TraceEmitter(trace_id)
    emitter.emit("plan_created")
    assert emitter.flush(60)
    return emitter


def events() -> list[tuple[str, str, dict[str, Any]]]:
    assert TraceEmitter("t").flush(10)
    rows = Event.objects.filter(trace__trace_id="t").order_by("sequence")
    return [(row.event, row.status, orjson.loads(row.details)) for row in rows]


def test_an_agent_stops_where_it_looks(ada: User) -> None:
    """Its blocks are cancelled, its trace is incomplete, and the log says who asked, and that it was heard."""
    with pytest.raises(StopRequestedError, match=r"asked to stop by ada: too dear") as caught, begun() as emitter:
        assert not emitter.stop_requested
        emitter.check_stop()
        request_stop(Trace.objects.get(), user=ada, channel="admin", comment="too dear")
        until(lambda: emitter.stop_requested)
        with emitter.tool_call("search"):
            emitter.check_stop()
    assert (caught.value.requested_by, caught.value.comment) == ("ada", "too dear")
    told = {"requested_by": "ada", "comment": "too dear"}
    kept = events()
    assert [(name, status) for name, status, _ in kept] == [
        *(("plan_created", "pending"), ("stop_requested", "warning"), ("tool_call_start", "pending")),
        *(("stop_received", "warning"), ("tool_call_complete", "warning")),
    ]
    assert kept[1][2] == {**told, "channel": "admin"}
    assert kept[3][2] == told
    assert kept[4][2]["outcome"] == "cancelled"
    assert Trace.objects.get().state == "incomplete"
    assert not StopRequest.objects.get().is_standing


def test_it_is_told_again_and_again_and_recorded_once(ada: User) -> None:
    """A framework may swallow the first; asked twice is asked once."""
    emitter = begun()
    asked = request_stop(Trace.objects.get(), user=ada, channel="api")
    assert request_stop(Trace.objects.get(), user=AnonymousUser(), channel="api").pk == asked.pk
    until(lambda: emitter.stop_requested)
    for _ in range(3):
        with pytest.raises(StopRequestedError):
            emitter.check_stop()
    assert [name for name, *_ in events()] == ["plan_created", "stop_requested", "stop_received"]


def test_another_process_learns_of_it(ada: User) -> None:
    """What was asked elsewhere is seen by looking at the database: no signal of this process told it."""
    emitter = begun()
    assert not emitter.stop_requested
    StopRequest.objects.create(trace_id="t", requested_at=Trace.objects.get().started_at, channel="api")
    until(lambda: emitter.stop_requested)
    with pytest.raises(StopRequestedError, match=r"^This run was asked to stop$"):
        emitter.check_stop()


def test_who_goes_on_with_a_trace_later_is_asked_nothing(ada: User) -> None:
    """The request was for the run that has ended; an emitter that has ended is not told, either."""
    emitter = begun()
    request_stop(Trace.objects.get(), user=ada, channel="api")
    emitter.end()
    assert not emitter.stop_requested
    emitter.check_stop()
    again = begun()
    assert Trace.objects.get().state == "running"
    assert not again.stop_requested
    listening.ear._look()
    assert not again.stop_requested
    with pytest.raises(NotStoppableError):
        again.end()
        assert again.flush(60)
        request_stop(Trace.objects.get(), user=ada, channel="api")


def test_a_request_outlives_a_process_that_dies_without_having_heard_it(ada: User, settings: Settings) -> None:
    """Nobody has stopped: whoever takes the run over does."""
    begun()
    request_stop(Trace.objects.get(), user=ada, channel="api")
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 0
    assert mark_incomplete() == 1
    again = begun()
    assert Trace.objects.get().state == "running"
    until(lambda: again.stop_requested)
    with pytest.raises(StopRequestedError, match="by ada"):
        again.check_stop()
    again.end()
    assert again.flush(60)
    assert not StopRequest.objects.filter(is_standing=True).exists()


def test_without_the_names_it_stops_all_the_same(ada: User, settings: Settings) -> None:
    """A project that has not taken ``AGENT_EVENTS`` gets no event that its watchers do not know."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    emitter = begun()
    request_stop(Trace.objects.get(), user=ada, channel="api")
    until(lambda: emitter.stop_requested)
    with pytest.raises(StopRequestedError):
        emitter.check_stop()
    assert [name for name, *_ in events()] == ["plan_created"]


def test_an_emitter_is_not_kept_for_having_looked() -> None:
    """Nor is the thread."""
    emitter = begun()
    assert not emitter.stop_requested
    del emitter
    gc.collect()
    assert listening.ear.listeners.trace_ids() == []


def test_a_forked_child_listens_for_itself(ada: User) -> None:
    """Its parent's thread is not there."""
    script = """
import os, django
django.setup()
from trace_streaming.stopping.listening import ear
from trace_streaming import TraceEmitter
emitter = TraceEmitter("t")
emitter.stop_requested
child = os.fork()
if not child:
    ok = ear._thread is None
    emitter.stop_requested
    os._exit(0 if ok and ear._thread.is_alive() else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", script], check=True, timeout=60)


def test_it_is_asked_over_the_api(ada: User, client: Client, settings: Settings) -> None:
    """Who may decide approvals may; who may only watch is told so, and all others that there is no trace."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES, settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES
    eve = User.objects.create_user("eve")
    watcher = User.objects.create_user("watcher")
    watcher.user_permissions.add(Permission.objects.get(codename="view_trace"))
    emitter = begun()
    for user, status in ((eve, 404), (watcher, 403)):
        client.force_login(user)
        assert client.post("/api/traces/t/stop", {}, "application/json").status_code == status
    assert client.get("/api/traces/t/stop").json() == {"stop": None, "can_stop": False}
    client.force_login(ada)
    assert client.get("/api/traces/t/stop").json() == {"stop": None, "can_stop": True}
    assert client.post("/api/traces/none/stop", {}, "application/json").status_code == 404
    assert client.post("/api/traces/t/stop", {"comment": "x" * 2001}, "application/json").status_code == 400
    assert not StopRequest.objects.exists()
    secret = "api_key=sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    answer = client.post("/api/traces/t/stop", {"comment": f"no \0 {secret}"}, "application/json")
    assert answer.status_code == 400
    answer = client.post("/api/traces/t/stop", {"comment": secret}, "application/json")
    assert answer.status_code == 200
    assert "abcdefghijkl" not in answer.json()["comment"]
    assert (answer.json()["requested_by"], answer.json()["channel"]) == ("ada", "api")
    assert client.get("/api/traces/t/stop").json()["stop"]["is_standing"]
    emitter.end()
    assert emitter.flush(60)
    assert client.post("/api/traces/t/stop", {}, "application/json").status_code == 409
    assert client.get("/api/traces/t/stop").json()["can_stop"] is False


async def test_it_is_asked_at_a_socket(settings: Settings) -> None:
    """The command is answered, and what it has done comes as an event; a trace that does not run is 4409."""
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    emitter = await asyncio.to_thread(begun)
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/ws/traces/t", [], [SUBPROTOCOL])
    await socket.connect(timeout=60)

    async def told(*kinds: str) -> list[Any]:
        frames: list[Any] = []
        while not {frame["type"] for frame in frames} >= set(kinds):
            frames.append(orjson.loads(await socket.receive_from(timeout=60)))
        return frames

    await socket.send_json_to({"type": "stop", "id": 1, "comment": 7})
    assert (await told("error"))[-1]["code"] == 4400
    await socket.send_json_to({"type": "stop", "id": 2, "comment": "enough"})
    frames = await told("result", "events")
    (event,) = next(frame["events"] for frame in frames if frame["type"] == "events")
    assert (event["event"], event["details"]) == ("stop_requested", {"channel": "socket", "comment": "enough"})
    emitter.end()
    assert await emitter.aflush(60)
    await socket.send_json_to({"type": "stop", "id": 3})
    assert (await told("error"))[-1]["code"] == 4409
    await socket.disconnect(timeout=60)


def test_it_is_asked_in_the_admin(admin_client: Client) -> None:
    """For all that run of those that are selected."""
    emitter = begun()
    begun("over").end()
    assert emitter.flush(60)
    chosen = [str(trace.pk) for trace in Trace.objects.all()]
    data = {"action": "stop_selected", "_selected_action": chosen}
    page = admin_client.post("/admin/trace_streaming/trace/", data, follow=True)
    assert "Asked 1 traces to stop." in page.content.decode()
    assert [stop.trace_id for stop in StopRequest.objects.all()] == ["t"]


def test_a_program_elsewhere_learns_of_it(ada: User, live_server: LiveServer, settings: Settings) -> None:
    """With the answer to its next event, or to a beat."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"{NameIsToken.__module__}.NameIsToken"]
    writer = User.objects.create_user("writer")
    writer.user_permissions.add(Permission.objects.get(codename="add_event"))
    try:
        emitter = RemoteTraceEmitter(live_server.url, "writer", "t")
        emitter.emit("plan_created")
        assert emitter.flush(60)
        assert not emitter.stop_requested
        request_stop(Trace.objects.get(), user=ada, channel="admin", comment="enough")
        emitter.emit("plan_created")
        assert emitter.flush(60)
        with pytest.raises(StopRequestedError, match="by ada: enough"):
            emitter.check_stop()
        silent = RemoteTraceEmitter(live_server.url, "writer", "t")
        assert not silent.stop_requested
        emitter._sender.open_traces._due_at = 0
        emitter._sender._thread.bell.ring()  # type: ignore[union-attr]
        until(lambda: silent.stop_requested)
    finally:
        all_senders.close()
        recorder.close()


def test_no_sender_says_that_somebody_has_asked(ada: User, client: Client) -> None:
    """The server alone does."""
    ada.user_permissions.add(Permission.objects.get(codename="add_event"))
    client.force_login(ada)
    told = {"events": [{"event": "stop_requested", "details": {"requested_by": "eve"}}, {"event": "stop_received"}]}
    answer = client.post("/api/traces/t/events", told, "application/json")
    assert (answer.status_code, answer.json()["accepted"]) == (207, 1)
    assert "by the server alone" in answer.json()["errors"][0]["error"]
    assert [name for name, *_ in events()] == ["stop_received"]


def test_his_name_goes_with_his_account(ada: User) -> None:
    """From the request, and from the log."""
    emitter = begun()
    request_stop(Trace.objects.get(), user=ada, channel="api")
    until(lambda: emitter.stop_requested)
    with pytest.raises(StopRequestedError):
        emitter.check_stop()
    assert emitter.flush(60)
    ada.delete()
    assert [details["requested_by"] for name, _, details in events() if name.startswith("stop_")] == [
        *("[deleted user]", "[deleted user]"),
    ]
    assert StopRequest.objects.get().requested_by_name == "[deleted user]"
    Trace.objects.all().delete()
    assert not StopRequest.objects.exists()


def loses_all(details: dict[str, Any]) -> None:
    details.clear()


def test_a_run_can_be_stopped_where_the_redactor_fails(settings: Settings, ada: User) -> None:
    """The comment is lost, and not the request."""
    emitter = begun()
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.{loses_all.__name__}"
    assert request_stop(Trace.objects.get(), user=ada, channel="api", comment="hidden-word").is_standing
    until(lambda: emitter.stop_requested)
    assert StopRequest.objects.get().comment == "[redacted:redactor failed]"
