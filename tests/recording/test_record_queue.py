"""The queue: order is kept, and what is given up is the least important and counted."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime

import pytest

from tests.interrupting import at_each_step
from trace_streaming.events import TraceEnd, TraceEvent, TraceLoss
from trace_streaming.recording.record_queue import Barrier, Destination, RecordQueue

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(number: int, name: str = "plan_created", status: str = "success", trace_id: str = "t") -> TraceEvent:
    return TraceEvent(name, trace_id, NOW, str(number), status)


@pytest.fixture
def queue() -> RecordQueue:
    return RecordQueue()


def test_items_come_out_as_they_went_in(queue: RecordQueue) -> None:
    """Records in order, at most so many at a time, and barriers beside them."""
    barrier = Barrier()
    for item in (event(1), event(2), barrier, event(3)):
        queue.put(item)
    assert queue.take(3) == ([event(1), event(2)], [barrier])
    assert queue.take(3) == ([event(3)], [])


def test_the_oldest_informational_events_go_first(queue: RecordQueue) -> None:
    """Approvals, errors, ends and barriers stay where they are; each trace's losses come with the next batch."""
    end, barrier = TraceEnd("t", "success", NOW), Barrier()
    for item in (
        event(1, "approval_requested"),
        event(2),
        event(3, trace_id="u"),
        event(4, status="error"),
        end,
        barrier,
    ):
        queue.put(item)
    for number in range(5, 9):
        queue.put(event(number))
    assert queue.make_room(8) == {"t": 2, "u": 1}
    records, barriers = queue.take(100)
    kept = [event(1, "approval_requested"), event(4, status="error"), end, event(6), event(7), event(8)]
    assert (records[:6], barriers) == (kept, [barrier])
    assert [(loss.trace_id, loss.count) for loss in records[6:] if isinstance(loss, TraceLoss)] == [("t", 2), ("u", 1)]
    assert queue.take(100) == ([], [])


def test_making_room_is_linear_in_the_queue(queue: RecordQueue) -> None:
    """Invariant 3: of 20,000 traces, too, an emit that finds the queue full does not wait for seconds."""
    for number in range(20_000):
        queue.put(event(number, trace_id=f"t-{number}"))
    started = time.process_time()
    assert queue.make_room(20_000).total() == 2_000
    assert time.process_time() - started < 1


def test_who_interrupts_what_makes_room_changes_no_order(queue: RecordQueue) -> None:
    """Invariant 1: a finalizer, or a signal's handler, that emits there finds the queue full, too."""
    numbers = itertools.count(100)

    def interrupt() -> None:
        queue.put(event(next(numbers)))
        queue.make_room(10)

    def make_room() -> None:
        for number in range(10):
            queue.put(event(number))
        queue.make_room(10)
        taken = [int(record.details) for record in queue.take(100)[0] if isinstance(record, TraceEvent)]
        assert sorted(taken, key=lambda number: number >= 100) == sorted(taken)

    assert at_each_step(make_room, interrupt, "trace_streaming.recording") > 100


def test_who_puts_waits_for_nobody(queue: RecordQueue) -> None:
    """Threads that wait for each other's lock give up the interpreter for each event."""
    with queue._lock:
        putting = threading.Thread(target=queue.put, args=[event(1)], daemon=True)
        putting.start()
        putting.join(60)
        assert not putting.is_alive()
    assert queue.take(1)[0] == [event(1)]


def test_each_batch_is_of_one_destination(queue: RecordQueue) -> None:
    """Invariant 11: also of those that were put between two looks; a barrier belongs to what is before it."""
    here, there = Destination("default", "here"), Destination("default", "there")
    barrier = Barrier()
    queue.put(event(1), here)
    queue.put(event(2), there)
    assert (queue.take(1)[0], queue.destination) == ([event(1)], here)
    queue.put(event(3), there)
    queue.put(barrier)
    queue.put(event(4), here)
    assert (queue.take(9), queue.destination) == (([event(2), event(3)], [barrier]), there)
    assert (queue.take(9), queue.destination) == (([event(4)], []), here)
