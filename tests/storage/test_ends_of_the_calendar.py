"""Times that not every time zone can show: none is taken, and one that is there breaks no page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from trace_streaming.emitting.playback import MAX_PAUSE_SECONDS, BadLine, RecordedEvent, play, read_recording
from trace_streaming.emitting.project_events import event_from, make_event
from trace_streaming.exporting.perfetto import chrome_events
from trace_streaming.models import Event, Trace
from trace_streaming.remote.terminal import event_line
from trace_streaming.storage import retention, store
from trace_streaming.testing import capture_events

pytestmark = pytest.mark.django_db(transaction=True)

ENDS = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
ZONES = ["Pacific/Honolulu", "Pacific/Kiritimati", "UTC"]
PAGES = [
    *("/api/traces/", "/api/traces/t/", "/api/traces/t/events/", "/api/traces/t/signals"),
    *("/api/traces/t/export/?format=chrome", "/api/signals/?from=1970-01-02T00:00:00Z&to=9998-12-30T00:00:00Z"),
    *("/admin/trace_streaming/trace/", "/admin/trace_streaming/event/", "/admin/trace_streaming/trace/1/change/"),
    *("/admin/trace_streaming/trace/?started_at__year=2", "/admin/trace_streaming/trace/?started_at__year=9998"),
]


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "9998-12-31T23:00:00-12:00"]
    + ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
)
def test_a_time_that_not_all_can_show_is_refused(time: str) -> None:
    """By ingest, by emission, and by a recording, each with a text that says what is taken."""
    with pytest.raises(ValueError, match="is not from 1970 to 9998"):
        event_from("t", {"event": "plan_created", "timestamp": time})
    (bad,) = read_recording([f'{{"event": "plan_created", "trace_id": "t", "timestamp": "{time}"}}'])
    assert isinstance(bad, BadLine)
    assert "1970 to 9998" in bad.reason


@pytest.mark.parametrize("time", ENDS)
def test_an_events_own_time_is_looked_at_too(time: datetime) -> None:
    """The only way to an event."""
    with pytest.raises(ValueError, match="1970 to 9998"):
        make_event("t", "plan_created", {}, "success", timestamp=time)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("time", ENDS, ids=["first", "last"])
def test_a_row_that_is_there_breaks_no_page(settings: Settings, time: datetime, zone: str) -> None:
    """West of UTC the first day of the calendar is none, east of it the last is none."""
    settings.TIME_ZONE = zone
    timezone.deactivate()
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    store.append([make_event("t", "plan_created", {}, "success")[0]])
    Trace.objects.update(started_at=time, last_event_at=time, ended_at=time)
    Event.objects.update(timestamp=time)
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.create_superuser("root"))
    for path in PAGES:
        response = client.get(path.replace("/1/", f"/{Trace.objects.get().pk}/"))
        assert response.status_code == 200, (path, response.content)
        assert not response.streaming or b"".join(response)


@pytest.mark.parametrize("time", ENDS)
def test_lines_and_bars_are_shown_at_the_ends_of_the_calendar(monkeypatch: pytest.MonkeyPatch, time: datetime) -> None:
    """In a terminal of any zone, and in Perfetto."""
    monkeypatch.setenv("TZ", "Pacific/Honolulu" if time.year == 1 else "Pacific/Kiritimati")
    event = {"event": "plan_created", "status": "success", "sequence": 1, "details": {}}
    event |= {"timestamp": time.isoformat("T", "microseconds")}
    assert event_line(event).plain
    (mark,) = (made for made in chrome_events("t", [event]) if made["ph"] != "M")
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=mark["ts"]) == time


def test_what_happens_in_a_far_future_is_pruned_all_the_same() -> None:
    """By when it was stored: such a time is no sign of life."""
    store.append([event_from("new", {"event": "plan_created", "timestamp": "9000-01-01T00:00:00Z"})])
    store.append([event_from("old", {"event": "plan_created", "timestamp": "9000-01-01T00:00:00Z"})])
    Trace.objects.filter(trace_id="old").update(stored_at=timezone.now() - timedelta(days=31))
    retention.mark_incomplete()
    (old,) = retention.silent_traces(timezone.now() - timedelta(days=30))
    assert (old.trace_id, old.state) == ("old", "incomplete")
    list(retention.prune(old, timezone.now() - timedelta(days=30)))
    assert set(Trace.objects.values_list("trace_id", flat=True)) == {"new"}


def test_a_pause_of_centuries_is_not_waited_for() -> None:
    """Between a wrong clock and a right one."""
    slept: list[float] = []
    times = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC))
    with capture_events():
        play((RecordedEvent("plan_created", "t", {}, "success", time) for time in times), sleep=slept.append)
    assert slept == [MAX_PAUSE_SECONDS]
