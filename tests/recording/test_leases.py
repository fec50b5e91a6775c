"""This process holds what its emitters have open, for as long as it lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, ProgrammingError
from django.test import Client, TestCase, override_settings
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.conf import conf
from trace_streaming.events import TraceRecord
from trace_streaming.models import EmitterLease, Event, HeldTrace, Trace
from trace_streaming.recording import leases as module
from trace_streaming.recording import writer
from trace_streaming.recording.broadcast import emit_trace_event
from trace_streaming.recording.leases import Leases, give_up_the_dead
from trace_streaming.recording.recorder import recorder
from trace_streaming.servers.presence import Presence
from trace_streaming.signals import events_recorded
from trace_streaming.storage import leases as stored
from trace_streaming.storage import store
from trace_streaming.storage.times import UtcNow
from trace_streaming.wire.batches import Batch


@pytest.fixture
def leases(settings: Settings, transactional_db: None) -> Iterator[Leases]:
    """As in production; nothing is left behind."""
    settings.TRACE_STREAMING_LEASE_SECONDS = 30.0
    recorder.close()
    yield recorder.leases
    recorder.close()
    assert recorder.leases._leases == {}
    assert "trace-leases" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture(autouse=True)
def first_beat(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The thread beats as soon as it starts, and then not within a test."""
    beat, beaten = Leases._beat, threading.Event()

    def beat_and_say(self: Leases) -> None:
        beat(self)
        beaten.set()

    monkeypatch.setattr(Leases, "_beat", beat_and_say)
    return beaten


@pytest.fixture
def told() -> Iterator[list[Batch]]:
    """What watchers are told."""
    heard: list[Batch] = []

    def receive(batches: list[Batch], **kwargs: object) -> None:
        heard.extend(batches)

    events_recorded.connect(receive)
    yield heard
    events_recorded.disconnect(receive)


def emitted(trace_id: str = "t") -> TraceEmitter:
    emitter = TraceEmitter(trace_id)
    emitter.emit("plan_created")
    assert emitter.flush(60)
    return emitter


def held() -> list[str]:
    return sorted(HeldTrace.objects.values_list("trace__trace_id", flat=True))


def state(trace_id: str = "t") -> str:
    return Trace.objects.get(trace_id=trace_id).state


def falls_asleep(first_beat: threading.Event) -> None:
    """For longer than its lease lasts."""
    assert first_beat.wait(60)
    EmitterLease.objects.update(expires_at=UtcNow() - timedelta(seconds=1))


def test_what_an_emitter_has_open_is_held_until_it_ends(leases: Leases) -> None:
    """Sync and async, by ``end`` and by the block."""

    async def run() -> None:
        async with TraceEmitter("async") as emitter:
            await emitter.aemit("plan_created")
            assert await emitter.aflush(60)
            assert await asyncio.to_thread(store.with_fresh_connection, held) == ["async", "t"]

    emitter = emitted()
    asyncio.run(run())
    assert recorder.flush(60)
    assert held() == ["t"]
    emitter.end()
    assert emitter.flush(60)
    assert (held(), EmitterLease.objects.count()) == ([], 1)


def test_a_trace_with_an_owner_is_held_before_its_first_event(leases: Leases) -> None:
    """Its process may die before that."""
    emitter = TraceEmitter("t", metadata={"job": 1})
    assert emitter.flush(60)
    assert held() == ["t"]


def test_a_process_that_ends_leaves_its_traces_incomplete_at_once(leases: Leases, told: list[Batch]) -> None:
    """Invariant 16; their watchers are told. What ended before stays as it ended."""
    emitted()
    with TraceEmitter("ended") as emitter:
        emitter.emit("plan_created")
    recorder.close()
    assert (state(), state("ended"), held()) == ("incomplete", "success", [])
    assert [(batch.trace_id, batch.state) for batch in told if not batch.events and batch.trace_id == "t"] == [
        ("t", "incomplete")
    ]
    emitted()  # the next emit starts it again
    assert (state(), held()) == ("running", ["t"])


def test_a_process_that_was_asleep_takes_its_traces_back(
    leases: Leases, first_beat: threading.Event, told: list[Batch]
) -> None:
    """Others gave them up meanwhile; they run again without an event, and are held."""
    emitter = emitted()
    falls_asleep(first_beat)
    assert give_up_the_dead() == 1
    assert (state(), held()) == ("incomplete", [])
    leases._beat()
    assert (state(), held()) == ("running", ["t"])
    assert [batch.state for batch in told] == ["running", "incomplete", "running"]
    assert EmitterLease.objects.filter(expires_at__gte=UtcNow()).count() == 1
    emitter.end()
    assert emitter.flush(60)
    assert (state(), held()) == ("success", [])


def test_an_event_of_a_process_that_was_asleep_holds_its_trace_again(
    leases: Leases, first_beat: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever comes first, the event or the beat."""
    emitter = emitted()
    falls_asleep(first_beat)
    give_up_the_dead()
    monkeypatch.setattr(module, "monotonic", lambda: float("inf"))
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert (state(), held()) == ("running", ["t"])


def test_a_database_that_was_away_finds_the_traces_as_they_were(
    leases: Leases, first_beat: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beats fail, and are logged once; what is emitted waits; then all of it is held."""
    emitter = emitted()
    monkeypatch.setattr(writer, "_RETRY_SECONDS", (0.001, 0.01))
    monkeypatch.setattr(module._Lease, "is_fresh", lambda *_: False)
    with monkeypatch.context() as patch:

        def fail(*args: object) -> bool:
            raise OperationalError

        patch.setattr(stored, "renew", fail)
        emitter.emit("plan_created")
        assert not emitter.flush(0.1)
        falls_asleep(first_beat)
        give_up_the_dead()
    assert emitter.flush(60)
    assert (state(), held(), Event.objects.count()) == ("running", ["t"], 2)


def test_a_lease_that_the_database_refuses_costs_no_event(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table is missing, say."""

    def fail(*args: object) -> int:
        raise ProgrammingError

    monkeypatch.setattr(stored, "take", fail)
    emitted()
    assert (Event.objects.count(), held()) == (1, [])


def test_a_batch_that_is_refused_is_held_all_the_same(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is halved until what is refused stands alone."""
    append = store.append

    def picky(records: list[TraceRecord], *options: Any) -> list[Batch]:
        if any(record.trace_id == "poison" for record in records):
            raise IntegrityError
        return append(records, *options)

    monkeypatch.setattr(store, "append", picky)
    for trace_id in ("a", "poison", "b"):
        TraceEmitter(trace_id).emit("plan_created")
    assert recorder.flush(60)
    assert held() == ["a", "b"]


def test_a_forked_child_holds_nothing_of_its_parents(leases: Leases) -> None:
    """It is a process of its own, with a lease of its own."""
    emitted()
    own = Leases()
    own.opened("t")
    own.reset()
    assert not own._open
    assert own._leases == {}
    assert held() == ["t"]


def test_what_comes_from_elsewhere_is_not_held(leases: Leases) -> None:
    """A dictionary that is emitted for somebody, and a shell script that says one thing of a run and ends."""
    asyncio.run(emit_trace_event("t", {"event": "plan_created"}))
    call_command("emit_trace_event", "t", "plan_created", stdout=StringIO())
    assert (held(), EmitterLease.objects.count()) == ([], 0)
    recorder.close()
    assert state() == "running"


def test_whoever_serves_or_prunes_finds_what_others_have_left(leases: Leases, first_beat: threading.Event) -> None:
    """No scheduler is needed."""
    emitted()
    falls_asleep(first_beat)
    presence = Presence()
    presence._beat()
    assert state() == "incomplete"
    emitter = emitted("u")
    falls_asleep(first_beat)
    call_command("prune_traces", "--older-than", "30d", stdout=StringIO())
    assert state("u") == "incomplete"
    emitter.end()


@pytest.mark.parametrize("path", ["/api/traces", "/api/traces/t"])
def test_a_process_in_which_traces_are_read_looks_for_the_dead(leases: Leases, client: Client, path: str) -> None:
    """It need not emit, and nobody need watch."""
    client.get(path)
    assert "trace-leases" in [thread.name for thread in threading.enumerate()]


def test_leases_may_be_switched_off(leases: Leases, settings: Settings) -> None:
    """Then silence alone ends what nobody ends."""
    settings.TRACE_STREAMING_LEASE_SECONDS = None
    emitted()
    recorder.close()
    assert (state(), EmitterLease.objects.count()) == ("running", 0)


def test_a_test_run_has_none_unless_it_asks(settings: Settings) -> None:
    """No thread, and no row."""
    del settings.TRACE_STREAMING_LEASE_SECONDS
    assert conf.LEASE_SECONDS is None


class WithinATest(TestCase):
    """A project's own test, with the recorder that a test run has."""

    @override_settings(TRACE_STREAMING_RECORDER="inline", TRACE_STREAMING_LEASE_SECONDS=30.0)
    def test_nothing_is_left_behind(self) -> None:
        """Neither thread nor lease, even where leases are asked for."""
        TraceEmitter("t").emit("plan_created")
        assert (Event.objects.count(), EmitterLease.objects.count()) == (1, 0)
        assert "trace-leases" not in [thread.name for thread in threading.enumerate()]
