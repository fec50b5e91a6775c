"""Pages of the list of traces: each trace once, whatever its time, whatever the policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings
from rest_framework.permissions import BasePermission

from trace_streaming.api import pages as module
from trace_streaming.models import Trace

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class NotEveryThird(BasePermission):
    """Judges each trace."""

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        return int(obj.trace_id) % 3 != 0


POLICIES = {
    "in the query": "rest_framework.permissions.AllowAny",
    "one by one": f"{__name__}.NotEveryThird",
}


@pytest.fixture(params=POLICIES)
def seen(request: pytest.FixtureRequest, settings: Settings) -> list[str]:
    """1,500 traces that began at one time, between two others; those that are seen, in their order."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [POLICIES[request.param]]
    at = [NOON - timedelta(1), *[NOON] * 1500, NOON + timedelta(1)]
    Trace.objects.bulk_create(
        Trace(trace_id=str(n), started_at=time, last_event_at=time) for n, time in enumerate(at, 1)
    )
    numbers = range(len(at), 0, -1)
    return [str(n) for n in numbers if request.param == "in the query" or n % 3]


def pages(client: Client, url: str | None, link: str = "next") -> list[list[str]]:
    got: list[list[str]] = []
    while url is not None:
        assert len(got) < 100, "it does not end"
        page = client.get(url).json()
        got.append([trace["trace_id"] for trace in page["results"]])
        url = page[link]
    return got


def test_many_that_began_at_one_time_end(client: Client, seen: list[str]) -> None:
    """None is repeated, none is lost; every page but the last is full."""
    got = pages(client, "/api/traces/?limit=100")
    assert [*chain(*got)] == seen
    assert {len(page) for page in got[:-1]} == {100}


def test_the_way_back_is_the_same(client: Client, seen: list[str]) -> None:
    """From the last page to the first, by ``previous``."""
    url, last = "/api/traces/?limit=100", ""
    while url is not None:
        last, url = url, client.get(url).json()["next"]
    back = pages(client, last, "previous")
    assert [*chain(*back[::-1])] == seen


def test_a_page_that_has_looked_at_enough_leads_on(
    client: Client, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold less, or nothing, and the next begins where it has stopped."""
    monkeypatch.setattr(module, "MAX_JUDGED", 50)
    assert [*chain(*pages(client, "/api/traces/?limit=200"))] == seen


def test_a_cursor_tells_nothing(client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be that of a trace which its reader does not see."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [POLICIES["one by one"]]
    monkeypatch.setattr(module, "MAX_JUDGED", 1)
    client.force_login(User.objects.create_user("ada"))
    for number in (3, 6):
        Trace.objects.create(trace_id=str(number), started_at=NOON, last_event_at=NOON)
    page = client.get("/api/traces/").json()
    assert page["results"] == []
    cursor = page["next"].partition("cursor=")[2]
    assert cursor.startswith("gAAAA")  # a token of Fernet's
    assert NOON.isoformat() not in cursor


@pytest.mark.parametrize("cursor", ["cD1nYXJiYWdl", "x", "%00", "%FF", "gAAAA", "é", "=" * 5000])
def test_what_is_no_cursor_is_400(client: Client, cursor: str) -> None:
    """And says so."""
    response = client.get("/api/traces/", {"cursor": cursor})
    assert (response.status_code, list(response.json())) == (400, ["cursor"])
