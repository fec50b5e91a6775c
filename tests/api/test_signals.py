"""Golden signals over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings
from rest_framework.permissions import BasePermission

from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceStart
from trace_streaming.models import Approval, Trace
from trace_streaming.storage import store

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


@pytest.mark.parametrize(
    "query",
    [
        *({"from": "yesterday"}, {"to": "x"}, {"owner": "x"}, {"metadata.-1": "x"}, {"metadata.2147483648": "x"}),
        {f"metadata.k{number}": "x" for number in range(999)},
    ],
)
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
    assert client_of(ada).get("/api/traces/theirs/signals").status_code == 404
    assert client_of(ada).get("/api/traces/none/signals").status_code == 404
    staff = User.objects.create_superuser("root")
    assert client_of(staff).get("/api/traces/none/signals").status_code == 404


def test_series_and_tools_are_for_the_same_users_as_windows(ada: User, client: Client) -> None:
    """One's own, or all; nobody else asks for them."""
    staff = User.objects.create_user("staff", is_staff=True)
    for user, calls in ((ada, 1), (staff, 2), (User.objects.create_user("bob"), 0)):
        series = client_of(user).get("/api/signals/series", WINDOW).json()
        tools = client_of(user).get("/api/signals/tools", WINDOW).json()
        assert sum(point["total_steps"] for point in series["points"]) == tools["tools"] == calls
    for address in ("/api/signals/series", "/api/signals/tools"):
        assert client.get(address).status_code in (401, 403)
        assert client_of(ada).get(address, {"owner": str(staff.pk)}).status_code == 403


def test_steps_are_asked_for_within_bounds(ada: User) -> None:
    """The usual ones by default; more than 500 are refused, as is what is no number."""
    found = client_of(ada).get("/api/signals/series", {"last": "900"}).json()
    assert found["step_seconds"] == 15
    assert len(found["points"]) in (60, 61)
    ages = {"from": "1970-01-01T00:00:00Z", "to": "9998-12-31T00:00:00Z"}
    assert len(client_of(ada).get("/api/signals/series", ages).json()["points"]) in (60, 61)
    assert len(client_of(ada).get("/api/signals/series", {**WINDOW, "step": "10"}).json()["points"]) == 6
    for wrong in ({"last": "90000", "step": "1"}, {"step": "0"}, {"step": "x"}, {"last": "0"}):
        assert client_of(ada).get("/api/signals/series", wrong).status_code == 400
    assert client_of(ada).get("/api/signals/tools", {"limit": "101"}).status_code == 400


def test_where_everybody_may_watch_everybody_sees_the_signals(ada: User, client: Client, settings: Settings) -> None:
    """The policy that opens all traces opens them; one that judges each trace does not."""
    open_to_all = "rest_framework.permissions.AllowAny"
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [open_to_all]
    assert client.get("/api/signals/", WINDOW).json()["total_steps"] == 2
    assert client.get("/api/signals/", {**WINDOW, "owner": str(ada.pk)}).json()["total_steps"] == 1
    assert client.get("/api/signals/", {**WINDOW, "owner": "me"}).status_code == 400
    assert steps(User.objects.create_user("bob")) == 2
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [open_to_all, "rest_framework.permissions.DjangoObjectPermissions"]
    assert client.get("/api/signals/", WINDOW).status_code in (401, 403)


def waiting(client: Client) -> list[str]:
    response = client.get("/api/approvals/")
    assert response.status_code == 200, response.content
    assert datetime.fromisoformat(response.json()["now"]).tzinfo is not None
    return [approval["approval_id"] for approval in response.json()["approvals"]]


def ask(trace_id: str, seconds: int, decision: str = "") -> None:
    now = datetime.now(UTC)
    asked = {"approval_id": f"{trace_id}-{seconds}", "trace_id": trace_id, "action": "send", "risk_level": "low"}
    expires = now + timedelta(seconds=seconds)
    Approval.objects.create(**asked, decision=decision, requested_at=now, expires_at=expires)


def test_open_approvals_are_of_traces_that_one_may_watch(ada: User, client: Client, settings: Settings) -> None:
    """The most urgent first; none that is decided or too late. Staff alone may count, and not read."""
    ask("hers", 60)
    ask("hers", 30)
    ask("theirs", 45)
    ask("hers", 50, "approved")
    ask("hers", -5)
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert waiting(client_of(ada)) == ["hers-30", "hers-60"]
    assert waiting(client_of(viewer)) == ["hers-30", "theirs-45", "hers-60"]
    assert waiting(client_of(User.objects.create_user("staff", is_staff=True))) == []
    assert client.get("/api/approvals/").status_code in (401, 403)
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["tests.api.test_signals.OnlyTheirs"]
    assert waiting(client_of(ada)) == ["theirs-45"]


class OnlyTheirs(BasePermission):
    """A project's own policy, which says nothing of lists."""

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return bool(obj.trace_id == "theirs")


def test_the_dashboard_is_for_whom_there_are_signals(ada: User, client: Client) -> None:
    """Others are asked to log in; a trace of another is refused, one that cannot be is not found."""
    assert client.get("/dashboard/").status_code == 302
    assert client.get("/dashboard/traces/hers").status_code == 302
    page = client_of(ada).get("/dashboard/")
    assert page.status_code == 200
    assert 'series="/api/signals/series"' in page.content.decode()
    assert 'trace-id="hers"' in client_of(ada).get("/dashboard/traces/hers").content.decode()
    assert client_of(ada).get("/dashboard/traces/theirs").status_code == 403
    assert client_of(ada).get("/dashboard/traces/no!").status_code == 404


def test_the_admin_shows_the_dashboard_to_those_who_may_view_traces(ada: User, settings: Settings) -> None:
    """With a link from the list of traces; other staff is refused."""
    staff = User.objects.create_user("staff", is_staff=True)
    assert client_of(staff).get("/admin/trace_streaming/trace/dashboard/").status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert (
        "/admin/trace_streaming/trace/dashboard/"
        in client_of(staff).get("/admin/trace_streaming/trace/").content.decode()
    )
    assert "<trace-dashboard" in client_of(staff).get("/admin/trace_streaming/trace/dashboard/").content.decode()


def test_decided_approvals_are_of_traces_that_one_may_watch(ada: User, client: Client, settings: Settings) -> None:
    """The newest first, with what was decided, by whom, and when."""
    ask("hers", 60)
    ask("hers", 50, "approved")
    ask("theirs", 40, "rejected")
    now = datetime.now(UTC)
    Approval.objects.exclude(decision="").update(decided_at=now, decided_by_name="bob", comment="fine", channel="api")
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))

    def decided(client: Client) -> list[str]:
        return [each["approval_id"] for each in client.get("/api/approvals/?state=decided").json()["approvals"]]

    assert decided(client_of(ada)) == ["hers-50"]
    assert decided(client_of(viewer)) == ["theirs-40", "hers-50"]
    assert decided(client_of(User.objects.create_user("staff", is_staff=True))) == []
    assert client.get("/api/approvals/?state=decided").status_code in (401, 403)
    assert client_of(ada).get("/api/approvals/?state=dance").status_code == 400
    (shown,) = client_of(ada).get("/api/approvals/?state=decided").json()["approvals"]
    assert (shown["decision"], shown["decided_by_name"], shown["comment"]) == ("approved", "bob", "fine")
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["tests.api.test_signals.OnlyTheirs"]
    assert decided(client_of(ada)) == ["theirs-40"]


def test_an_open_approval_says_whether_the_requester_may_decide(ada: User, settings: Settings) -> None:
    """The owner watches, and waits for somebody who may; no page offers him what is refused."""
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["trace_streaming.permissions.MayDecideApprovals"]
    ask("hers", 60)
    for may in (False, True):
        if may:
            ada.user_permissions.add(Permission.objects.get(codename="decide_approval"))
        (shown,) = client_of(ada).get("/api/approvals/").json()["approvals"]
        assert shown["can_decide"] is may
        assert ("takes the permission" in shown["refusal"]) is not may


def test_who_may_not_decide_is_told_why_at_every_door(ada: User, settings: Settings) -> None:
    """In the words of the class that refuses: in the list, on the trace's page, and to whoever tries."""
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["trace_streaming.permissions.MayDecideOthersApprovals"]
    ada.user_permissions.add(Permission.objects.get(codename="decide_approval"))
    Trace.objects.filter(trace_id="hers").update(name="Pay the <b>bill</b>")
    ask("hers", 60)
    (shown,) = client_of(ada).get("/api/approvals/").json()["approvals"]
    refusal = "This trace is your own; somebody else decides its approvals"
    assert (shown["can_decide"], shown["refusal"], shown["trace_name"]) == (False, refusal, "Pay the <b>bill</b>")
    page = client_of(ada).get("/dashboard/traces/hers").content.decode()
    assert f'cannot-decide="{refusal}"' in page
    assert " can-decide" not in page
    tried = client_of(ada).post("/api/traces/hers/approvals/hers-60/", {"decision": "approved"}, "application/json")
    assert (tried.status_code, tried.json()["detail"]) == (403, refusal)
