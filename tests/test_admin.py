"""The admin: everything can be read, nothing changed, and a list costs the same for any number of traces."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from trace_streaming import store
from trace_streaming.emitter import make_event
from trace_streaming.models import Event, Trace

pytestmark = pytest.mark.django_db

TRACES, EVENTS = "/admin/trace_streaming/trace/", "/admin/trace_streaming/event/"


def emit(trace_id: str, count: int = 1, **details: object) -> None:
    store.append([make_event(trace_id, "plan_created", details, "success")[0] for _ in range(count)])


def test_traces_are_listed_searched_and_filtered(admin_client: Client) -> None:
    """By part of the trace id, by state, by time."""
    emit("alpha-1", 3)
    emit("beta-1")
    Trace.objects.filter(trace_id="beta-1").update(state="error")
    assert admin_client.get(TRACES).content.count(b"-1</a>") == 2
    found = admin_client.get(TRACES, {"q": "alph"}).content
    assert (b"alpha-1" in found, b"beta-1" in found) == (True, False)
    failed = admin_client.get(TRACES, {"state__exact": "error"}).content
    assert (b"alpha-1" in failed, b"beta-1" in failed) == (False, True)
    assert b"alpha-1" not in admin_client.get(TRACES, {"started_at__lt": "2020-01-01 00:00:00+00:00"}).content


def test_a_list_of_many_costs_as_many_queries_as_a_list_of_few(
    admin_client: Client, django_user_model: type[User]
) -> None:
    """No query per row, neither for counts nor for owners."""

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(path).status_code == 200
        return len(captured)

    emit("first")
    few = queries(TRACES), queries(EVENTS)
    for number in range(30):
        emit(f"trace-{number}", 2)
        owner = django_user_model.objects.create_user(f"user-{number}")
        Trace.objects.filter(trace_id=f"trace-{number}").update(owner=owner)
    assert (queries(TRACES), queries(EVENTS)) == few


def test_a_traces_page_shows_its_newest_events_and_leads_to_all(admin_client: Client) -> None:
    """A hundred rows at most, whatever the trace holds; content is shown as text."""
    emit("t", 150, text="<script>alert(1)</script>")
    trace = Trace.objects.get()
    page = admin_client.get(f"{TRACES}{trace.pk}/change/").content.decode()
    assert page.count("plan_created") == 100
    assert "<td>150</td>" in page
    assert "<td>50</td>" not in page
    assert "<script>alert(1)" not in page
    link = f"{EVENTS}?trace__id__exact={trace.pk}"
    assert link in page
    assert "150 events" in admin_client.get(link).content.decode()


def test_an_event_shows_its_details_indented(admin_client: Client) -> None:
    """The JSON as a person reads it, and as text."""
    emit("t", tool="<b>search</b>", nested={"a": 1})
    page = admin_client.get(f"{EVENTS}{Event.objects.get().pk}/change/").content.decode()
    assert "&quot;nested&quot;: {\n    &quot;a&quot;: 1" in page
    assert "<b>search" not in page


@pytest.mark.parametrize("base", [TRACES, EVENTS])
def test_nothing_can_be_written(admin_client: Client, base: str) -> None:
    """Not even by a superuser: no form to add, no way to change or delete."""
    emit("t")
    key = (Trace if base == TRACES else Event).objects.get().pk
    assert admin_client.get(f"{base}add/").status_code == 403
    assert admin_client.post(f"{base}{key}/change/", {"state": "error", "status": "error"}).status_code == 403
    assert admin_client.post(f"{base}{key}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(base, {"action": "delete_selected", "_selected_action": [key], "post": "yes"})
    assert (Trace.objects.get().state, Event.objects.count()) == ("running", 1)


def test_staff_without_the_permission_see_nothing(client: Client, django_user_model: type[User]) -> None:
    """Permissions as Django means them."""
    emit("t")
    staff = django_user_model.objects.create_user("ops", is_staff=True)
    client.force_login(staff)
    assert client.get(TRACES).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_trace"))
    client.force_login(django_user_model.objects.get(pk=staff.pk))
    assert client.get(TRACES).status_code == 200
    assert client.get(EVENTS).status_code == 403


def test_a_traces_page_shows_it_live(admin_client: Client) -> None:
    """The viewer, for whoever may see the page."""
    emit("t")
    page = admin_client.get(f"{TRACES}{Trace.objects.get().pk}/change/").content.decode()
    assert '<trace-viewer trace-id="t" url="/ws/traces/t"' in page


@pytest.mark.django_db(transaction=True)
def test_pruning_is_confirmed_and_needs_the_permission(client: Client, django_user_model: type[User]) -> None:
    """One that only reads is not offered it; one that may deletes traces and events, and nothing else."""
    for trace_id in ("a", "b", "c"):
        emit(trace_id, 3)
    selected = list(Trace.objects.filter(trace_id__in=["a", "b"]).values_list("pk", flat=True))
    user = django_user_model.objects.create_user("reader", is_staff=True)
    client.force_login(user)
    chosen = {"action": "prune_selected", "_selected_action": selected}
    user.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert b"prune_selected" not in client.get(TRACES).content
    client.post(TRACES, {**chosen, "confirmed": "yes"})
    assert Trace.objects.count() == 3
    user.user_permissions.add(Permission.objects.get(codename="delete_trace"))
    asked = client.post(TRACES, chosen)
    assert (asked.status_code, b"2 traces with 6 events" in asked.content) == (200, True)
    assert Trace.objects.count() == 3
    done = client.post(TRACES, {**chosen, "confirmed": "yes"}, follow=True)
    assert b"Deleted 2 traces with 6 events." in done.content
    assert set(Event.objects.values_list("trace__trace_id", flat=True)) == {"c"}
