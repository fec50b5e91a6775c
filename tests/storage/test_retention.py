"""Pruning: what is old goes, what is wanted stays, and nobody who emits or watches is harmed."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceEnd, TraceEvent
from trace_streaming.models import Event, Trace
from trace_streaming.storage import retention, store

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=40)


def event(trace_id: str, timestamp: datetime, status: str = "success") -> TraceEvent:
    return make_event(trace_id, "plan_created", {}, status, timestamp=timestamp)[0]


def prune(*arguments: str, **options: object) -> str:
    out = io.StringIO()
    call_command("prune_traces", *arguments, stdout=out, **options)
    return out.getvalue().strip()


@pytest.fixture(autouse=True)
def _traces() -> None:
    """Old ones: fine, with an error event, ended with error, still running. And a young one."""
    store.append([event("old", LONG_AGO), event("old", LONG_AGO), TraceEnd("old", "success", LONG_AGO)])
    store.append([event("old-with-error", LONG_AGO, "error"), TraceEnd("old-with-error", "success", LONG_AGO)])
    store.append([event("old-failed", LONG_AGO), TraceEnd("old-failed", "error", LONG_AGO)])
    store.append([event("old-running", LONG_AGO)])
    Trace.objects.update(stored_at=LONG_AGO)
    store.append([event("young", LONG_AGO), event("young", NOW)])


def silent_since(time: datetime, *trace_ids: str) -> None:
    """As if nothing had been stored of them since then."""
    Trace.objects.filter(trace_id__in=trace_ids).update(stored_at=time)


def remaining() -> set[str]:
    return set(Trace.objects.values_list("trace_id", flat=True))


def test_a_scheduler_prunes_by_calling_the_command() -> None:
    """Whose keyword arguments Django hands on as they were."""
    with pytest.raises(CommandError, match="'month' is no age"):
        prune(older_than="month")
    assert prune(older_than="30d", keep_errors=True) == "Deleted 2 traces with 3 events."


def test_silent_traces_go_with_their_events() -> None:
    """A trace with one young event keeps all of its events."""
    assert prune("--older-than", "30d") == "Deleted 4 traces with 5 events."
    assert (remaining(), Event.objects.count()) == ({"young"}, 2)


def test_traces_with_errors_may_be_kept() -> None:
    """Those that hold an error, and those that ended with one."""
    assert prune("--older-than", "30d", "--keep-errors") == "Deleted 2 traces with 3 events."
    assert remaining() == {"young", "old-with-error", "old-failed"}


def test_a_dry_run_deletes_nothing() -> None:
    """It only says how much would go."""
    assert prune("--older-than", "30d", "--dry-run") == "Would delete 4 traces with 5 events."
    assert len(remaining()) == 5


def test_young_traces_stay() -> None:
    """The age counts from the last event."""
    assert prune("--older-than", "8w") == "Deleted 0 traces with 0 events."


@pytest.mark.parametrize("age", ["", "30", "0d", "-1d", "1y", "1.5d", "d", "9999999d", "999999d", "999999w"])
def test_a_bad_age_is_explained(age: str) -> None:
    """Nothing is deleted by a typing error."""
    with pytest.raises(CommandError, match="is no age"):
        prune(f"--older-than={age}")
    assert len(remaining()) == 5


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "verbosity", "is_shown"), [(Terminal, 1, 1), (Terminal, 0, 0), (io.StringIO, 1, 0)])
def test_a_person_sees_how_far_it_is(stderr: type[io.StringIO], verbosity: int, is_shown: int) -> None:
    """On a terminal; a cron job's mail holds the result alone."""
    shown = stderr()
    call_command("prune_traces", "--older-than", "30d", stdout=io.StringIO(), stderr=shown, verbosity=verbosity)
    assert ("Pruning" in shown.getvalue()) == is_shown
    assert ("5/5" in shown.getvalue()) == is_shown


def test_pruning_marks_what_is_silent(settings: Settings) -> None:
    """Where no server runs that would do it."""
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 60
    store.append([event("silent", NOW - timedelta(hours=1))])
    silent_since(NOW - timedelta(hours=1), "silent")
    assert prune("--older-than", "30d") == "Deleted 4 traces with 5 events."
    assert Trace.objects.get(trace_id="silent").state == "incomplete"


def test_no_statement_deletes_more_than_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitters never wait for a long lock: a large trace goes a range at a time."""
    monkeypatch.setattr(retention, "RANGE_EVENTS", 10)
    store.append([event("large", LONG_AGO) for _ in range(95)])
    silent_since(LONG_AGO, "large")
    with CaptureQueriesContext(connection) as queries:
        deleted = list(retention.prune(Trace.objects.get(trace_id="large"), NOW - timedelta(days=30)))
    assert deleted == [10] * 9 + [5]
    assert sum("DELETE" in query["sql"] and "BETWEEN" in query["sql"] for query in queries) == 10
    assert "large" not in remaining()


def test_a_trace_that_goes_on_meanwhile_keeps_its_place() -> None:
    """Invariants 1 and 2: its numbers go on, and what was deleted is a gap, not another life."""
    trace = Trace.objects.get(trace_id="old-running")
    pruning = retention.prune(trace, NOW - timedelta(days=30))
    assert next(pruning) == 1
    (batch,) = store.append([event("old-running", NOW)])
    assert list(pruning) == []
    head = store.read_heads(["old-running"])["old-running"]
    assert (head.pk, head.epoch, head.sequence) == (trace.pk, trace.epoch, 2)
    assert store.read_page(head.pk, 0) == list(batch.events)


def test_running_traces_that_are_silent_become_incomplete(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ended stay as they ended; however many there are, a thousand at a time."""
    monkeypatch.setattr(retention, "CHUNK_TRACES", 2)
    for number in range(5):
        store.append([event(f"silent-{number}", LONG_AGO)])
        silent_since(LONG_AGO, f"silent-{number}")
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 3600
    assert retention.mark_incomplete() == 6
    assert retention.mark_incomplete() == 0
    states = dict(Trace.objects.values_list("trace_id", "state"))
    assert states["old-running"] == states["silent-4"] == "incomplete"
    assert (states["young"], states["old"], states["old-failed"]) == ("running", "success", "error")
    trace = Trace.objects.get(trace_id="old-running")
    assert trace.ended_at == trace.last_event_at == LONG_AGO


def test_traces_may_run_for_ever(settings: Settings) -> None:
    """None: silence means nothing."""
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = None
    assert retention.mark_incomplete() == 0


@pytest.mark.parametrize("use_tz", [True, False])
def test_ages_are_counted_in_one_time_zone(settings: Settings, use_tz: bool) -> None:
    """A trace of just now is young, wherever the project is; columns without a zone are in UTC."""
    settings.USE_TZ = use_tz
    settings.TIME_ZONE = "Asia/Tokyo"
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 3600
    store.append([event("now", datetime.now(UTC))])
    retention.mark_incomplete()
    assert Trace.objects.get(trace_id="now").state == "running"
    prune("--older-than", "2h")
    assert "now" in remaining()


def test_a_senders_clock_that_is_days_behind_ends_nothing(settings: Settings) -> None:
    """What was stored a moment ago is neither old nor silent, whatever its events say; nor is a year 1."""
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 60
    for name, at in (
        ("behind", LONG_AGO),
        ("far", datetime(1971, 1, 1, tzinfo=UTC)),
        ("ahead", NOW + timedelta(days=2)),
    ):
        store.append([event(name, at)])
    assert retention.mark_incomplete() == 1  # old-running
    prune("--older-than", "30d")
    assert remaining() == {"young", "behind", "far", "ahead"}
    assert Event.objects.count() == 5  # none of theirs went
    assert set(Trace.objects.values_list("state", flat=True)) == {"running"}
