"""The recorder keeps, retries and gives up only on what the database refuses; an emit never notices."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TestCase, override_settings
from pytest_django import Settings

from tests.interrupting import at_each_step
from tests.live.servers import migrated_file
from trace_streaming import TraceEmitter
from trace_streaming import recorder as receivers
from trace_streaming.events import TraceEnd, TraceEvent, TraceRecord
from trace_streaming.models import Event, SpoolSegment, Trace
from trace_streaming.recording import backlog, inline, writer
from trace_streaming.recording import recorder as module
from trace_streaming.recording.recorder import Recorder, recorder
from trace_streaming.recording.spool import Segment, Spool
from trace_streaming.signals import events_recorded
from trace_streaming.starting import Bell, start
from trace_streaming.storage import store
from trace_streaming.wire.batches import Batch

Append = Callable[[list[TraceRecord]], list[Batch]]


@pytest.fixture
def failing_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A database that fails as a test wants: ``error`` is called with each batch, and may raise."""
    state: dict[str, Any] = {"error": lambda records: None, "attempts": 0}
    append = store.append

    def flaky(records: list[TraceRecord], *options: Any) -> list[Batch]:
        state["attempts"] += 1
        state["error"](records)
        return append(records, *options)

    monkeypatch.setattr(store, "append", flaky)
    monkeypatch.setattr(writer, "_RETRY_SECONDS", (0.001, 0.01))
    yield state
    state["error"] = lambda records: None


def sequences(trace_id: str) -> list[int]:
    return list(Event.objects.filter(trace__trace_id=trace_id).order_by("sequence").values_list("sequence", flat=True))


@pytest.mark.django_db(transaction=True)
def test_everything_emitted_is_stored_in_order() -> None:
    """After a flush, the log is the emitter's events."""
    emitter = TraceEmitter("t")
    for number in range(500):
        emitter.emit("route_decision", {"number": number}, "success")
    assert emitter.flush(60)
    assert sequences("t") == list(range(1, 501))
    assert Event.objects.get(sequence=500).details == '{"number":499}'


@pytest.mark.django_db(transaction=True)
def test_many_threads_emit_into_one_trace() -> None:
    """Invariant 1: numbers stay 1..n when threads share an emitter."""
    emitter = TraceEmitter("t")

    def emit() -> None:
        for _ in range(100):
            emitter.emit("plan_created", {})

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitter.flush(60)
    assert sequences("t") == list(range(1, 801))


@pytest.mark.django_db(transaction=True)
def test_a_database_that_comes_back_gets_everything(failing_store: dict[str, Any]) -> None:
    """Invariant 3: while the database is down, emits go on, and nothing is lost or stored twice."""
    down = threading.Event()
    tried = threading.Semaphore(0)
    down.set()

    def error(records: list[TraceRecord]) -> None:
        tried.release()
        if down.is_set():
            raise OperationalError("database is locked")

    failing_store["error"] = error
    emitter = TraceEmitter("t")
    for _ in range(20):
        emitter.emit("plan_created", {})
    assert tried.acquire(timeout=60)
    assert tried.acquire(timeout=60)  # it has tried again
    assert not emitter.flush(0.01)
    down.clear()
    assert emitter.flush(60)
    assert sequences("t") == list(range(1, 21))


FAILING_FILE = """
import sys, threading, django; django.setup()
from django.db import connection
from django.db.backends.signals import connection_created
from trace_streaming import TraceEmitter
from trace_streaming.models import Event
from trace_streaming.recorder import recorder
from trace_streaming.recording import writer

writer._RETRY_SECONDS = (0.01, 0.1)
path, fault = connection.settings_dict["NAME"], sys.argv[1]
with open(path, "rb") as file:
    whole = file.read()
has_room = threading.Event()

def fill(connection, **_):
    if not has_room.is_set():
        connection.connection.execute("PRAGMA max_page_count = 1")  # no more than there are

connection_created.connect(fill) if fault == "full" else None
if fault == "malformed":
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\\xff" * (len(whole) - 4096))
emitter = TraceEmitter("t")
for number in range(200):
    emitter.emit("plan_created", {"number": number, "pad": "x" * 2000})
print(emitter.flush(1), recorder.lost)
has_room.set()
if fault == "malformed":
    with open(path, "r+b") as file:
        file.write(whole)
print(emitter.flush(60), recorder.lost, Event.objects.count())
"""


@pytest.mark.parametrize(
    ("fault", "said"), [("malformed", "DatabaseError: SQLITE_CORRUPT"), ("full", "OperationalError: SQLITE_FULL")]
)
def test_a_file_of_sqlite_that_is_mended_gets_everything(tmp_path: Path, fault: str, said: str) -> None:
    """Invariant 3: what was emitted is not to blame for a full disk or a damaged file; the log names it."""
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    command = [sys.executable, "-c", FAILING_FILE, fault]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["False 0", "True 0 200"], done.stderr
    assert f"Storing trace events fails ({said})" in done.stderr


@pytest.mark.django_db(transaction=True)
def test_an_event_that_the_database_refuses_blocks_no_other(
    failing_store: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 9: the refused event is counted and logged without its payload; those around it are stored."""

    def error(records: list[TraceRecord]) -> None:
        if any('"poison"' in getattr(record, "details", "") for record in records):
            raise IntegrityError("no")

    failing_store["error"] = error
    lost = recorder.lost
    with recorder_paused(), caplog.at_level(logging.ERROR):
        emitter = TraceEmitter("t")
        for number in range(10):
            emitter.emit("plan_created", {"what": "poison" if number == 6 else number})
    assert emitter.flush(60)
    assert sequences("t") == list(range(1, 10))
    assert recorder.lost == lost + 1
    assert "refuses" in caplog.text
    assert "poison" not in caplog.text


class recorder_paused:
    """Holds the writer thread back, so that what is emitted inside gathers in one batch."""

    def __enter__(self) -> None:
        self._entered, self._go_on = threading.Event(), threading.Event()
        self._process = os.getpid()
        events_recorded.connect(self._hold)
        TraceEmitter("pause").emit("plan_created")
        assert self._entered.wait(60)

    def _hold(self, **kwargs: Any) -> None:
        self._entered.set()
        if os.getpid() == self._process:  # a forked child is not held
            self._go_on.wait(60)

    def __exit__(self, *error: object) -> None:
        events_recorded.disconnect(self._hold)
        self._go_on.set()


@pytest.mark.django_db(transaction=True)
def test_batches_grow_while_the_writer_is_busy(failing_store: dict[str, Any]) -> None:
    """What gathers during a slow commit is stored by one transaction."""
    with recorder_paused():
        before = failing_store["attempts"]
        emitter = TraceEmitter("t")
        for _ in range(300):
            emitter.emit("plan_created", {})
    assert emitter.flush(60)
    assert failing_store["attempts"] == before + 1
    assert sequences("t") == list(range(1, 301))


def numbers() -> list[int]:
    """The ``n`` of the stored events that have one."""
    details = [json.loads(event.details) for event in Event.objects.order_by("sequence")]
    return [detail["n"] for detail in details if "n" in detail]


@pytest.mark.django_db(transaction=True)
def test_a_full_queue_gives_up_the_oldest_informational_events(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariants 3 and 9: memory is bounded; approvals and errors stay, in order; the trace counts what is missing."""
    settings.TRACE_STREAMING_QUEUE_SIZE = 10
    lost = recorder.lost
    with recorder_paused(), caplog.at_level(logging.ERROR):
        emitter = TraceEmitter("t")
        emitter.emit("approval_requested", {"n": 0})
        for number in range(1, 40):
            emitter.emit("plan_created", {"n": number}, "error" if number == 5 else "success")
        assert recorder.pending <= 10
    assert emitter.flush(60)
    kept = numbers()
    assert kept[:2] == [0, 5]
    assert kept[2:] == list(range(42 - len(kept), 40))
    assert Trace.objects.get(trace_id="t").lost_count == recorder.lost - lost == 40 - len(kept)
    assert sequences("t") == list(range(1, len(kept) + 1))
    assert caplog.text.count("the queue is full") == 1


@pytest.mark.django_db(transaction=True)
def test_a_queue_full_of_approvals_gives_up_the_oldest(settings: Settings) -> None:
    """Approvals go last, but memory stays bounded."""
    settings.TRACE_STREAMING_QUEUE_SIZE = 10
    with recorder_paused():
        emitter = TraceEmitter("t")
        for number in range(30):
            emitter.emit("approval_requested", {"n": number})
    assert emitter.flush(60)
    kept = numbers()
    assert kept == list(range(30 - len(kept), 30))
    assert 5 <= len(kept) <= 10


@pytest.mark.django_db(transaction=True)
async def test_with_sync_durability_an_emit_returns_when_its_event_is_stored(settings: Settings) -> None:
    """From sync code, from several threads at once, and from a task, without blocking the loop."""
    settings.TRACE_STREAMING_DURABILITY = "sync"
    emitter = TraceEmitter("t")
    await asyncio.to_thread(emitter.emit, "plan_created")
    assert await Event.objects.acount() == 1
    await asyncio.gather(*(emitter.aemit("plan_created") for _ in range(20)))
    assert await Event.objects.acount() == 21


@pytest.mark.django_db(transaction=True)
def test_concurrent_emits_that_wait_share_a_transaction(settings: Settings, failing_store: dict[str, Any]) -> None:
    """Group commit: as many callers as there are wait for one transaction, not for one each."""
    emitter = TraceEmitter("t")
    threads = [threading.Thread(target=emitter.emit, args=("plan_created",)) for _ in range(30)]
    with recorder_paused():
        settings.TRACE_STREAMING_DURABILITY = "sync"
        before = failing_store["attempts"]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 4  # the pause ends after 5 seconds
        while recorder.pending < 60:  # 30 events, and 30 callers that wait
            assert time.monotonic() < deadline
            threads[0].join(0.001)
    for thread in threads:
        thread.join()
    assert failing_store["attempts"] == before + 1
    assert sequences("t") == list(range(1, 31))


@pytest.mark.django_db(transaction=True)
def test_an_emit_does_not_wait_for_ever(
    settings: Settings, failing_store: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 3: with the database away, it returns in the end; the event is kept and stored later."""
    settings.TRACE_STREAMING_DURABILITY = "sync"
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.05)

    def error(records: list[TraceRecord]) -> None:
        raise OperationalError

    failing_store["error"] = error
    emitter = TraceEmitter("t")
    emitter.emit("plan_created")
    assert "not stored in time" in caplog.text
    failing_store["error"] = lambda records: None
    assert emitter.flush(60)
    assert sequences("t") == [1]


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_has_ended_starts_again() -> None:
    """Closing stores everything; the next emit starts another writer."""
    TraceEmitter("t").emit("plan_created")
    recorder.close()
    assert sequences("t") == [1]
    emitter = TraceEmitter("t")
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert sequences("t") == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_receivers_hear_of_what_was_committed() -> None:
    """``events_recorded`` comes after the commit; a receiver that raises disturbs nothing."""
    heard: list[int] = []

    def hear(batches: list[Batch], **kwargs: Any) -> None:
        heard.append(store.read_heads(["t"])["t"].sequence)
        raise RuntimeError

    events_recorded.connect(hear)
    try:
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        assert emitter.flush(60)
    finally:
        events_recorded.disconnect(hear)
    assert heard == [1]


@pytest.mark.django_db(transaction=True)
def test_a_project_may_store_by_itself() -> None:
    """With the recorder disconnected nothing is stored; connected again, it is, once."""
    receivers.disconnect()
    try:
        TraceEmitter("t").emit("plan_created")
    finally:
        receivers.connect()
        receivers.connect()
    emitter = TraceEmitter("t")
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert sequences("t") == [1]


@override_settings(TRACE_STREAMING_RECORDER="inline")
class InlineRecorderInTestCase(TestCase):
    """``emit`` stores at once, inside the test's own transaction, in sync and async tests."""

    def test_sync(self) -> None:
        with TraceEmitter("t") as emitter:
            emitter.emit("plan_created")
            assert sequences("t") == [1]
        assert Trace.objects.get().state == "success"

    def test_inside_a_transaction_of_the_test(self) -> None:
        with transaction.atomic():
            TraceEmitter("t").emit("plan_created")
        assert sequences("t") == [1]

    async def test_async(self) -> None:
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        assert await Event.objects.acount() == 1
        await emitter.aemit("plan_created")
        assert await Event.objects.acount() == 2
        assert await emitter.aflush()


@pytest.mark.django_db(transaction=True)
async def test_inline_recorder_in_an_async_pytest_test(settings: Settings) -> None:
    """The same under pytest-asyncio: what was emitted is there for the next query."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    await asyncio.gather(*(TraceEmitter("inline").aemit("plan_created") for _ in range(10)))
    assert await Event.objects.filter(trace__trace_id="inline").acount() == 10


@pytest.mark.django_db
def test_inline_recorder_survives_what_the_database_refuses(settings: Settings, failing_store: dict[str, Any]) -> None:
    """Invariant 3 holds for inline recording too."""
    settings.TRACE_STREAMING_RECORDER = "inline"

    def error(records: list[TraceRecord]) -> None:
        raise OperationalError

    failing_store["error"] = error
    lost, shed = recorder.lost, recorder.shed
    TraceEmitter("t").emit("plan_created")
    assert recorder.lost == lost + 1
    assert recorder.shed == shed + 1  # it may be taken when it is sent again


@pytest.mark.django_db(transaction=True)
def test_a_forked_child_stores_its_own_events_and_not_its_parents() -> None:
    """After a fork each process has its own queue and writer; nothing is stored twice."""
    with recorder_paused():
        emitter = TraceEmitter("t")
        emitter.emit("plan_created", {"by": "parent"})
        child = os.fork()
        if child == 0:
            for connection in connections.all(initialized_only=True):
                connection.connection = None  # the parent's: neither used nor closed here
            emitter.emit("plan_created", {"by": "child"})
            os._exit(0 if emitter.flush(60) and recorder.lost == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert emitter.flush(60)
    events = Event.objects.filter(trace__trace_id="t").order_by("sequence")
    assert [event.details for event in events] == ['{"by":"child"}', '{"by":"parent"}']


def _emit_in_a_child() -> None:
    emitter = TraceEmitter("child")
    for _ in range(100):
        emitter.emit("plan_created")


@pytest.mark.django_db(transaction=True)
def test_a_multiprocessing_child_that_ends_loses_nothing() -> None:
    """Such a child ends without ``atexit``; what it emitted is stored all the same."""
    recorder.close()
    connections.close_all()
    child = multiprocessing.get_context("fork").Process(target=_emit_in_a_child)
    child.start()
    child.join(60)
    assert sequences("child") == list(range(1, 101))


@pytest.mark.django_db(transaction=True)
async def test_whoever_gives_up_waiting_disturbs_nobody() -> None:
    """A cancelled wait for the recorder leaves the writer thread alive, and the waits of others."""
    with recorder_paused():
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        waiting = asyncio.wrap_future(recorder.barrier())
        await asyncio.sleep(0)
        waiting.cancel()
    assert await emitter.aflush(60)
    thread = recorder._writer
    emitter.emit("plan_created")
    assert await emitter.aflush(60)
    assert recorder._writer is thread


@pytest.mark.django_db(transaction=True)
def test_an_owner_who_is_gone_costs_no_event() -> None:
    """The trace has none, and all of its events."""
    lost = recorder.lost
    with recorder_paused():
        emitter = TraceEmitter("t", owner=User(pk=987654))
        for _ in range(3):
            emitter.emit("plan_created")
    assert emitter.flush(60)
    assert sequences("t") == [1, 2, 3]
    assert (Trace.objects.get(trace_id="t").owner, recorder.lost) == (None, lost)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_cannot_wait_for_its_own_thread() -> None:
    """``flush`` in a receiver of ``events_recorded`` says no instead of waiting for ever."""
    answers: list[bool] = []

    def hear(**kwargs: Any) -> None:
        answers.append(emitter.flush())

    emitter = TraceEmitter("t")
    events_recorded.connect(hear)
    try:
        emitter.emit("plan_created")
        assert emitter.flush(60)
    finally:
        events_recorded.disconnect(hear)
    assert answers == [False]


@pytest.mark.django_db(transaction=True)
async def test_inline_recording_never_hangs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 3: where the storing thread waits for the loop, the event is counted as lost, and the emit returns."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    monkeypatch.setattr(inline, "TIMEOUT_SECONDS", 0.05)
    loop, lost = asyncio.get_running_loop(), recorder.lost
    entered = asyncio.Event()

    async def answer() -> None:
        entered.set()

    def wait_for_the_loop() -> None:
        asyncio.run_coroutine_threadsafe(answer(), loop).result()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()

    blocked = asyncio.ensure_future(sync_to_async(wait_for_the_loop)())
    await entered.wait()
    TraceEmitter("t").emit("plan_created")
    assert recorder.lost == lost + 1
    await blocked
    assert not await Event.objects.aexists()


@pytest.mark.django_db(transaction=True)
def test_a_finalizer_emits_while_the_writer_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a signal's handler: neither waits for the thread that it has interrupted."""
    emitter = TraceEmitter()

    def interrupted(thread: threading.Thread) -> None:
        emitter.emit("plan_created", {"by": "a finalizer"})
        start(thread)
        emitter.emit("plan_created", {"by": "another"})

    recorder.close()
    monkeypatch.setattr(module, "start", interrupted)
    emitting = threading.Thread(target=emitter.emit, args=["plan_created", {"by": "the agent"}], daemon=True)
    emitting.start()
    emitting.join(60)
    assert not emitting.is_alive()
    assert emitter.flush(60)
    assert Event.objects.filter(trace__trace_id=emitter.trace_id).count() == 3


@pytest.mark.django_db(transaction=True)
def test_who_interrupts_a_thread_that_emits_may_emit() -> None:
    """Invariant 3: a finalizer, or a signal's handler, wherever it comes; the thread does not wait for itself."""
    at_each_step(begin_and_end, begin_and_end, "trace_streaming.recording", "trace_streaming.starting", "threading")
    assert recorder.flush(60)


def begin_and_end() -> None:
    emitter = TraceEmitter()
    emitter.emit("plan_created")
    emitter.end()


def test_a_bell_is_rung_by_who_waits_for_it() -> None:
    """Invariant 9: the writer's thread may run a finalizer that emits, in the middle of its wait for an event."""
    bell = Bell()

    def ring_and_wait() -> None:
        bell.ring()
        assert bell.wait(60)

    at_each_step(ring_and_wait, bell.ring, "trace_streaming.starting", "threading")


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_while_the_writer_is_started_leaves_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 1: of two each would store what the other has not yet."""

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        start(thread)
        raise KeyboardInterrupt

    recorder.close()
    before, emitter = threading.enumerate(), TraceEmitter()
    monkeypatch.setattr(module, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder.record(TraceEvent("plan_created", emitter.trace_id, datetime.now(UTC), "{}", "success"))
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert [thread.name for thread in threading.enumerate() if thread not in before].count("trace-recorder") == 1
    assert sequences(emitter.trace_id) == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_while_the_last_is_stored_leaves_it_to_the_spool(
    failing_store: dict[str, Any], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: whoever is in a hurry presses it twice."""

    def fail(records: object) -> None:
        raise OperationalError("away")

    def interrupted(timeout: float) -> bool:
        raise KeyboardInterrupt

    failing_store["error"] = fail
    emit_numbers(1, 9)
    monkeypatch.setattr(recorder, "flush", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder.close()
    assert recorder.pending == 0
    monkeypatch.undo()
    failing_store["error"] = lambda records: None
    emit_numbers(10, 10, "u")
    assert recorder.flush(60)
    assert stored_numbers() == list(range(1, 10))


def test_a_script_that_ends_loses_nothing(tmp_path: Any) -> None:
    """What was emitted last is stored on the way out, without a flush."""
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    env["DJANGO_SETTINGS_MODULE"] = "cuga_site.settings"
    script = (
        "import django; django.setup()\n"
        "from trace_streaming import TraceEmitter\n"
        "emitter = TraceEmitter('t')\n"
        "for number in range(2000): emitter.emit('plan_created', {'number': number})\n"
    )
    shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    subprocess.run([sys.executable, "-c", script], env=env, check=True)
    count = "from trace_streaming.models import Trace; print(Trace.objects.get().last_sequence)"
    shell = [sys.executable, "manage.py", "shell", "-v0", "-c", count]
    assert subprocess.run(shell, env=env, check=True, capture_output=True, text=True).stdout.strip() == "2000"


def test_a_barrier_of_an_idle_recorder_is_done() -> None:
    """Where nothing was ever emitted, nobody waits and no thread starts."""
    idle = Recorder()
    assert idle.flush(0)
    assert idle.pending == 0


def emit_numbers(first: int, last: int, trace_id: str = "t") -> TraceEmitter:
    emitter = TraceEmitter(trace_id)
    for number in range(first, last + 1):
        emitter.emit("plan_created", {"number": number})
    return emitter


def stored_numbers(trace_id: str = "t") -> list[int]:
    events = Event.objects.filter(trace__trace_id=trace_id).order_by("sequence")
    return [json.loads(event.details)["number"] for event in events]


@pytest.fixture
def spool(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    """A spool beside a small queue, of a writer that is still to begin."""
    recorder.close()
    settings.TRACE_STREAMING_QUEUE_SIZE = 100
    settings.TRACE_STREAMING_SPOOL_DIR = tmp_path
    yield tmp_path
    recorder.close()


def away(records: list[TraceRecord]) -> None:
    raise OperationalError("the database is away")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_does_not_close_costs_what_was_in_hand_and_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that another thread has opened raises: what is lost is counted, and what comes behind it is stored."""
    recorder.close()
    failures, close_all = [DatabaseError("of another thread")], connections.close_all

    def fail_once() -> None:
        if failures and threading.current_thread().name == "trace-recorder":
            raise failures.pop()
        close_all()

    monkeypatch.setattr(connections, "close_all", fail_once)
    lost = recorder.lost
    assert emit_numbers(1, 1).flush(60)
    assert recorder.lost == lost + 1
    assert emit_numbers(2, 3).flush(60)
    assert stored_numbers() == [2, 3]
    assert "the thread that stores them fails (DatabaseError)" in caplog.text
    recorder.close()


@pytest.mark.django_db(transaction=True)
def test_what_does_not_fit_into_the_queue_goes_through_the_spool(
    failing_store: dict[str, Any], spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or repeated, and the order holds; the files go when they are stored."""
    monkeypatch.setattr(backlog, "MAX_BATCH", 30)
    failing_store["error"] = away
    lost = recorder.lost
    for first in range(1, 1001, 40):  # the emitter is no quicker than the disk: otherwise it gives up events
        emit_numbers(first, first + 39)
        for thread in threading.enumerate():
            if thread.name == "trace-spool":
                thread.join(60)
    assert len(list(spool.glob("*.spool"))) > 20
    failing_store["error"] = lambda records: None
    assert recorder.flush(30)
    assert stored_numbers() == list(range(1, 1001))
    assert (recorder.lost, recorder.pending) == (lost, 0)
    assert [path.suffix for path in spool.iterdir()] == [".lock"]
    assert not SpoolSegment.objects.exists()
    recorder.close()
    assert list(spool.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_what_is_not_stored_when_a_process_ends_is_stored_by_the_next(
    failing_store: dict[str, Any], spool: Path
) -> None:
    """Also what the writer had in hand; in the same order, before what is emitted then."""
    failing_store["error"] = away
    lost = recorder.lost
    emit_numbers(1, 30)
    recorder.close(0.05)
    assert (recorder.lost, recorder.pending) == (lost, 0)
    assert stored_numbers() == []
    failing_store["error"] = lambda records: None
    assert emit_numbers(31, 40).flush(10)
    assert stored_numbers() == list(range(1, 41))
    recorder.close()
    assert list(spool.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_what_the_database_refuses_of_a_file_blocks_nothing(failing_store: dict[str, Any], spool: Path) -> None:
    """The rest is stored once, though the file is stored in pieces and the database goes away between them."""
    failing_store["error"] = away
    emit_numbers(1, 20)
    recorder.close(0.05)
    attempts = 0

    def error(records: list[TraceRecord]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts % 3 == 0:
            raise OperationalError
        if any('"number":7}' in getattr(record, "details", "") for record in records):
            raise IntegrityError("no")

    failing_store["error"] = error
    lost = recorder.lost
    assert emit_numbers(21, 25).flush(10)
    assert stored_numbers() == [*range(1, 7), *range(8, 26)]
    assert recorder.lost == lost + 1
    recorder.close()


@pytest.mark.django_db(transaction=True)
def test_an_unreadable_file_blocks_nothing(spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 9: it is counted, logged, and kept."""
    dead = Spool(spool)
    dead.write(1, [TraceEnd("t", "success", datetime.now(UTC))] * 3, ()).path.write_bytes(b"\x00\n\x00\n\x00\n")
    dead.close()
    lost = recorder.lost
    assert emit_numbers(1, 2).flush(10)
    assert stored_numbers() == [1, 2]
    assert recorder.lost == lost + 3
    assert "holds no trace events of this version" in caplog.text
    assert [path.suffix for path in spool.iterdir() if path.suffix != ".lock"] == [".unreadable"]
    recorder.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_in_a_commit_stores_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 2: the commit was carried out, and its answer was lost."""
    monkeypatch.setattr(writer, "_RETRY_SECONDS", (0.001, 0.01))
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # the call that the server answers
    unanswered = threading.Event()

    def commit_without_an_answer(connection: BaseDatabaseWrapper) -> None:
        commit(connection)
        if threading.current_thread().name == "trace-recorder" and not unanswered.is_set():
            unanswered.set()
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit_without_an_answer)
    assert emit_numbers(1, 5).flush(10)
    assert unanswered.is_set()
    assert emit_numbers(6, 10).flush(10)
    assert stored_numbers() == list(range(1, 11))
    assert sequences("t") == list(range(1, 11))


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_hangs_in_the_database_holds_up_neither_the_end_nor_what_comes_after(
    failing_store: dict[str, Any], spool: Path
) -> None:
    """What it had in hand is left to the next, once; an emit after that has a writer of its own."""
    hangs, release = threading.Event(), threading.Event()

    def hang(records: list[TraceRecord]) -> None:
        hangs.set()
        release.wait(60)
        raise OperationalError("the database has come back, and cut us off")

    failing_store["error"] = hang
    emit_numbers(1, 3)
    assert hangs.wait(60)
    hanging = recorder._writer
    emit_numbers(4, 6)
    recorder.close(0.01)
    failing_store["error"] = lambda records: None
    assert emit_numbers(7, 9).flush(10)
    assert hanging is not None
    assert hanging.is_alive()
    release.set()
    hanging.join(60)
    assert not hanging.is_alive()
    assert stored_numbers() == list(range(1, 10))
    recorder.close()
    assert list(spool.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_file_that_cannot_be_opened_for_a_moment_is_not_lost(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many open files: it is tried again. A file that is gone is counted, and holds up nobody."""
    monkeypatch.setattr(writer, "READ_RETRY_SECONDS", 0.001)
    for count in (3, 5):
        dead = Spool(spool)
        dead.write(1, [TraceEnd("t", "success", datetime.now(UTC))] * count, ())
        dead.close()
    read, attempts = Segment.read, []

    def fail_at_first(segment: Segment) -> list[TraceRecord]:
        attempts.append(segment.path)
        if len(attempts) < 3:
            raise OSError(24, "Too many open files")
        if segment.count == 5:
            segment.path.unlink()
        return read(segment)

    monkeypatch.setattr(Segment, "read", fail_at_first)
    lost = recorder.lost
    assert emit_numbers(1, 2).flush(10)
    assert recorder.lost == lost + 5
    assert Trace.objects.get().state == "running"  # it goes on behind the end that was in the file
    assert stored_numbers() == [1, 2]
    recorder.close()
    assert list(spool.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_threads_that_fork_at_the_same_moment_leave_the_writer_free() -> None:
    """One of them waits in vain for the writer's transaction; what the other holds is let go all the same."""
    assert emit_numbers(1, 1).flush(10)
    forking = recorder._writer
    assert forking is not None
    recorder.before_fork()

    def fork() -> None:
        recorder.before_fork()
        recorder.after_fork()

    other = threading.Thread(target=fork)
    other.start()
    other.join(60)
    recorder.after_fork()
    assert not forking.storing.locked()


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_a_database_goes_to_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 11. A test run takes its database away while events wait: they are lost, and counted."""
    lost = recorder.lost
    with monkeypatch.context() as patch:
        with recorder_paused():
            TraceEmitter("t").emit("plan_created")
            patch.setitem(connections.settings["default"], "NAME", str(tmp_path / "another.sqlite3"))
        assert TraceEmitter("t").flush(10)
    assert recorder.lost == lost + 1
    TraceEmitter("after").emit("plan_created")
    assert TraceEmitter("after").flush(10)
    assert set(Trace.objects.values_list("trace_id", flat=True)) == {"pause", "after"}


@pytest.mark.django_db(transaction=True)
def test_each_database_gets_what_was_emitted_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 11. The writer's connection was made for the database before: it is not used for the next."""
    TraceEmitter("here").emit("plan_created")
    assert TraceEmitter("here").flush(10)
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["default"], "NAME", str(tmp_path / "another.sqlite3"))
        TraceEmitter("there").emit("plan_created")  # it has no tables: the writer tries again
        assert not TraceEmitter("there").flush(0.2)
    assert TraceEmitter("here").flush(10)
    assert list(Trace.objects.values_list("trace_id", flat=True)) == ["here"]
