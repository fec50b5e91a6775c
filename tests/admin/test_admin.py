"""The admin: everything can be read, nothing changed, and a list costs the same for any number of traces."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from trace_streaming.admin import traces
from trace_streaming.admin.date_hierarchy import ByPeriod
from trace_streaming.admin.signals_table import signals_table
from trace_streaming.emitting.playback import RecordedEvent, read_recording
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events.golden_signals import golden_signals
from trace_streaming.models import Approval, Event, Trace
from trace_streaming.storage import store

pytestmark = pytest.mark.django_db

TRACES, EVENTS = "/admin/trace_streaming/trace/", "/admin/trace_streaming/event/"
APPROVALS = "/admin/trace_streaming/approval/"


def emit(trace_id: str, count: int = 1, **details: object) -> None:
    store.append([make_event(trace_id, "plan_created", details, "success")[0] for _ in range(count)])


def content(response: object) -> bytes:
    """Of a download."""
    assert isinstance(response, StreamingHttpResponse)
    return b"".join(response)


def signals_shown(client: Client, path: str) -> str:
    """The table of a trace's page."""
    page = client.get(path).content.decode()
    return page.partition('<table class="trace-signals">')[2].partition("</table>")[0]


def test_traces_are_listed_searched_and_filtered(admin_client: Client) -> None:
    """By part of the trace id, of the name or the conversation, by state, by time."""
    emit("alpha-1", 3)
    emit("beta-1")
    Trace.objects.filter(trace_id="beta-1").update(state="error")
    assert admin_client.get(TRACES).content.count(b"-1</a>") == 2
    found = admin_client.get(TRACES, {"q": "alph"}).content
    assert (b"alpha-1" in found, b"beta-1" in found) == (True, False)
    Trace.objects.filter(trace_id="beta-1").update(name="Daily report", conversation="c-7")
    for part in ("report", "c-7"):
        found = admin_client.get(TRACES, {"q": part}).content
        assert (b"alpha-1" in found, b"beta-1" in found) == (False, True)
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


def test_events_are_filtered_by_declared_names_without_reading_all_for_them(admin_client: Client) -> None:
    """A million of them would be read to find the names that they have; one that was declared before is found, too."""
    emit("t", 2)
    store.append([make_event("t", "tool_call_error", {}, "error")[0]])
    Event.objects.filter(sequence=1).update(event="once_declared")
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(EVENTS).content.decode()
    assert not [query["sql"] for query in captured if "DISTINCT" in query["sql"]]
    assert '?event=approval_timeout">approval_timeout</a>' in page
    assert '?status=warning">warning</a>' in page
    for wanted, count in (("event=plan_created", 1), ("status=error", 1), ("status=success&event=once_declared", 1)):
        assert f"{count} event\n" in admin_client.get(f"{EVENTS}?{wanted}").content.decode(), wanted


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


@pytest.mark.django_db(transaction=True)
def test_a_trace_is_exported_from_its_page(admin_client: Client) -> None:
    """Three files are offered there: to be played again, for Perfetto, and for readers of OpenTelemetry."""
    emit("t", 3)
    base = f"{TRACES}{Trace.objects.get().pk}/"
    page = admin_client.get(f"{base}change/").content.decode()
    assert f'href="{base}export/jsonl"' in page
    assert f'href="{base}export/trace.json"' in page
    assert f'href="{base}export/otlp.json"' in page

    lines = admin_client.get(f"{base}export/jsonl")
    assert lines["Content-Disposition"] == 'attachment; filename="t.jsonl"'
    events = [orjson.loads(line) for line in content(lines).splitlines()]
    assert [(event["trace_id"], event["sequence"]) for event in events] == [("t", 1), ("t", 2), ("t", 3)]

    chrome = admin_client.get(f"{base}export/trace.json")
    assert (chrome["Content-Type"], chrome["Content-Disposition"]) == (
        "application/json",
        'attachment; filename="t.trace.json"',
    )
    marks = [event for event in orjson.loads(content(chrome))["traceEvents"] if event["ph"] == "i"]
    assert [mark["args"]["sequence"] for mark in marks] == [1, 2, 3]
    otlp = admin_client.get(f"{base}export/otlp.json")
    assert otlp["Content-Disposition"] == 'attachment; filename="t.otlp.json"'
    assert len(orjson.loads(content(otlp))["resourceSpans"][0]["scopeSpans"][0]["spans"]) == 3
    assert admin_client.get(f"{base}export/exe").status_code == 404
    assert admin_client.get(f"{TRACES}0/export/jsonl").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_several_traces_are_exported_as_one_file(admin_client: Client) -> None:
    """Each as a recording of its own, or as a process of its own; those that were not selected stay out."""
    for trace_id in ("a", "b", "c"):
        emit(trace_id, 2)
    keys = list(Trace.objects.filter(trace_id__in=["a", "c"]).values_list("pk", flat=True))

    lines = content(admin_client.post(TRACES, {"action": "export_json_lines", "_selected_action": keys}))
    read = [event for event in read_recording(lines.splitlines()) if isinstance(event, RecordedEvent)]
    assert sorted(event.trace_id for event in read) == ["a", "a", "c", "c"]

    chrome = content(admin_client.post(TRACES, {"action": "export_chrome", "_selected_action": keys}))
    events = orjson.loads(chrome)["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert sorted(names.values()) == ["a", "c"]
    assert sorted(names[event["pid"]] for event in events if event["ph"] == "i") == ["a", "a", "c", "c"]


@pytest.mark.django_db(transaction=True)
def test_a_trace_that_is_deleted_meanwhile_is_left_out_of_an_export(admin_client: Client) -> None:
    """Nothing is read before it is taken; the file stays whole."""
    emit("a")
    keys = list(Trace.objects.values_list("pk", flat=True))
    chrome = admin_client.post(TRACES, {"action": "export_chrome", "_selected_action": keys})
    Trace.objects.all().delete()
    assert orjson.loads(content(chrome))["traceEvents"] == []


@pytest.mark.django_db(transaction=True)
def test_an_export_needs_the_permission_to_view_traces(client: Client, django_user_model: type[User]) -> None:
    """The same that opens the page; no other of the app's permissions does."""
    emit("t")
    key = Trace.objects.get().pk
    staff = django_user_model.objects.create_user("ops", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_event"))
    selected = {"action": "export_json_lines", "_selected_action": [key]}
    client.force_login(staff)
    assert client.get(f"{TRACES}{key}/export/jsonl").status_code == 403
    assert client.post(TRACES, selected).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert content(client.get(f"{TRACES}{key}/export/jsonl")).count(b"\n") == 1
    assert content(client.post(TRACES, selected)).count(b"\n") == 1
    client.force_login(django_user_model.objects.create_user("reader"))
    assert client.get(f"{TRACES}{key}/export/jsonl").status_code == 302  # to the login: not of the staff


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0.0%"),
        (0.0002, "&lt;0.1%"),
        (0.5, "50.0%"),
        (0.9998, "&gt;99.9%"),
        (1, "100.0%"),
        (1.4, "140.0%"),
        (None, "-"),
    ],
)
def test_a_rate_that_is_not_all_is_not_a_hundred_per_cent(share: float | None, shown: str) -> None:
    """And one that is not nothing is not 0 %."""
    table = signals_table({**golden_signals("t", 0, []), "success_rate": share})
    assert f"<td>{shown}</td>" in table.partition("Success rate")[2].partition("</tr>")[0]


def test_a_traces_page_shows_its_golden_signals(admin_client: Client) -> None:
    """In units that people read, with what they mean; what cannot be known is a dash."""
    emit("t")
    page = f"{TRACES}{Trace.objects.get().pk}/change/"
    table = signals_shown(admin_client, page)
    assert ">Success rate</th><td>-</td>" in table
    assert ">Latency of calls</th><td>p50 -, p95 -, p99 -, mean -</td>" in table

    for name, ms in (("tool_call_complete", 250), ("tool_call_complete", 1_500), ("tool_call_error", 125_000)):
        store.append([make_event("t", name, {"tool": "x", "duration_ms": ms}, "success")[0]])
    table = signals_shown(admin_client, page)
    assert 'title="Completed / (completed + failed); open calls are neither">Success rate</th><td>66.7%</td>' in table
    assert "<td>p50 1.50 s, p95 2 min 5 s, p99 2 min 5 s, mean 42.25 s</td>" in table
    assert ">Steps per task</th><td>2.0</td>" in table


def test_a_page_does_not_count_millions_of_events(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where the signals are instead."""
    monkeypatch.setattr(traces, "COUNTED_EVENTS", 2)
    emit("t", 3)
    page = admin_client.get(f"{TRACES}{Trace.objects.get().pk}/change/").content.decode()
    assert "trace-signals" not in page
    assert "Too many events to count them for a page" in page


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_years_months_and_days_are_found_without_looking_at_every_trace(zone: str) -> None:
    """The same that Django finds, with a query for each of them and one more, whose plan is an index's."""
    emit("first")
    begin = datetime(2022, 12, 30, 22, 30, tzinfo=UTC)
    for number, hours in enumerate((0, 1, 26, 49, 24 * 31, 24 * 89, 24 * 90, 24 * 366, 24 * 1000)):
        emit(f"t-{number}")
        Trace.objects.filter(trace_id=f"t-{number}").update(started_at=begin + timedelta(hours=hours))
    Trace.objects.filter(trace_id="first").update(started_at=begin)
    with timezone.override(ZoneInfo(zone)):
        for kind in ("year", "month", "day"):
            expected = list(Trace.objects.datetimes("started_at", kind))
            with CaptureQueriesContext(connection) as captured:
                assert ByPeriod(Trace).datetimes("started_at", kind) == expected
            assert len(captured) == len(expected) + 1
            assert "trace_streaming_started" in ByPeriod(Trace).order_by("started_at")[:1].explain()


def test_approvals_are_narrowed_by_date_in_a_database_that_knows_no_zones(
    admin_client: Client, settings: Settings
) -> None:
    """As MariaDB and MySQL are installed, in a project that has one."""
    settings.TIME_ZONE = "Europe/Berlin"
    asked = {"trace_id": "t", "action": "send", "risk_level": "low", "arguments": {}, "allowed": ["approved"]}
    for month in (1, 2):
        at = datetime(2026, month, 5, tzinfo=UTC)
        Approval.objects.create(approval_id=str(month), requested_at=at, expires_at=at, **asked)
    page = admin_client.get(APPROVALS).content.decode()
    assert re.findall(r"\?requested_at__month=(\d+)", page) == ["1", "2"]
    page = admin_client.get(APPROVALS, {"requested_at__year": 2026, "requested_at__month": 2}).content.decode()
    assert re.findall(r"requested_at__day=(\d+)", page) == ["5"]


def test_the_list_is_narrowed_by_date(admin_client: Client) -> None:
    """Year, month and day, of what else is asked for."""
    emit("old")
    emit("new")
    Trace.objects.filter(trace_id="old").update(started_at=datetime(2021, 3, 4, tzinfo=UTC), state="error")
    assert b'href="?started_at__year=2021"' in admin_client.get(TRACES).content
    march = admin_client.get(TRACES, {"started_at__year": "2021", "started_at__month": "3"}).content
    assert (b"old</a>" in march, b"new</a>" in march) == (True, False)
    assert b"March 4" in march
