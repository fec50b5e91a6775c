"""Every door, by person, by policy: what each answers, and that nothing of a hidden trace is in it.

The doors are those of the URL patterns, of the socket's route and of its commands: one without a row here fails.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from pytest_django import Settings
from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

from tests.access.handshakes import cookie, log_in
from tests.live import reports
from tests.otlp.spans import as_json, tool
from trace_streaming import routing, urls
from trace_streaming.connections import commands
from trace_streaming.emitting.project_events import make_event
from trace_streaming.models import Approval, Trace
from trace_streaming.otlp import urls as otlp_urls
from trace_streaming.permissions import IsOwnerOrMayViewTraces
from trace_streaming.storage import store
from trace_streaming.watching import hubs
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.takes(seconds=60)]

MARK: Final = "m4rker"
"""In all that is said of the hidden trace, beside its id."""
TABLE: Final = "who gets what"
TRACE, ASKED = f"hidden-{MARK}", f"a-{MARK}"

PEOPLE: Final = (
    *("anonymous", "stranger", "owner", "staff, view_trace", "staff, decide_approval", "superuser"),
    *("inactive owner", "owner's ticket", "owner's token"),
)


class Stricter(IsOwnerOrMayViewTraces):
    """A project's own: the owner alone, and not what is marked."""

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        return super().has_object_permission(request, view, obj) and not obj.trace_id.startswith("hidden")


class ByObject(BasePermission):
    """Rows of one's own rights, as with django-guardian: nothing can be said of a list."""

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        return bool(request.user.is_active and (obj.owner_id == request.user.pk or request.user.is_superuser))


class Policy(NamedTuple):
    watch: str
    """Who may watch."""
    decide: str
    watchers: frozenset[str]
    """Of the people, those whom it lets watch the hidden trace."""
    deciders: frozenset[str]
    """Of those, who may decide its approval."""
    lets_in: frozenset[str] | None = None
    """Whom its ``has_permission`` lets in at all; None: everybody."""


OWNERS: Final = frozenset({"owner", "owner's ticket", "owner's token"})
VIEWERS: Final = frozenset({"staff, view_trace", "superuser"})
STAFF: Final = frozenset({"staff, view_trace", "staff, decide_approval", "superuser"})
OWN: Final = "trace_streaming.permissions.IsOwnerOrMayViewTraces"
DECIDE: Final = "trace_streaming.permissions.MayDecideApprovals"
POLICIES: Final = {
    "default": Policy(OWN, DECIDE, OWNERS | VIEWERS, frozenset({"superuser"})),
    "AllowAny": Policy(
        *("rest_framework.permissions.AllowAny", "rest_framework.permissions.AllowAny"),
        *(frozenset(PEOPLE), frozenset(PEOPLE)),
    ),
    "IsAdminUser": Policy(
        *("rest_framework.permissions.IsAdminUser", DECIDE),
        *(STAFF, frozenset({"superuser", "staff, decide_approval"}), STAFF),
    ),
    "a stricter subclass": Policy(f"{__name__}.Stricter", DECIDE, frozenset(), frozenset()),
    "by object": Policy(f"{__name__}.ByObject", DECIDE, OWNERS | {"superuser"}, frozenset({"superuser"})),
    "four eyes": Policy(
        *(OWN, "trace_streaming.permissions.MayDecideOthersApprovals"),
        *(OWNERS | VIEWERS, frozenset({"superuser"})),
    ),
}
NOBODY: Final = frozenset({"anonymous", "inactive owner", "owner's ticket"})
"""To HTTP: a session of an inactive user counts for nothing, and a ticket is for a socket."""

# What each door answers: to whom it hides the trace, to whom it shows it, and where it matters to whom may change it.
NAMED: Final[dict[str, dict[str, object]]] = {
    "api-trace": {"GET": 200},
    "api-events": {"GET": 200, "POST": "add"},
    "api-export": {"GET": 200},
    "api-stop": {"GET": 200, "POST": "decide"},
    "approvals": {"GET": 200, "POST": "ask"},
    "otlp-traces": {"POST": "add spans"},
    "api-end": {"POST": "add"},
    "api-deltas": {"POST": "tell"},
    "api-stream": {"GET": 200},
    "ticket": {"POST": "ticket"},
    "trace-signals": {"GET": 200},
    "approval": {"GET": 200, "POST": "decide"},
    "asked-approval": {"GET": "asked", "DELETE": "asked"},
    "dashboard-trace": {"GET": "page"},
}
"""Doors of one trace."""
COMMON: Final[dict[str, dict[str, object]]] = {
    "health": {"GET": "health"},
    "metrics": {"GET": "staff"},
    "dashboard": {"GET": "page of all"},
    "dashboard-approvals": {"GET": "page of all"},
    "dashboard-traces": {"GET": "page of all"},
    "api-root": {"GET": "open"},
    "api-traces": {"GET": "list"},
    "signals": {"GET": "signals"},
    "signals-series": {"GET": "signals"},
    "signals-tools": {"GET": "signals"},
    "open-approvals": {"GET": "open approvals"},
    "api-beat": {"POST": "beat"},
}
"""Doors of all traces."""
COMMANDS: Final = ("ping", "ack", "subscribe", "renew", "decide", "stop", "close")


def routes(patterns: Any) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        else:
            yield pattern


def methods_of(pattern: URLPattern) -> set[str]:
    view = getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", None))
    if view is None:
        return {"GET"}
    assert issubclass(view, APIView)
    return {name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}


def test_every_door_has_its_row() -> None:
    """Whoever adds one says here who gets what."""
    doors = {pattern.name: methods_of(pattern) for pattern in routes([*urls.urlpatterns, *otlp_urls.urlpatterns])}
    assert doors == {name: set(methods) for name, methods in {**NAMED, **COMMON}.items()}
    assert len(routing.websocket_urlpatterns) == 1
    source = Path(commands.__file__).read_text()
    said = set(re.findall(r'(?:case |command\.type == )"(\w+)"', source))
    assert said == set(COMMANDS)


@pytest.fixture(autouse=True)
def _apps(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [
        "rest_framework.authentication.BasicAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ]
    for name in ("HEALTH", "METRICS"):
        delattr(settings, f"TRACE_STREAMING_{name}_PERMISSION_CLASSES")


@pytest.fixture
async def _traces() -> None:
    await sync_to_async(prepare)()


def prepare() -> None:
    owner = User.objects.create_user("owner", password="pass")
    User.objects.create_user("stranger", password="pass")
    viewer = User.objects.create_user("staff, view_trace", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))
    decider = User.objects.create_user("staff, decide_approval", is_staff=True)
    decider.user_permissions.add(Permission.objects.get(codename="decide_approval"))
    User.objects.create_superuser("superuser")
    now = timezone.now()
    store.append([make_event(TRACE, "tool_call_complete", {"tool": MARK, "duration_ms": 1}, "success")[0]])
    Trace.objects.update(owner=owner, metadata={"about": MARK})
    Approval.objects.create(
        trace_id=TRACE,
        approval_id=ASKED,
        action=MARK,
        risk_level="high",
        arguments={"of": MARK},
        arguments_hash="h",
        allowed=["approved", "rejected"],
        asked_by=owner,
        requested_at=now,
        expires_at=now + timedelta(hours=1),
    )


class Person:
    """Somebody, and what he shows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.headers: dict[str, str] = {}
        self.ticket = ""

    async def prepare(self) -> None:
        if self.name == "anonymous":
            return
        if self.name == "owner's token":
            self.headers = {"authorization": "Basic b3duZXI6cGFzcw=="}
            return
        name = self.name if self.name not in ("inactive owner", "owner's ticket") else "owner"
        user = await User.objects.aget(username=name)
        key = await sync_to_async(log_in)(user)
        if self.name == "inactive owner":
            await User.objects.filter(pk=user.pk).aupdate(is_active=False)
        if self.name != "owner's ticket":
            self.headers = {"cookie": cookie(key)}


def expected(policy: Policy, person: str, rule: object) -> int | set[int]:
    """The status at a door of the hidden trace."""
    sees = person in policy.watchers and (person not in NOBODY or policy is POLICIES["AllowAny"])
    is_known = person not in NOBODY
    no = 404 if is_known else 401
    if is_known and policy.lets_in is not None and person not in policy.lets_in:
        no = 403
    adds = is_known and (person in OWNERS or person == "superuser")
    match rule:
        case int():
            return rule if sees else no
        case "add" | "add spans" | "tell" | "ask" | "asked":
            if not is_known:
                return 401
            if policy.lets_in is not None and person not in policy.lets_in:
                return 403
            done = {"add": 200, "add spans": 200, "tell": 204, "ask": 201, "asked": 200 if person in OWNERS else 404}[
                rule
            ]
            return done if adds else (403 if sees or rule == "add spans" else 404)
        case "decide":
            return (200 if person in policy.deciders else 403) if sees else no
        case "ticket":
            return 201 if sees else (403 if is_known else 401)  # as the socket that it is for
        case "page":
            if person == "owner's token" and policy is not POLICIES["AllowAny"]:
                return 302  # pages are for browsers, which have a session
            return 200 if sees else (403 if is_known else 302)
    raise AssertionError(rule)


def expected_of_all(policy: Policy, person: str, rule: object) -> int:
    """The status at a door of all traces."""
    is_known = person not in NOBODY
    is_open = policy is POLICIES["AllowAny"]
    lets_in = frozenset(PEOPLE) if policy.lets_in is None else policy.lets_in
    match rule:
        case "open" | "health":
            return 200
        case "staff":
            return 200 if person in STAFF else (403 if is_known else 401)
        case "page of all" if is_known and person not in lets_in:
            return 302 if person == "owner's token" else 403
        case "page of all":
            return 200 if (is_known and person != "owner's token") or is_open else 302
        case "signals" | "open approvals" if is_known and person not in lets_in:
            return 403
        case "signals" | "open approvals":
            return 200 if is_known or is_open else 401
        case "list" | "beat":
            if is_known and person not in lets_in:
                return 403
            return 200 if is_known or (is_open and rule == "list") else 401
    raise AssertionError(rule)


def path_of(name: str) -> str:
    return {
        "health": "/ws/health",
        "metrics": "/metrics",
        "dashboard": "/dashboard/",
        "dashboard-approvals": "/dashboard/approvals/",
        "dashboard-traces": "/dashboard/traces/",
        "dashboard-trace": f"/dashboard/traces/{TRACE}",
        "api-root": "/api/",
        "api-traces": "/api/traces/",
        "api-trace": f"/api/traces/{TRACE}/",
        "trace-signals": f"/api/traces/{TRACE}/signals",
        "approval": f"/api/traces/{TRACE}/approvals/{ASKED}",
        "asked-approval": f"/api/traces/{TRACE}/approvals/{ASKED}/decision",
        "signals": "/api/signals/",
        "signals-series": "/api/signals/series",
        "signals-tools": "/api/signals/tools",
        "open-approvals": "/api/approvals/",
        "api-beat": "/api/beat",
        "otlp-traces": "/v1/traces",
    }.get(name) or f"/api/traces/{TRACE}/{name.removeprefix('api-')}"


BODIES: Final[dict[str, Any]] = {
    "api-events": {"event": "plan_created"},
    "api-end": {"state": "success"},
    "api-deltas": {"call_id": "c1", "offset": 0, "text": "a word"},
    "approval": {"decision": "approved"},
    "approvals": {"approval_id": "asked-by-somebody", "binding": "0" * 64, "action": "look"},
    "api-stop": {},
    "ticket": {},
    "api-beat": {"sender": "s1"},
    "otlp-traces": as_json([tool(1, resource=(("trace_streaming.trace_id", TRACE),))]),
}


async def knock(person: Person, name: str, method: str) -> tuple[int, str]:
    """The status, and all that is said."""
    client = AsyncClient()
    path, headers = path_of(name), dict(person.headers)
    if "cookie" in headers:
        client.cookies.load(headers.pop("cookie"))
    if method == "POST":
        body = orjson.dumps(BODIES[name])
        response: Any = await client.post(path, body, content_type="application/json", headers=headers)
    else:
        response = await (client.delete if method == "DELETE" else client.get)(path, headers=headers)
    if not response.streaming:
        return response.status_code, response.content.decode()
    chunks = aiter(response)
    said = await anext(chunks)
    if name != "api-stream":
        async for chunk in chunks:
            said += chunk
    await chunks.aclose()
    response.close()
    return response.status_code, said.decode()


@asynccontextmanager
async def at_socket(person: Person, query: str = "") -> AsyncIterator[tuple[WebsocketCommunicator, dict[str, Any]]]:
    headers = [(b"host", b"testserver"), *((name.encode(), text.encode()) for name, text in person.headers.items())]
    socket = WebsocketCommunicator(
        URLRouter(routing.websocket_urlpatterns), f"/ws/traces/{TRACE}{query}", headers, [SUBPROTOCOL]
    )
    assert (await socket.connect(timeout=60))[0]
    yield socket, orjson.loads(await socket.receive_from(timeout=60))
    await socket.disconnect(timeout=60)


async def ask_for_a_ticket() -> str:
    response = await AsyncClient().post(
        f"/api/traces/{TRACE}/ticket", headers={"authorization": "Basic b3duZXI6cGFzcw=="}
    )
    return str(response.json().get("ticket", "none"))


async def answer(socket: WebsocketCommunicator, command: dict[str, Any]) -> int:
    """0 for what is done, otherwise the code of the error."""
    await socket.send_to(orjson.dumps({"id": 1, **command}).decode())
    while True:
        frame = orjson.loads(await socket.receive_from(timeout=60))
        if frame["type"] in ("result", "pong"):
            return 0
        if frame["type"] == "error":
            return int(frame["code"])


async def sockets(policy: Policy, person: Person) -> dict[str, object]:
    """What the socket answers at first, and then to its commands."""
    query = f"?since=0&ticket={await ask_for_a_ticket()}" if person.name == "owner's ticket" else "?since=0"
    got: dict[str, object] = {}
    async with at_socket(person, query) as (socket, first):
        if first["type"] == "error":
            assert MARK not in first["message"]
            assert (await socket.receive_output(timeout=60))["code"] == first["code"]
            return {"socket": first["code"]}
        got["socket"] = 0
        got["ping"] = await answer(socket, {"type": "ping"})
        got["subscribe"] = await answer(socket, {"type": "subscribe", "events": ["plan_created"]})
        got["renew"] = await answer(socket, {"type": "renew", "ticket": "forged"})
        got["decide"] = await answer(socket, {"type": "decide", "approval_id": ASKED, "decision": "approved"})
        got["stop"] = await answer(socket, {"type": "stop"})
        await socket.send_to('{"type":"ack","sequence":1}')  # which is not answered
        await socket.send_to('{"type":"close"}')
        while (said := await socket.receive_output(timeout=60))["type"] != "websocket.close":
            assert said["type"] == "websocket.send"
        got["close"] = said["code"]
    return got


def expected_at_sockets(policy: Policy, person: str) -> dict[str, object]:
    is_owner = person in OWNERS
    sees = person in policy.watchers and (person != "inactive owner" or policy is POLICIES["AllowAny"])
    adds = person not in NOBODY and (is_owner or person == "superuser")  # and has ended the trace at another door
    if person == "owner's ticket" and not sees:
        return {"socket": 4401}  # nobody gave him one
    if not sees:
        return {"socket": 4401 if person in NOBODY and not is_owner else 4403}
    return {
        "socket": 0,
        "ping": 0,
        "subscribe": 0,
        "renew": 4401,
        "decide": 0 if person in policy.deciders else 4403,
        "stop": (4409 if adds else 0) if person in policy.deciders else 4403,
        "close": 1000,
    }


@pytest.mark.usefixtures("_traces")
@pytest.mark.parametrize("policy_name", POLICIES)
@pytest.mark.parametrize("name", PEOPLE)
async def test_who_gets_what(settings: Settings, policy_name: str, name: str) -> None:
    """All doors of one person under one policy; where the trace is hidden, no word of it is said."""
    policy, person = POLICIES[policy_name], Person(name)
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [policy.watch]
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = [policy.decide]
    await person.prepare()
    got: dict[str, object] = {}
    wanted: dict[str, object] = {}
    for door, methods in {**COMMON, **NAMED}.items():
        for method, rule in methods.items():
            status, said = await knock(person, door, method)
            got[f"{method} {door}"] = status
            wanted[f"{method} {door}"] = (expected if door in NAMED else expected_of_all)(policy, name, rule)
            sees = expected(policy, name, 200) == 200
            counts = rule == "signals" and name in (OWNERS | STAFF)  # staff may count, and so may owners their own
            page = rule == "page of all" or door == "health"
            counts |= rule == "asked"  # whoever has asked knows what
            if not sees and not counts and not page and status < 400:
                assert MARK not in said, (door, said)
            if status >= 400:
                assert MARK not in said.replace(TRACE, "")
            if door in ("open-approvals", "api-traces") and status == 200:
                assert (MARK in said) is sees, (door, said)
    await Approval.objects.all().aupdate(decision="", decided_at=None)
    got |= await sockets(policy, person)
    wanted |= expected_at_sockets(policy, name)
    assert got == wanted


def answers(policy: Policy, person: str) -> dict[str, object]:
    """As the documentation has them."""
    shown = {
        f"{method} {door.removeprefix('api-')}": (expected if door in NAMED else expected_of_all)(policy, person, rule)
        for door, methods in {**COMMON, **NAMED}.items()
        if door not in ("health", "api-root", "signals-series", "signals-tools")
        for method, rule in methods.items()
    }
    at_socket = expected_at_sockets(policy, person)
    return {**shown, "socket": at_socket["socket"], "decide": at_socket.get("decide", "")}


def test_the_documentation_has_the_matrix() -> None:
    """People who get the same share a row. ``RELIABILITY_TABLE=docs/security.md`` writes it."""
    for name, policy in POLICIES.items():
        rows: dict[tuple[tuple[str, object], ...], list[str]] = {}
        for person in PEOPLE:
            rows.setdefault(tuple(answers(policy, person).items()), []).append(person)
        for shown, people in rows.items():
            reports.report(TABLE, {"policy": name, "who": "; ".join(people), **dict(shown)})
    document = Path(__file__).parent.parent.parent / "docs" / "security.md"
    if "RELIABILITY_TABLE" not in os.environ:
        assert reports.markdown(reports.TABLES[TABLE]) in document.read_text()


@pytest.fixture(autouse=True)
async def _places_are_freed() -> AsyncIterator[None]:
    """Invariant 7."""
    yield
    async with asyncio.timeout(60):
        while hubs.running:
            await asyncio.sleep(0.001)
