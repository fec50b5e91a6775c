"""The log: numbers without holes, and pages that are what was stored."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import EncodedEvent, TraceEnd, TraceEvent, TraceLoss, TraceRecord, TraceStart
from trace_streaming.models import Event, SpoolSegment, Trace, stored_now
from trace_streaming.storage import event_rows, owners, store, trace_rows
from trace_streaming.storage.retention import mark_incomplete, silent_traces
from trace_streaming.storage.store import Spooled
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import MAX_FRAME_BYTES

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(trace_id: str = "t", name: str = "plan_created", status: str = "success", **details: object) -> TraceEvent:
    return make_event(trace_id, name, details, status, timestamp=NOW)[0]


def stored(trace_id: str = "t", after: int = 0) -> list[EncodedEvent]:
    head = store.read_heads([trace_id])[trace_id]
    return store.read_page(head.pk, after)


pytestmark = pytest.mark.django_db


def test_a_trace_begins_with_its_first_event() -> None:
    """The row is made with the first batch, and says when the trace began."""
    store.append([event(), event()])
    trace = Trace.objects.get()
    assert (trace.trace_id, trace.state, trace.last_sequence, trace.event_count) == ("t", "running", 2, 2)
    assert trace.started_at == trace.last_event_at == NOW
    assert len(trace.epoch) == 16


def test_numbers_are_one_to_n_over_batches_and_traces() -> None:
    """Invariant 1, with several traces in one batch and several batches per trace."""
    for _ in range(3):
        store.append([event("a"), event("b"), event("a")])
    assert [e.sequence for e in stored("a")] == [1, 2, 3, 4, 5, 6]
    assert [e.sequence for e in stored("b")] == [1, 2, 3]


def test_a_page_as_one_value_has_the_same_texts() -> None:
    """What the database puts together is what it would give row by row, from any place on."""
    store.append([event(text="sök \U0001f50d \x00\n", n=n) for n in range(20)])
    pk = Trace.objects.get().pk
    for after, at_most in ((0, 100), (0, 1), (7, 5), (19, 5)):
        texts = [each.text for each in store.read_page(pk, after)][:at_most]
        joined = (after + 1, after + len(texts), "\n".join(texts))
        assert store.read_joined(pk, after, at_most) == (None if connection.vendor == "mysql" else joined)
    assert store.read_joined(pk, 20, 5) is None


def test_a_page_as_one_value_has_no_hole_and_fits_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is read row by row, which can tell what is missing, and ends where it is full."""
    store.append([event(text="x" * 1000) for _ in range(20)])
    pk = Trace.objects.get().pk
    Event.objects.filter(sequence__in=[1, 7]).delete()
    assert store.read_joined(pk, 0, 5) is None
    assert store.read_joined(pk, 5, 5) is None
    assert (store.read_joined(pk, 1, 5) is None) == (connection.vendor == "mysql")
    monkeypatch.setattr(event_rows, "MAX_EVENTS_BYTES", 5000)
    monkeypatch.delattr(event_rows, "byte_length")  # what is too long does not leave the database
    assert store.read_joined(pk, 1, 5) is None


def test_what_is_replayed_is_what_was_sent_live() -> None:
    """The text of a stored event equals the text that the live watchers got, byte for byte."""
    awkward = event(tool="sök \U0001f50d \x00", duration_ms=12, nested={"z": 1, "a": [None, 1.0, "\x00"]}, z=1, a=2)
    (batch,) = store.append([awkward, event(name="tool_call_error", status="error")])
    assert stored() == list(batch.events)
    assert orjson.loads(batch.events[0].text)["tool_name"] == "sök \U0001f50d \ufffd"


def test_a_page_begins_after_the_cursor_and_ends_at_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page holds so many events, and no more than so many bytes."""
    store.append([event(text="x" * 1000) for _ in range(20)])
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 8)
    assert [e.sequence for e in stored(after=5)] == list(range(6, 14))
    monkeypatch.setattr(event_rows, "PAGE_BYTES", 2500)
    assert [e.sequence for e in stored(after=5)] == [6, 7, 8]


def test_errors_are_counted_by_their_status() -> None:
    """The trace's error count is the number of events with status error."""
    store.append([event(), event(name="tool_call_error", status="error"), event(status="warning")])
    assert Trace.objects.get().error_count == 1


def test_an_end_sets_the_state_behind_the_events() -> None:
    """The last batch tells the watchers that the trace has ended."""
    (batch,) = store.append([event(), TraceEnd("t", "success", NOW + timedelta(seconds=3))])
    trace = Trace.objects.get()
    assert (trace.state, trace.ended_at, trace.duration) == (
        "success",
        NOW + timedelta(seconds=3),
        timedelta(seconds=3),
    )
    assert (batch.state, batch.last_sequence) == ("success", 1)


def test_a_trace_without_events_can_end() -> None:
    """An end alone makes the trace, and news without events."""
    (batch,) = store.append([TraceEnd("t", "error", NOW)])
    assert (batch.events, batch.state, batch.last_sequence) == ((), "error", 0)
    assert Trace.objects.get().state == "error"


def test_a_start_gives_owner_and_metadata(django_user_model: type) -> None:
    """A trace may begin without an event; later starts do not change whose it is, nor what is known of it."""
    user = django_user_model.objects.create_user("ada")  # type: ignore[attr-defined]
    (batch,) = store.append([TraceStart("t", NOW, user.pk, '{"job":7,"nul":"\\u0000"}')])
    assert (batch.events, batch.state, batch.last_sequence) == ((), "running", 0)
    store.append([event(), TraceStart("t", NOW, None, '{"job":8}')])
    trace = Trace.objects.get()
    assert (trace.owner, trace.metadata, trace.last_sequence) == (user, {"job": 7, "nul": "\ufffd"}, 1)


def test_a_trace_that_was_deleted_begins_again_with_another_epoch() -> None:
    """The numbers start at 1, and the epoch tells the two lives apart."""
    store.append([event(), event()])
    before = Trace.objects.get()
    before.delete()
    (batch,) = store.append([event()])
    assert [e.sequence for e in batch.events] == [1]
    assert batch.epoch != before.epoch


def test_a_batch_costs_as_many_queries_as_one_event_of_each_trace() -> None:
    """Queries are per batch, never per event."""
    store.append([event("a"), event("b")])
    with CaptureQueriesContext(connection) as one:
        store.append([event("a"), event("b")])
    with CaptureQueriesContext(connection) as many:
        store.append([event(name) for name in ("a", "b") for _ in range(200)])
    assert len(many) == len(one)


def test_what_is_told_fits_the_channel_layer_and_a_frame() -> None:
    """A large batch is told in pieces of at most one frame, in order and complete."""
    batches = store.append([event(text="x" * 25_000) for _ in range(40)])
    assert len(batches) > 1
    assert all(batch.size <= MAX_FRAME_BYTES for batch in batches)
    assert [e.sequence for batch in batches for e in batch.events] == list(range(1, 41))
    assert [batch.last_sequence for batch in batches] == [batch.events[-1].sequence for batch in batches]


def test_only_the_last_piece_says_that_the_trace_has_ended() -> None:
    """Watchers are told of the end behind the last event, and not before."""
    batches = store.append([*(event(text="x" * 25_000) for _ in range(40)), TraceEnd("t", "success", NOW)])
    assert [batch.state for batch in batches] == ["running"] * (len(batches) - 1) + ["success"]


def test_a_batch_is_stored_wholly_or_not_at_all() -> None:
    """When the database refuses one event, the numbers of the others are not used up."""
    store.append([event()])
    refused = make_event("t", "plan_created", {}, "success")[0]
    broken = TraceEvent(refused.event, "t", NOW, refused.details, None)  # type: ignore[arg-type]
    with pytest.raises(DatabaseError):
        store.append([event(), broken])
    assert Event.objects.count() == Trace.objects.get().last_sequence == 1


def test_a_project_without_time_zones_stores_utc(settings: Settings) -> None:
    """With USE_TZ off, the times are naive in the database and UTC on the wire."""
    settings.USE_TZ = False
    (batch,) = store.append([event()])
    assert stored() == list(batch.events)
    assert '"timestamp":"2026-01-05T12:00:00.000000+00:00"' in batch.events[0].text


@pytest.mark.django_db(transaction=True)
def test_many_writers_leave_no_hole() -> None:
    """Invariant 1, with four threads appending to the same two traces at once, each on its own connection."""
    started = threading.Barrier(4)

    def write() -> None:
        started.wait()
        for _ in range(25):
            store.with_fresh_connection(store.append, [event("a"), event("b"), event("a")])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.sequence for e in stored("a")] == list(range(1, 201))
    assert [e.sequence for e in stored("b")] == list(range(1, 101))


@pytest.mark.django_db(transaction=True)
def test_many_writers_of_many_traces_do_not_end_each_other() -> None:
    """Invariant 1: traces are locked in one order, also where one statement raises them all."""
    names = [f"t-{number}" for number in range(100)]
    store.append([event(name) for name in names])
    started, failed = threading.Barrier(4), []

    def write(mine: list[str]) -> None:
        started.wait()
        try:
            for _ in range(10):
                store.with_fresh_connection(store.append, [event(name) for name in mine])
        except DatabaseError as error:
            failed.append(error)

    parts = [names, names[::-1], names[::3], names[::-7]]
    threads = [threading.Thread(target=write, args=[part]) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for name in names:
        count = 1 + 10 * sum(name in part for part in parts)
        assert [e.sequence for e in stored(name)] == [*range(1, count + 1)]


def test_heads_are_raised_by_what_is_appended_to_each_trace() -> None:
    """Many in one batch, each by its own: events, errors, losses, tokens, cost, times and ends."""
    store.append([event("t-1"), TraceEnd("t-2", "incomplete", NOW), TraceEnd("t-4", "success", NOW)])
    later, earlier = NOW + timedelta(seconds=1.5), NOW - timedelta(days=1)
    usage = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 2, "gen_ai.usage.cost": 0.1}
    batches = store.append(
        [
            replace(event("t-1", "tool_call_error", "error"), timestamp=later),
            *(replace(event("t-1", "tool_call_complete"), timestamp=earlier) for _ in range(2)),
            replace(event("t-2"), event="llm_call_complete", details=orjson.dumps(usage).decode()),
            TraceLoss("t-3", NOW, 5),
            event("t-4", "approval_timeout"),
            event("t-5"),
            TraceEnd("t-5", "error", later),
        ]
    )
    assert [(batch.trace_id, batch.last_sequence, batch.state) for batch in batches] == [
        ("t-1", 4, "running"),
        ("t-2", 1, "running"),
        ("t-3", 0, "running"),
        ("t-4", 1, "success"),
        ("t-5", 1, "error"),
    ]
    counts = ("last_sequence", "event_count", "error_count", "lost_count", "tool_calls", "model_calls")
    paid = ("input_tokens", "output_tokens", "cost")
    assert {row[0]: row[1:] for row in Trace.objects.values_list("trace_id", *counts, *paid)} == {
        "t-1": (4, 4, 1, 0, 3, 0, 0, 0, None),
        "t-2": (1, 1, 0, 0, 0, 1, 7, 2, 0.1),
        "t-3": (0, 0, 0, 5, 0, 0, 0, 0, None),
        "t-4": (1, 1, 0, 0, 0, 0, 0, 0, None),
        "t-5": (1, 1, 0, 0, 0, 0, 0, 0, None),
    }
    first = Trace.objects.get(trace_id="t-1")
    assert (first.started_at, first.last_event_at) == (earlier, later)
    ended = Trace.objects.filter(ended_at__isnull=False).order_by("trace_id")
    assert list(ended.values_list("trace_id", "state", "ended_at")) == [
        ("t-4", "success", NOW),
        ("t-5", "error", later),
    ]
    heads = store.read_heads(["t-5", "t-1", "none"])
    assert {name: (head.sequence, head.state) for name, head in heads.items()} == {
        "t-1": (4, "running"),
        "t-5": (1, "error"),
    }


def test_what_is_in_a_file_too_is_stored_once_however_often_it_is_tried() -> None:
    """How far a file is stored is kept in the same transaction; halves of it are what is left of a poisoned one."""
    records = [event(number=number) for number in range(4)]
    assert store.append(records[:2], Spooled("f", 0))[0].last_sequence == 2
    assert store.append(records[:2], Spooled("f", 0)) == []
    (batch,) = store.append(records, Spooled("f", 0))
    assert [e.sequence for e in batch.events] == [3, 4]
    assert store.append(records[2:], Spooled("f", 2)) == []
    assert [orjson.loads(e.text)["details"]["number"] for e in stored()] == [0, 1, 2, 3]
    store.forget_segment("default", "f")
    assert not SpoolSegment.objects.exists()


def test_a_file_and_its_events_are_stored_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the insert fails, the file counts as not stored."""
    with monkeypatch.context() as patch:
        patch.setattr(event_rows, "insert", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.append([event()], Spooled("f", 0))
    assert store.append([event()], Spooled("f", 0))[0].last_sequence == 1


@pytest.mark.parametrize("is_carried_out", [True, False])
@pytest.mark.parametrize("spooled", [None, Spooled("f", 0)])
@pytest.mark.django_db(transaction=True)
def test_a_commit_that_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, is_carried_out: bool, spooled: Spooled | None
) -> None:
    """Invariant 2: the next attempt finds out whether it was carried out, and stores each event once."""
    store.append([event(number=0)])
    commit = connection._commit  # type: ignore[attr-defined]  # the call that the server answers

    def unanswered() -> None:
        if is_carried_out:
            commit()
        raise OperationalError("server closed the connection unexpectedly")

    records: list[TraceRecord] = [event(number=1), event(number=2), TraceEnd("t", "success", NOW)]
    with monkeypatch.context() as patch:
        patch.setattr(connection, "_commit", unanswered)
        with pytest.raises(store.InDoubtError) as doubt:
            store.append(records, spooled)
        connection.close()
    (batch,) = store.append(records, spooled, doubt.value.batches)
    assert [orjson.loads(e.text)["details"]["number"] for e in stored()] == [0, 1, 2]
    assert batch == Batch("t", batch.epoch, "success", 3, tuple(stored(after=1)))
    assert Trace.objects.get().event_count == 3


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_is_refused_is_not_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database answered: a constraint is broken, by an owner who was deleted a moment ago."""
    monkeypatch.setattr(owners, "unknown", lambda *args: frozenset())
    with pytest.raises(IntegrityError):
        store.append([TraceStart("t", NOW, owner_id=987654)])


@pytest.mark.parametrize("state", ["success", "error", "incomplete"])
def test_a_trace_that_goes_on_after_its_end_is_running(state: str) -> None:
    """Until it ends again; whether the end and what follows come in one batch or in two."""
    store.append([event("two"), TraceEnd("two", state, NOW)])
    in_one: list[TraceRecord] = [event("one"), TraceEnd("one", state, NOW), event("one")]
    for records in ([event("two")], in_one):
        (batch,) = store.append(records)
        trace = Trace.objects.get(trace_id=batch.trace_id)
        assert (trace.state, batch.state, trace.ended_at) == ("running", "running", None)
        (batch,) = store.append([event(batch.trace_id), TraceEnd(batch.trace_id, state, NOW)])
        assert (batch.state, Trace.objects.get(trace_id=batch.trace_id).ended_at) == (state, NOW)


@pytest.mark.parametrize("name", ["approval_received", "approval_timeout"])
def test_a_late_decision_does_not_make_a_trace_run(name: str) -> None:
    """Its agent has ended; nobody would end it again."""
    store.append([event("t"), TraceEnd("t", "success", NOW)])
    (batch,) = store.append([replace(event("t"), event=name)])
    assert (batch.state, Trace.objects.get().state) == ("success", "success")


def test_a_traces_times_are_those_that_its_events_tell() -> None:
    """In whatever order they come, and of whatever clocks; never a negative duration."""
    for seconds in (5, -5, 0):
        store.append([replace(event("t"), timestamp=NOW + timedelta(seconds=seconds))])
    trace = Trace.objects.get()
    assert (trace.started_at, trace.last_event_at) == (NOW - timedelta(seconds=5), NOW + timedelta(seconds=5))
    assert trace.duration == timedelta(seconds=10)
    store.append([TraceEnd("t", "success", NOW - timedelta(days=2))])
    assert Trace.objects.get().duration == timedelta(0)


@pytest.mark.parametrize("microsecond", [0, 1, 123456])
@pytest.mark.parametrize("use_tz", [True, False])
def test_times_are_columns_as_django_writes_them(settings: Settings, use_tz: bool, microsecond: int) -> None:
    """A query by time finds what was written beside the models, and what is read beside them is what was sent."""
    settings.USE_TZ = use_tz
    time = NOW.replace(microsecond=microsecond)
    (batch,) = store.append([replace(event(), timestamp=time)])
    assert Event.objects.filter(timestamp=time if use_tz else time.replace(tzinfo=None)).count() == 1
    assert stored() == list(batch.events)
    assert f'"timestamp":"2026-01-05T12:00:00.{microsecond:06}+00:00"' in batch.events[0].text


def test_a_trace_that_was_deleted_meanwhile_begins_again() -> None:
    """Whatever this process remembers of it; the others of the batch are stored once."""
    store.append([event("a"), event("b")])
    Trace.objects.filter(trace_id="a").delete()
    batches = store.append([event("a"), event("b"), event("c")])
    assert [(batch.trace_id, batch.last_sequence) for batch in batches] == [("a", 1), ("b", 2), ("c", 1)]
    assert dict(Trace.objects.values_list("trace_id", "event_count")) == {"a": 1, "b": 2, "c": 1}


def test_what_is_remembered_of_traces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may emit into any number of traces."""
    monkeypatch.setattr(trace_rows, "MAX_BEGUN", 3)
    for number in range(10):
        store.append([event(f"t-{number}"), event("often")])
    assert len(trace_rows._begun) == 3


def test_a_known_trace_costs_no_more_than_it_must() -> None:
    """Invariant: a query per batch, not per event; a trace is begun once."""
    store.append([event()])
    with CaptureQueriesContext(connection) as queries:
        store.append([event() for _ in range(100)])
    asked = [query for query in queries if "SAVEPOINT" not in query["sql"]]
    # Heads up, heads read, events in; PostgreSQL and newer SQLite say where they are when they raise them.
    says = connection.features.can_return_columns_from_insert and connection.vendor != "mysql"
    assert len(asked) == (2 if says else 3)


def named(event_id: str | None, trace_id: str = "t") -> TraceEvent:
    return make_event(trace_id, "plan_created", {"id": event_id}, "success", timestamp=NOW, event_id=event_id)[0]


def test_an_event_id_is_stored_once_per_trace() -> None:
    """Within a batch and over batches; numbers have no hole, counts are right, and events without an id stay."""
    store.append([named("a"), named("a"), named(None), named("b"), named("a", "u")])
    batches = store.append([named("b"), named(None), named("c"), named("a")])
    assert [orjson.loads(e.text)["details"]["id"] for e in stored()] == ["a", None, "b", None, "c"]
    assert [(batch.last_sequence, len(batch.events)) for batch in batches] == [(5, 2)]
    assert Trace.objects.get(trace_id="t").event_count == 5
    assert len(stored("u")) == 1


def test_repeats_alone_change_nothing() -> None:
    """Neither the trace's times nor its watchers hear of it."""
    store.append([named("a"), event()])
    before = Trace.objects.values().get()
    assert store.append([replace(named("a"), timestamp=NOW - timedelta(days=1))]) == []
    assert Trace.objects.values().get() == before


def test_a_deleted_trace_forgets_its_ids() -> None:
    """They live as long as their events."""
    store.append([named("a")])
    Trace.objects.all().delete()
    store.append([named("a")])
    assert len(stored()) == 1


def test_repeats_after_a_commit_in_doubt_are_found() -> None:
    """The attempt before was committed: its batches are told, and nothing is stored again."""
    batches = store.append([named("a"), named("b")])
    assert store.append([named("a"), named("b")], in_doubt=batches) == batches
    assert len(stored()) == 2
    doubtful = [replace(batches[0], events=tuple(e._replace(text="other") for e in batches[0].events))]
    store.append([named("a"), named("c")], in_doubt=doubtful)
    assert Trace.objects.get().event_count == 3


def test_events_without_an_id_are_not_asked_for() -> None:
    """The hot path has no more queries than without ids."""
    store.append([event()])
    with CaptureQueriesContext(connection) as queries:
        store.append([event(), event()])
    assert not [query for query in queries if query["sql"].startswith("SELECT") and "event_id" in query["sql"]]


def test_a_start_does_not_say_when_a_trace_was() -> None:
    """Where the project named an owner today, of what happened yesterday, or will have happened by another clock."""
    for trace_id, days in (("yesterday", -1), ("ahead", 2)):
        store.append([TraceStart(trace_id, NOW, metadata="{}")])
        told = NOW + timedelta(days=days)
        store.append([TraceStart(trace_id, NOW), replace(event(trace_id), timestamp=told)])
        store.append([replace(event(trace_id), timestamp=told + timedelta(seconds=5))])
        trace = Trace.objects.get(trace_id=trace_id)
        assert (trace.started_at, trace.last_event_at) == (told, told + timedelta(seconds=5))
        assert trace.duration == timedelta(seconds=5)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_is_days_off_makes_no_running_trace_old(days: int, settings: Settings) -> None:
    """It is judged by when it was stored: neither incomplete nor pruned."""
    settings.TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS = 3600
    store.append([replace(event(), timestamp=datetime.now(UTC) + timedelta(days=days))])
    assert mark_incomplete() == 0
    assert not silent_traces(stored_now() - timedelta(hours=1)).exists()
    assert Trace.objects.get().state == "running"
