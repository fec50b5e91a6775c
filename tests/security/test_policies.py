"""Policies of a project's own hold at every door as they do at the first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.permissions import BasePermission

from tests.access.handshakes import cookie, log_in
from trace_streaming.api import approvals as module
from trace_streaming.models import Approval, Trace
from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _closed(settings: Settings) -> None:
    del settings.TRACE_STREAMING_PERMISSION_CLASSES, settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES


def person(name: str, *permissions: str, **fields: Any) -> User:
    user = User.objects.create_user(name, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def ask(trace_id: str, number: int = 0) -> Approval:
    now = timezone.now()
    return Approval.objects.create(
        trace_id=trace_id,
        approval_id=f"{trace_id}-{number}",
        action="m4rker",
        risk_level="low",
        arguments={"of": "m4rker"},
        allowed=["approved"],
        arguments_hash="h",
        requested_at=now,
        expires_at=now + timedelta(seconds=1000 + number),
    )


def begin(trace_id: str, owner: User | None = None) -> Trace:
    now = timezone.now()
    return Trace.objects.create(trace_id=trace_id, owner=owner, started_at=now, last_event_at=now)


def test_who_may_decide_and_not_watch_reads_nothing_in_the_admin(client: Client) -> None:
    """A decision needs both, and so does the page that asks for it."""
    begin("hidden")
    page = f"/admin/trace_streaming/approval/{ask('hidden').pk}/change/"
    user = person("decider", "decide_approval", is_staff=True)
    client.force_login(user)
    for path in (page, page.replace("change", "history"), "/admin/trace_streaming/approval/"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "m4rker" not in answer.content.decode()
    user.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert "m4rker" in client.get(page).content.decode()


class OnlyOwn(BasePermission):
    """Judges each trace, and lists none."""

    judged: list[str] = []

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        self.judged.append(obj.trace_id)
        return bool(obj.owner_id == request.user.pk)


def test_more_urgent_approvals_of_others_hide_none_of_ones_own(client: Client, settings: Settings) -> None:
    """However many there are; each trace is judged once."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.OnlyOwn"]
    user = person("ada")
    begin("theirs")
    begin("hers", user)
    for number in range(module.MAX_OPEN + 20):
        ask("theirs", number)
    ask("hers", 500)
    client.force_login(user)
    OnlyOwn.judged.clear()
    answer = client.get("/api/approvals/").json()
    assert ([each["approval_id"] for each in answer["approvals"]], answer["more"]) == (["hers-500"], False)
    assert OnlyOwn.judged == ["theirs", "hers"]


def test_what_is_looked_at_for_open_approvals_is_bounded(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where more may be there, it is said."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.OnlyOwn"]
    monkeypatch.setattr(module, "MAX_JUDGED", 2)
    for number in range(3):
        ask(f"t{number}", number)
    client.force_login(person("ada"))
    assert client.get("/api/approvals/").json()["more"] is True


@pytest.mark.parametrize(
    ("policy", "user", "permissions", "code"),
    [
        ("IsAuthenticatedOrReadOnly", None, (), 4403),
        ("IsAuthenticatedOrReadOnly", "ada", (), None),
        ("DjangoModelPermissions", "ada", ("view_approval",), 4403),
        ("DjangoModelPermissions", "ada", ("add_approval",), None),
    ],
)
async def test_deciding_over_the_socket_is_judged_as_a_post(
    settings: Settings, policy: str, user: str | None, permissions: tuple[str, ...], code: int | None
) -> None:
    """To read is not to decide, whatever way it goes."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = [f"rest_framework.permissions.{policy}"]
    await sync_to_async(begin)("t")
    await sync_to_async(ask)("t")
    headers = [(b"host", b"testserver")]
    if user is not None:
        key = await sync_to_async(log_in)(await sync_to_async(person)(user, *permissions))
        headers.append((b"cookie", cookie(key).encode()))
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/ws/traces/t", headers, [SUBPROTOCOL])
    assert (await socket.connect(timeout=60))[0]
    await socket.send_to('{"type":"decide","id":1,"approval_id":"t-0","decision":"approved"}')
    while (frame := orjson.loads(await socket.receive_from(timeout=60)))["type"] not in ("result", "error"):
        pass
    assert frame.get("code") == code
    await socket.send_to('{"type":"decide","id":1,"approval_id":"t\\u0000","decision":"approved"}')
    while (frame := orjson.loads(await socket.receive_from(timeout=60)))["type"] != "error":
        pass
    assert frame["code"] == 4404
    await socket.disconnect(timeout=60)


@pytest.mark.parametrize("events", ["plan_created", "of_the_project", "dance"])
async def test_strangers_do_not_learn_of_names_by_asking(settings: Settings, events: str) -> None:
    """A name of the project's own and one that is none get the same answer."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["of_the_project"]
    path = f"/ws/traces/t?events={events}"
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), path, [(b"host", b"testserver")], [SUBPROTOCOL])
    assert (await socket.connect(timeout=60))[0]
    assert orjson.loads(await socket.receive_from(timeout=60)) == {
        "type": "error",
        "code": 4401,
        "message": "Log in to watch this trace",
    }
    await socket.disconnect(timeout=60)


def test_strangers_do_not_learn_of_names_over_http(client: Client, settings: Settings) -> None:
    """Neither by a filter nor by an event."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["of_the_project"]
    begin("t")
    client.force_login(person("stranger"))
    for path in ("events/", "export/", "stream/"):
        answers = {client.get(f"/api/traces/t/{path}?events={name}").content for name in ("of_the_project", "dance")}
        assert len(answers) == 1
    for name in ("of_the_project", "dance"):
        said = client.post("/api/traces/t/events/", {"event": name}, content_type="application/json")
        assert (said.status_code, b"of_the_project" in said.content) == (404, False)
    adder = person("adder", "add_event")
    client.force_login(adder)
    said = client.post("/api/traces/t/events/", {"event": "dance"}, content_type="application/json")
    assert b"of_the_project" in said.content
