"""Users that are not Django's own: without permissions, without a row, without a key."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.test import APIClient

from tests.access.handshakes import handshake
from trace_streaming.access.admission import admit, judge
from trace_streaming.access.authentication import Handshake
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Approval, Trace
from trace_streaming.permissions import may_add_events, may_decide, may_watch, traces_to_watch

pytestmark = pytest.mark.django_db


class Account:
    """As a model without ``PermissionsMixin``, or a token's user: no ``has_perm``."""

    is_authenticated = True
    is_active = True
    pk = 7


class Service:
    """Less than that."""

    is_authenticated = True


class ByKey(BaseAuthentication):
    """Finds them."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        kind = request.headers.get("X-Api-Key")
        return None if kind is None else ({"account": Account, "service": Service}[kind](), None)


KINDS = pytest.mark.parametrize("kind", ["account", "service"])


@pytest.fixture(autouse=True)
def _closed(settings: Settings) -> None:
    del settings.TRACE_STREAMING_PERMISSION_CLASSES, settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES
    del settings.TRACE_STREAMING_HEALTH_PERMISSION_CLASSES
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"{__name__}.ByKey"]


@KINDS
def test_they_have_no_permission_and_make_nothing_fail(kind: str) -> None:
    """Each answer is no."""
    now = timezone.now()
    Trace.objects.create(trace_id="nobody's", started_at=now, last_event_at=now)
    request: Any = Request(HttpRequest())
    request.user = {"account": Account, "service": Service}[kind]()
    assert not may_watch(request, Trace(trace_id="t"))
    assert not may_decide(request, Approval(trace_id="t"))
    assert not may_add_events(request, Trace(trace_id="t"))
    seen: QuerySet[Trace] | None = traces_to_watch(request, Trace.objects.all())
    assert seen is not None
    assert not seen.exists()
    assert may_watch(request, Trace(trace_id="t", owner_id=7)) is (kind == "account")


@KINDS
def test_a_socket_is_refused_for_good(kind: str) -> None:
    """4403: with 4001, its client would come back for ever."""
    with pytest.raises(ProtocolError) as refused:
        admit(handshake(x_api_key=kind), "t")
    assert refused.value.code == 4403
    (ending,) = judge([(Handshake(handshake(x_api_key=kind)), "t")])
    assert ending is not None
    assert ending.code == 4403


@KINDS
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("api/signals/?owner=me", 0),
        ("api/traces/", 200),
        ("api/traces/t/", 404),
        ("api/traces/t/events/", 404),
        ("api/traces/t/signals", 404),
        ("api/traces/t/approvals", 404),
        ("api/signals/", 0),
        ("api/approvals/", 200),
        ("ws/health", 200),
    ],
)
def test_no_door_fails(kind: str, path: str, status: int) -> None:
    """They are somebody who may see nothing; without a key, one owns nothing that could be counted."""
    answer = APIClient().get(f"/{path}", headers={"x-api-key": kind}).status_code
    assert answer == (status or {"account": 200, "service": 403}[kind])
