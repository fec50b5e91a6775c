"""What is stored at once, beside what waits for the writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections

from tests.recording.test_recorder import Append, sequences
from trace_streaming import TraceEmitter
from trace_streaming.emitting.emitter import announce
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceEvent, TraceRecord
from trace_streaming.recording import writer
from trace_streaming.recording.recorder import recorder
from trace_streaming.signals import events_recorded
from trace_streaming.storage import store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    """What a test leaves is its own."""
    yield
    recorder.close()


@pytest.fixture
def append(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Sequence[TraceRecord]], None]], None]:
    """Have somebody look at what is stored, before it is; the threads' names tell who stores it."""
    stores: Append = store.append

    def replace(look: Callable[[Sequence[TraceRecord]], None]) -> None:
        def look_and_append(records: list[TraceRecord], *options: Any) -> Any:
            look(records)
            return stores(records, *options)

        monkeypatch.setattr(store, "append", look_and_append)
        monkeypatch.setattr(writer, "_RETRY_SECONDS", (0.001, 0.01))

    return replace


def is_appender() -> bool:
    return threading.current_thread().name == "trace-appender"


def numbered(number: int) -> TraceEvent:
    return make_event("t", "plan_created", {"number": number}, "success", event_id=str(number))[0]


def announce_all(events: Sequence[TraceEvent]) -> None:
    for event in events:
        announce(event)


def emit(*numbers: int) -> Callable[[], None]:
    return partial(announce_all, [numbered(number) for number in numbers])


def test_neither_waits_for_the_other() -> None:
    """While the writer is held up, what is stored at once is; what was emitted before follows."""
    is_held, go_on = threading.Event(), threading.Event()

    def hold(**_: Any) -> None:
        if not is_appender():
            is_held.set()
            go_on.wait(60)

    events_recorded.connect(hold)
    try:
        emitter = TraceEmitter("live")
        emitter.emit("plan_created")
        assert is_held.wait(60)
        emitter.emit("plan_created")
        assert recorder.at_once(emit(1, 2, 3), 60)
        assert (sequences("t"), sequences("live")) == ([1, 2, 3], [1])
    finally:
        go_on.set()
        events_recorded.disconnect(hold)
    assert emitter.flush(60)
    assert sequences("live") == [1, 2]


def test_what_others_emit_meanwhile_is_not_taken_along() -> None:
    """Only what its own thread records is stored with it."""
    other = TraceEmitter("other")

    def emit_both() -> None:
        thread = threading.Thread(target=other.emit, args=("plan_created",))
        thread.start()
        thread.join(60)
        emit(1)()

    assert recorder.at_once(emit_both, 60)
    assert sequences("t") == [1]
    assert other.flush(60)
    assert sequences("other") == [1]


def test_a_database_that_is_away_for_a_moment(append: Any) -> None:
    """The writer tries again; each is stored once, and watchers are told."""
    told: list[int] = []

    def cut_off(records: Sequence[TraceRecord]) -> None:
        if is_appender():
            raise OperationalError("server closed the connection unexpectedly")

    def tell(batches: Any, **_: Any) -> None:
        told.extend(event.sequence for batch in batches for event in batch.events)

    append(cut_off)
    events_recorded.connect(tell)
    try:
        assert recorder.at_once(emit(1, 2), 60)
    finally:
        events_recorded.disconnect(tell)
    assert sequences("t") == told == [1, 2]


def test_one_that_the_database_refuses_is_refused_alone(append: Any) -> None:
    """Among good ones."""
    made = [numbered(number) for number in (1, 2, 3)]

    def refuse(records: Sequence[TraceRecord]) -> None:
        if made[1] in records:
            raise IntegrityError("no such character")

    append(refuse)
    with recorder.refusals() as refused:
        assert recorder.at_once(partial(announce_all, made), 60)
    assert refused == [made[1]]
    assert sequences("t") == [1, 2]


def test_a_commit_that_is_not_answered(append: Any) -> None:
    """What is stored already is not stored again."""
    appends = store.append
    was_asked = threading.Event()

    def lose_the_answer(records: Sequence[TraceRecord]) -> None:
        if is_appender() and not was_asked.is_set():
            was_asked.set()
            raise store.InDoubtError(appends(records))

    append(lose_the_answer)
    assert recorder.at_once(emit(1, 2), 60)
    assert was_asked.is_set()
    assert sequences("t") == [1, 2]


def test_a_database_that_hangs_is_not_waited_for(append: Any) -> None:
    """Who asks is told that it is not stored yet; who asks behind it, too; the end of the process is not held up."""
    hangs, release = threading.Event(), threading.Event()

    def hang(records: Sequence[TraceRecord]) -> None:
        hangs.set()
        assert release.wait(60)

    append(hang)
    assert not recorder.at_once(emit(1), 0.01)
    assert hangs.wait(60)
    assert not recorder.at_once(emit(2), 0.01)
    hanging = (recorder._appender, recorder._writer)
    recorder.close(0.01)
    release.set()
    for thread in hanging:
        assert thread is not None
        thread.join(60)
    assert recorder.at_once(emit(1, 2, 3), 60)
    assert sorted(sequences("t")) == [1, 2, 3]


def test_each_database_gets_what_was_emitted_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 11. The connection was made for the database before: it is not used for the next."""
    assert recorder.at_once(emit(1), 60)
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["default"], "NAME", str(tmp_path / "another.sqlite3"))
        assert not recorder.at_once(emit(2), 0.2)  # it has no tables
    assert recorder.at_once(emit(3), 60)
    assert sequences("t") == [1, 2]
