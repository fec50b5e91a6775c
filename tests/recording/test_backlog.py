"""What waits to be stored keeps its order, in memory and in files."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from trace_streaming.events import TraceEvent, TraceRecord
from trace_streaming.recording import backlog as module
from trace_streaming.recording.backlog import Backlog
from trace_streaming.recording.record_queue import Barrier
from trace_streaming.recording.spool import _Owner

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(number: int) -> TraceEvent:
    return TraceEvent("plan_created", "t", NOW, str(number), "success")


def put(backlog: Backlog, first: int, last: int) -> Counter[str]:
    """As the recorder does it; waits until what is to go into files is there."""
    lost = Counter[str]()
    for number in range(first, last + 1):
        lost += backlog.relieve()
        for thread in threading.enumerate():
            if thread.name == "trace-spool":
                thread.join(60)
        backlog.put(event(number))
    return lost


def taken(backlog: Backlog) -> list[int]:
    """All that waits, in the order of the writer."""
    records: list[TraceRecord] = []
    while backlog:
        load = backlog.take()
        records += load.records if load.segment is None else load.segment.read()
        backlog.done(load)
    return [int(record.details) for record in records if isinstance(record, TraceEvent)]


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.TRACE_STREAMING_QUEUE_SIZE = 20
    settings.TRACE_STREAMING_SPOOL_DIR = tmp_path / "spool"
    return tmp_path / "spool"


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def test_half_a_queue_goes_to_a_file_and_nothing_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first; and they come out in order, the files before the memory."""
    monkeypatch.setattr(module, "MAX_BATCH", 4)
    backlog = Backlog()
    assert put(backlog, 1, 100) == {}
    assert len(backlog) == 100
    assert files(folder).count(".spool") > 10
    assert taken(backlog) == list(range(1, 101))
    assert files(folder) == [".lock"]


def test_without_a_spool_a_full_queue_gives_up_the_oldest(settings: Settings) -> None:
    """As before: a tenth at a time, counted by trace."""
    settings.TRACE_STREAMING_QUEUE_SIZE = 20
    backlog = Backlog()
    assert put(backlog, 1, 21) == {"t": 2}
    assert taken(backlog) == list(range(3, 22))


def test_a_disk_that_refuses_is_logged_once_left_alone_for_a_second_and_used_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until then the queue does what it does without a spool; order is kept."""
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    folder.write_text("no folder")
    backlog = Backlog()
    with caplog.at_level(logging.ERROR):
        assert put(backlog, 1, 25) == {"t": 6}
        assert caplog.text.count("Spooling trace events fails") == 1
        folder.unlink()
        put(backlog, 26, 26)
        assert not folder.exists()
        now += module.RETRY_SECONDS
        assert put(backlog, 27, 60) == {}
    kept = taken(backlog)
    assert kept == sorted(set(kept))
    assert kept[-34:] == list(range(27, 61))


def test_at_the_end_of_the_process_all_of_it_is_left_in_files_in_order(folder: Path) -> None:
    """What the writer had in hand is older than what is in the files, and comes first in the next life."""
    backlog, barrier = Backlog(), Barrier()
    put(backlog, 1, 5)
    in_hand = backlog.take()
    put(backlog, 6, 30)
    backlog.put(barrier)
    assert backlog.keep(in_hand)
    assert backlog.close() == 0
    next_life = Backlog()
    next_life.adopt()
    assert len(next_life) == 30
    assert taken(next_life) == list(range(1, 31))
    next_life.close()
    assert files(folder) == []


def test_without_a_spool_the_end_of_the_process_says_what_is_left(settings: Settings) -> None:
    """It is for the recorder to log; who waits for a flush is no event."""
    backlog = Backlog()
    put(backlog, 1, 7)
    in_hand = backlog.take()
    put(backlog, 8, 9)
    backlog.put(Barrier())
    assert not backlog.keep(in_hand)
    assert backlog.close() == 2


def test_barriers_wait_for_the_file_that_they_were_in(folder: Path) -> None:
    """A flush that began before the file was written ends when the file is stored."""
    backlog, barrier = Backlog(), Barrier()
    put(backlog, 1, 3)
    backlog.put(barrier)
    put(backlog, 4, 30)
    load = backlog.take()
    assert load.segment is not None
    assert list(load.barriers) == [barrier]


def test_at_the_end_whoever_waits_for_a_file_is_told_that_it_is_not_stored(folder: Path) -> None:
    """A flush in another thread must not wait for a process that ends."""
    backlog, barrier = Backlog(), Barrier()
    put(backlog, 1, 3)
    backlog.put(barrier)
    put(backlog, 4, 30)
    backlog.close()
    with pytest.raises(TimeoutError):
        barrier.result(0)


def test_a_process_that_can_have_no_more_threads_emits_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And spools when it can."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    backlog = Backlog()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert put(backlog, 1, 15) == {}
    assert not folder.exists()
    put(backlog, 16, 20)
    assert ".spool" in files(folder)


def test_threads_that_begin_to_spool_share_one_folder_lock(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer adopts while another thread spills: a second lock would stay behind, with files of nobody."""
    settings.TRACE_STREAMING_SPOOL_DIR = str(tmp_path)
    backlog, both = Backlog(), threading.Barrier(2, timeout=10)
    new = _Owner.new

    def slow(folder: Path) -> _Owner:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return new(folder)

    monkeypatch.setattr(_Owner, "new", slow)
    threads = [threading.Thread(target=backlog._open_spool) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("*.lock"))) == 1
