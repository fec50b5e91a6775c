"""Golden signals over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from trace_streaming import store
from trace_streaming.emitter import make_event
from trace_streaming.events import TraceStart

NOW = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)
WINDOW = {"from": "2026-01-05T12:00:00Z", "to": "2026-01-05T12:01:00Z"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _product_settings(settings: Settings) -> None:
    """The product's own permissions, not the site's."""
    del settings.TRACE_STREAMING_PERMISSION_CLASSES


@pytest.fixture
def ada() -> User:
    """Owns the trace ``hers``; ``theirs`` is nobody's."""
    user = User.objects.create_user("ada")
    calls = [
        make_event(trace, "tool_call_complete", {"tool": trace, "duration_ms": 5}, "success", timestamp=NOW)[0]
        for trace in ("hers", "theirs")
    ]
    store.append([TraceStart("hers", NOW, user.pk, '{"team": "red"}'), *calls])
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def steps(user: User, **query: Any) -> int:
    response = client_of(user).get("/api/signals/", {**WINDOW, **query})
    assert response.status_code == 200, response.content
    return int(response.json()["total_steps"])


def test_a_user_sees_the_signals_of_his_own_traces(ada: User) -> None:
    """And may not ask for another's."""
    assert steps(ada) == steps(ada, owner="me") == steps(ada, owner=str(ada.pk)) == 1
    assert client_of(ada).get("/api/signals/", {**WINDOW, "owner": str(ada.pk + 1)}).status_code == 403
    assert client_of(ada).get("/api/signals/", {**WINDOW, "owner": "x"}).status_code == 403
    assert steps(User.objects.create_user("bob")) == 0


def test_who_may_view_all_traces_sees_the_signals_of_all(ada: User) -> None:
    """By the permission, or as staff; by owner, tool and metadata."""
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))
    staff = User.objects.create_user("staff", is_staff=True)
    assert steps(viewer) == steps(staff) == 2
    assert steps(staff, owner=str(ada.pk)) == steps(staff, tool="theirs") == 1
    assert (steps(staff, **{"metadata.team": "red"}), steps(staff, **{"metadata.team": "blue"})) == (1, 0)


@pytest.mark.parametrize("query", [{"from": "yesterday"}, {"to": "x"}, {"owner": "x"}])
def test_a_query_that_cannot_be_read_is_refused(ada: User, query: dict[str, str]) -> None:
    """With 400, not with a guess."""
    staff = User.objects.create_user("staff", is_staff=True)
    assert client_of(staff).get("/api/signals/", query).status_code == 400


def test_the_last_hour_is_asked_for_by_default(ada: User) -> None:
    """What happened in this minute is in it, what is old is not."""
    store.append([make_event("hers", "tool_call_error", {}, "error")[0]])
    found = client_of(ada).get("/api/signals/").json()
    assert (found["total_steps"], found["errors"]) == (0, 1)


def test_an_anonymous_user_sees_no_signals(ada: User, client: Client) -> None:
    """Neither of a window nor of a trace."""
    assert client.get("/api/signals/").status_code in (401, 403)
    assert client.get("/api/traces/hers/signals").status_code in (401, 403)


def test_the_signals_of_a_trace_are_for_those_who_may_watch_it(ada: User) -> None:
    """The owner sees them; others do not learn whether it is there."""
    found = client_of(ada).get("/api/traces/hers/signals").json()
    assert (found["trace_id"], found["total_steps"], found["latency"]["p95"]) == ("hers", 1, 5.0)
    assert client_of(ada).get("/api/traces/theirs/signals").status_code == 403
    assert client_of(ada).get("/api/traces/none/signals").status_code == 403
    staff = User.objects.create_superuser("root")
    assert client_of(staff).get("/api/traces/none/signals").status_code == 404
