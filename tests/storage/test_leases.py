"""What a process that is gone has left does not look alive, and what a living one has open is left alone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceEnd, TraceEvent, TraceRecord, TraceStart
from trace_streaming.models import EmitterLease, HeldTrace, Trace, stored_now
from trace_streaming.storage import event_rows, leases, retention, store
from trace_streaming.storage.leases import Holder
from trace_streaming.storage.times import UtcNow
from trace_streaming.wire.batches import Batch

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(trace_id: str = "t", name: str = "plan_created") -> TraceEvent:
    return make_event(trace_id, name, {}, "success", timestamp=NOW)[0]


def end(trace_id: str = "t", state: str = "success") -> TraceEnd:
    return TraceEnd(trace_id, state, NOW + timedelta(seconds=1))


def process(*open_traces: str) -> Holder:
    """One that emits, and has a lease."""
    holder = Holder(set(open_traces))
    holder.lease = leases.take("default", 30)
    return holder


def append(holder: Holder | None, *records: TraceEvent | TraceEnd | TraceStart) -> list[Batch]:
    return store.append(records, alias="default", holder=holder)


def dies(holder: Holder) -> None:
    """Its lease runs out."""
    EmitterLease.objects.filter(pk=holder.lease or 0).update(expires_at=UtcNow() - timedelta(milliseconds=1))


def state(trace_id: str = "t") -> str:
    return Trace.objects.get(trace_id=trace_id).state


def held() -> list[str]:
    return sorted(HeldTrace.objects.values_list("trace__trace_id", flat=True))


def test_what_a_process_has_left_is_incomplete() -> None:
    """Invariant 16: it ended with its last event, and its watchers are told so. It is told once."""
    holder = process("t", "ended")
    (batch,) = append(holder, event())
    append(holder, event("ended"), end("ended"))
    append(None, event("of another"))
    assert leases.give_up("default") == []
    dies(holder)
    assert leases.give_up("default") == [Batch("t", batch.epoch, "incomplete", 1)]
    assert leases.give_up("default") == []
    trace = Trace.objects.get(trace_id="t")
    assert (trace.state, trace.ended_at, trace.last_event_at) == ("incomplete", NOW, NOW)
    assert (state("ended"), state("of another"), held()) == ("success", "running", [])


def test_a_trace_that_a_living_process_holds_runs_on() -> None:
    """With two processes on one trace, the one that lives keeps it running; it ends with the last."""
    first, second = process("t"), process("t")
    append(first, event())
    append(second, event())
    dies(first)
    assert leases.give_up("default") == []
    assert state() == "running"
    dies(second)
    assert [batch.trace_id for batch in leases.give_up("default")] == ["t"]


def test_whoever_goes_on_makes_it_run_again() -> None:
    """And holds it from then on."""
    first, second = process("t"), process("t")
    append(first, event())
    dies(first)
    leases.give_up("default")
    append(second, event())
    assert (state(), held()) == ("running", ["t"])
    dies(second)
    leases.give_up("default")
    append(second, TraceStart("t", NOW))
    assert state() == "running"


@pytest.mark.parametrize("name", ["approval_received", "approval_timeout"])
def test_what_is_told_to_an_agent_that_is_gone_wakes_nobody(name: str) -> None:
    """Invariant 16: a decision, or that there was none in time, comes from others."""
    holder = process("t")
    append(holder, event())
    dies(holder)
    leases.give_up("default")
    append(None, event(name=name))
    assert (state(), Trace.objects.get().last_sequence) == ("incomplete", 2)


def test_a_batch_of_held_traces_asks_nothing_more() -> None:
    """One row for each trace and process, however many batches there are; none for one that ends with its first."""
    names = [f"t-{number}" for number in range(300)]
    holder = process(*names, "short")
    append(holder, *map(event, names), event("short"), end("short"))
    assert HeldTrace.objects.count() == 300
    queries = []
    for who in (holder, None):
        with CaptureQueriesContext(connection) as captured:
            append(who, *map(event, names))
        queries.append(len(captured))
    assert queries[0] == queries[1]
    with CaptureQueriesContext(connection) as captured:
        append(holder, event("new to it"))
    assert not any("heldtrace" in query["sql"] for query in captured)


def test_a_trace_that_ends_is_let_go() -> None:
    """By the process that ends it; another that has it open holds it still."""
    first, second = process("t"), process("t")
    append(first, event())
    append(second, event())
    append(first, end())
    assert list(HeldTrace.objects.values_list("lease", flat=True)) == [second.lease]
    assert (first.held, list(second.held)) == ({}, ["t"])
    append(first, event())  # it goes on
    assert HeldTrace.objects.count() == 2


def test_a_trace_that_began_again_is_held_again() -> None:
    """It was deleted meanwhile, and its hold with it."""
    holder = process("t")
    append(holder, event())
    Trace.objects.get().delete()
    assert held() == []
    append(holder, event())
    assert held() == ["t"]


def test_what_is_rolled_back_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt writes it."""
    holder = process("t")

    def fail(*args: object) -> None:
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr(event_rows, "insert", fail)
        with pytest.raises(LookupError):
            append(holder, event())
    assert (holder.held, held()) == ({}, [])
    append(holder, event())
    assert held() == ["t"]


def test_a_lease_that_has_run_out_is_never_renewed() -> None:
    """Others rely on that; whoever comes back takes another, and has running what was given up meanwhile."""
    holder = process("t", "ended by another", "still running")
    batches = append(holder, *map(event, ("t", "ended by another", "still running")))
    assert holder.lease is not None
    assert leases.renew("default", holder.lease, 30)
    dies(holder)
    assert not leases.renew("default", holder.lease, 30)
    leases.give_up("default")
    append(None, event("still running"))
    append(None, end("ended by another", "incomplete"))
    lease = leases.take("default", 30)
    lost = holder.under_another(lease)
    news = leases.reclaim("default", lease, lost.values())
    assert news == [Batch("t", next(b.epoch for b in batches if b.trace_id == "t"), "running", 1)]
    holder.remember(lease, lost)
    assert holder.under_another(lease) == {}
    assert (state("t"), state("still running"), state("ended by another")) == ("running", "running", "incomplete")
    assert held() == ["ended by another", "still running", "t"]
    assert Trace.objects.get(trace_id="t").ended_at is None


def test_what_is_written_under_a_lease_that_was_lost_refuses_no_event() -> None:
    """Its process was stopped in the middle: the hold is found by whoever looks next, and taken over by its process."""
    holder = process("t")
    dies(holder)
    leases.give_up("default")
    append(holder, event())
    lease = leases.take("default", 30)
    assert holder.under_another(lease) == {"t": Trace.objects.get().pk}
    assert [batch.trace_id for batch in leases.give_up("default")] == ["t"]
    EmitterLease.objects.all().delete()  # an hour later
    append(holder, event("t"), event("u"))


def test_leases_that_ran_out_long_ago_are_deleted() -> None:
    """With the next that is taken."""
    old, young = process(), process()
    dies(young)
    EmitterLease.objects.filter(pk=old.lease or 0).update(expires_at=UtcNow() - timedelta(hours=2))
    new = leases.take("default", 30)
    assert set(EmitterLease.objects.values_list("pk", flat=True)) == {young.lease, new}


def test_of_too_many_the_newest_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends none of its traces fills neither its memory nor the table."""
    monkeypatch.setattr(leases, "MAX_HELD", 2)
    holder = process("a", "b", "c", "d")
    for trace_id in "abcd":
        append(holder, event(trace_id))
    assert (list(holder.held), held()) == (["c", "d"], ["c", "d"])


def test_several_that_look_at_the_same_time_find_each_trace_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lives does it, and they do not fight; an emitter that goes on beside them keeps its own."""
    monkeypatch.setattr(leases, "CHUNK_TRACES", 7)
    names = [f"t-{number:02}" for number in range(60)]
    gone, living = process(*names), process(*names)
    append(gone, *map(event, names))
    dies(gone)
    found: list[str] = []
    together = threading.Barrier(4)

    def look() -> None:
        together.wait(60)
        found.extend(batch.trace_id for batch in leases.give_up("default"))
        connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    together.wait(60)
    for name in names[:20]:
        append(living, event(name))
    for thread in threads:
        thread.join(30)
    assert sorted(found) == sorted(set(found))
    assert set(names[20:]) <= set(found)
    assert {state(name) for name in names[:20]} == {"running"}
    assert {state(name) for name in names[20:]} == {"incomplete"}


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_leases_are_judged_by_one_clock(settings: Settings, zone: str) -> None:
    """The database's, in a project without time zones, too."""
    settings.USE_TZ = False
    settings.TIME_ZONE = zone
    lease = leases.take("default", 30)
    assert leases.renew("default", lease, 30)
    assert abs(EmitterLease.objects.get().expires_at - stored_now() - timedelta(seconds=30)) < timedelta(seconds=5)
    leases.run_out("default", lease)
    assert not leases.renew("default", lease, 30)


def test_a_trace_that_is_pruned_takes_its_holds_along() -> None:
    """None of them is left behind."""
    holder = process("t")
    append(holder, event())
    assert list(retention.prune(Trace.objects.get(), stored_now() + timedelta(seconds=1))) == [1]
    assert held() == []


def test_what_a_dead_process_had_not_stored_wakes_nobody() -> None:
    """Invariant 16: its spool is stored by another process, after its traces were given up."""
    holder = process("t", "new")
    append(holder, event())
    dies(holder)
    leases.give_up("default")
    left: list[TraceRecord] = [event(), event("new"), event("ended"), end("ended"), event("of another")]
    append(None, event("of another"))
    store.append(left, store.Spooled("segment", 0, is_left=True))
    ends = {"t": "incomplete", "new": "incomplete", "ended": "success", "of another": "running"}
    assert dict(Trace.objects.values_list("trace_id", "state")) == ends
    append(holder, event("new"))
    assert state("new") == "running"
