"""Settings of projects at our doors: the same requests, and the same answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework import exceptions
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from trace_streaming.models import Approval, Trace, stored_now
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)


class Shouting(JSONRenderer):
    """As a renderer that writes camelCase does, and more so."""

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return super().render(data, *args, **kwargs).upper()


class Nobody(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class Nothing(BaseFilterBackend):
    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset.none()


class Pages(PageNumberPagination):
    page_size = 1


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        raise AssertionError("Of a door that nothing may hold back")


def teapot(exc: Exception, context: Any) -> Response:
    return Response({"error": str(exc)}, status=418 if isinstance(exc, exceptions.APIException) else 500)


HERE: Final = __name__
VERSIONING: Final = "rest_framework.versioning"
PROJECTS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "USE_TZ = False": {"USE_TZ": False, "TIME_ZONE": "America/New_York"},
    "TIME_ZONE": {"TIME_ZONE": "Asia/Kathmandu"},
    "TIME_ZONE of a database": {"USE_TZ": True},
    "APPEND_SLASH = False": {"APPEND_SLASH": False},
    "USE_THOUSAND_SEPARATOR": {"USE_THOUSAND_SEPARATOR": True, "LANGUAGE_CODE": "de"},
    "LANGUAGE_CODE": {"LANGUAGE_CODE": "ar"},
    "FORCE_SCRIPT_NAME": {"FORCE_SCRIPT_NAME": "/under"},
    **{
        f"{name}": {
            "REST_FRAMEWORK": {
                "DEFAULT_VERSIONING_CLASS": f"{VERSIONING}.{name}",
            }
        }
        for name in ("NamespaceVersioning", "URLPathVersioning", "AcceptHeaderVersioning", "QueryParameterVersioning")
    },
    "UNAUTHENTICATED_USER = None": {"REST_FRAMEWORK": {"UNAUTHENTICATED_USER": None, "UNAUTHENTICATED_TOKEN": None}},
    "DEFAULT_PERMISSION_CLASSES": {"REST_FRAMEWORK": {"DEFAULT_PERMISSION_CLASSES": [f"{HERE}.Nobody"]}},
    "DEFAULT_RENDERER_CLASSES": {"REST_FRAMEWORK": {"DEFAULT_RENDERER_CLASSES": [f"{HERE}.Shouting"]}},
    "DEFAULT_PARSER_CLASSES": {"REST_FRAMEWORK": {"DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"]}},
    "DEFAULT_PAGINATION_CLASS": {"REST_FRAMEWORK": {"DEFAULT_PAGINATION_CLASS": f"{HERE}.Pages", "PAGE_SIZE": 1}},
    "DEFAULT_FILTER_BACKENDS": {"REST_FRAMEWORK": {"DEFAULT_FILTER_BACKENDS": [f"{HERE}.Nothing"]}},
    "EXCEPTION_HANDLER": {"REST_FRAMEWORK": {"EXCEPTION_HANDLER": f"{HERE}.teapot"}},
    "DATETIME_FORMAT": {"REST_FRAMEWORK": {"DATETIME_FORMAT": "%d.%m.%Y", "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"]}},
    "DATETIME_FORMAT = None": {"REST_FRAMEWORK": {"DATETIME_FORMAT": None}},
    "URL_FORMAT_OVERRIDE": {"REST_FRAMEWORK": {"URL_FORMAT_OVERRIDE": None}},
    "NON_FIELD_ERRORS_KEY": {"REST_FRAMEWORK": {"NON_FIELD_ERRORS_KEY": "errors"}},
    "ATOMIC_REQUESTS": {},
}


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A project's settings; REST framework's are read anew by the classes that are made of them."""
    if request.param == "TIME_ZONE of a database":
        monkeypatch.setitem(connection.settings_dict, "TIME_ZONE", "America/New_York")
    for name, value in PROJECTS[request.param].items():
        setattr(settings, name, value)
    if request.param == "ATOMIC_REQUESTS":
        for alias in connections:
            monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["rest_framework.authentication.SessionAuthentication"]
    del settings.TRACE_STREAMING_PERMISSION_CLASSES
    if request.param.startswith("DEFAULT_") or "ersioning" in request.param:
        apply_defaults(monkeypatch, PROJECTS[request.param]["REST_FRAMEWORK"])
    recorder.close()  # its connection has the time zone of before
    yield str(request.param)
    recorder.close()
    if request.param == "TIME_ZONE of a database":
        monkeypatch.undo()
        settings.USE_TZ = True  # connections look again


def apply_defaults(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    """Views read these once, when REST framework is imported: as they would have been read."""
    from rest_framework.generics import GenericAPIView
    from rest_framework.settings import api_settings
    from rest_framework.versioning import BaseVersioning
    from rest_framework.views import APIView

    monkeypatch.setattr(BaseVersioning, "allowed_versions", ["v9"])
    for setting, base, name in (
        ("DEFAULT_VERSIONING_CLASS", APIView, "versioning_class"),
        ("DEFAULT_PERMISSION_CLASSES", APIView, "permission_classes"),
        ("DEFAULT_RENDERER_CLASSES", APIView, "renderer_classes"),
        ("DEFAULT_PARSER_CLASSES", APIView, "parser_classes"),
        ("DEFAULT_PAGINATION_CLASS", GenericAPIView, "pagination_class"),
        ("DEFAULT_FILTER_BACKENDS", GenericAPIView, "filter_backends"),
    ):
        if setting in changes:
            monkeypatch.setattr(base, name, getattr(api_settings, setting))


def ask() -> Approval:
    now = stored_now()
    return Approval.objects.create(
        approval_id="a",
        trace_id="t",
        action="send",
        risk_level="low",
        allowed=["approved"],
        arguments={},
        requested_at=now,
        expires_at=now + timedelta(minutes=1),
    )


def check_times(found: object) -> None:
    """Each time of an answer is ISO 8601, in UTC, and says so."""
    if isinstance(found, dict):
        for name, value in found.items():
            if value is not None and (name.endswith("_at") or name in ("from", "to", "now", "at", "timestamp")):
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", value), (name, value)
                if (name.endswith("_at") and name != "started_at") or name == "now":  # that is what its event tells
                    assert abs(datetime.fromisoformat(value).timestamp() - datetime.now().timestamp()) < 600
            check_times(value)
    elif isinstance(found, list):
        for value in found:
            check_times(value)


def test_the_doors_answer_the_same(project: str, client: Client) -> None:
    """What is sent is stored; names, times and errors are ours; nobody is asked who he is, and not failed."""
    client.force_login(User.objects.create_superuser("root"))
    nobody = Client(raise_request_exception=False)
    events = {"events": [{"event": "plan_created", "timestamp": "2026-01-05T12:00:00Z"}, {"event": "route_decision"}]}
    assert client.post("/api/traces/t/events/", events, content_type="application/json").json() == {
        "accepted": 2,
        "stored": True,
        "errors": [],
    }
    ask()
    trace = client.get("/api/traces/t").json()
    assert (trace["trace_id"], trace["last_sequence"], trace["owner"]) == ("t", 2, "root")
    assert list(client.get("/api/").json()) == ["traces"]
    listed = client.get("/api/traces/?state=running").json()
    assert [each["trace_id"] for each in listed["results"]] == ["t"]
    assert client.get("/api/traces/?started_before=2000-01-01T00:00:00Z").json()["results"] == []
    assert client.get("/api/traces/t/events?format=jsonl")["Content-Type"] == "application/x-ndjson"
    assert client.get("/api/traces/t/export?format=chrome")["Content-Type"] == "application/json"
    for path in ("approvals", "approvals/"):
        waiting = client.get(f"/api/{path}").json()
        assert [each["approval_id"] for each in waiting["approvals"]] == ["a"]
    of_trace = client.get("/api/traces/t/approvals/").json()
    assert [each["action"] for each in of_trace] == ["send"]
    window = client.get("/api/signals?from=2026-01-05T00:00:00Z&to=2026-01-06T00:00:00Z").json()
    assert window["traces"] == 1
    series = client.get("/api/signals/series").json()
    for answer in (trace, listed, waiting, of_trace, window, series, client.get("/api/traces/t/events").json()):
        check_times(answer)
    decided = client.post("/api/traces/t/approvals/a", {"decision": "approved"}, content_type="application/json")
    assert decided.json()["decision"] == "approved"
    check_times(decided.json())
    assert client.post("/api/traces/t/ticket").status_code == 201
    assert client.post("/api/traces/t/end", {"state": "success"}, content_type="application/json").json()["stored"]
    assert client.get("/api/traces/none").status_code == 404
    assert list(client.get("/api/traces/none").json()) == ["detail"]
    assert client.get("/ws/health").json()["status"] == "healthy"
    assert client.get("/metrics").status_code == 200
    assert client.get("/dashboard/").status_code == 200
    for path in (
        "traces/",
        "traces/t",
        "traces/t/events",
        "signals",
        "approvals",
        "traces/t/stream",
        "traces/t/signals",
    ):
        answer = nobody.get(f"/api/{path}")
        assert (answer.status_code, list(answer.json())) == (403, ["detail"]), path
    assert nobody.get("/ws/health").status_code == 200


async def test_a_stream_begins(project: str) -> None:
    """And holds no connection of the database."""
    client = AsyncClient()
    await client.aforce_login(await User.objects.acreate(username="root", is_superuser=True))
    response: Any = await client.get("/api/traces/t/stream?since=0")
    assert response.status_code == 200
    parts = aiter(response)
    assert b"connected" in await anext(parts)
    await parts.aclose()
    response.close()


def test_traces_are_pruned_in_the_admin(project: str, client: Client) -> None:
    """Primary keys are written as they are, whatever is done to numbers."""
    client.force_login(User.objects.create_superuser("root"))
    now = stored_now()
    trace = Trace.objects.create(pk=1_234_567, trace_id="t", started_at=now, last_event_at=now, event_count=1234)
    page = "/admin/trace_streaming/trace/"
    asked = client.post(page, {"action": "prune_selected", "_selected_action": [trace.pk]}).content.decode()
    (pk,) = re.findall(r'name="_selected_action" value="([^"]+)"', asked)
    assert client.get(page).status_code == 200
    assert client.get(f"{page}{trace.pk}/change/").status_code == 200
    sent = {"action": "prune_selected", "_selected_action": [pk], "confirmed": "yes"}
    assert client.post(page, sent).status_code == 302
    assert not Trace.objects.exists()


@pytest.mark.parametrize("path", ["/ws/health", "/metrics"])
def test_nothing_holds_the_probes_back(client: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A project's throttles are for the API."""
    from rest_framework.views import APIView

    monkeypatch.setattr(APIView, "throttle_classes", [Never])
    assert client.get(path).status_code == 200
    with pytest.raises(AssertionError):
        client.get("/api/traces/")


def test_everything_private_is_not_stored(client: Client) -> None:
    """By no cache: answers, errors and pages."""
    now = timezone.now()
    Trace.objects.create(trace_id="t", started_at=now, last_event_at=now)
    paths = ("", "traces/", "traces/t/", "traces/t/events/", "traces/t/export/", "signals/", "signals/series")
    more = ("signals/tools", "approvals/", "traces/t/approvals", "traces/t/signals", "traces/no!/", "traces/none/")
    for path in (
        *(f"/api/{path}" for path in paths + more),
        "/dashboard/",
        "/dashboard/traces/t",
        "/ws/health",
        "/metrics",
    ):
        assert "no-store" in client.get(path)["Cache-Control"], path
    assert "no-store" in client.post("/api/traces/t/ticket")["Cache-Control"]
