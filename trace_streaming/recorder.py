"""Stores what is emitted: a queue, and one writer thread per process that appends whatever has gathered."""

from __future__ import annotations

import atexit
import logging
import multiprocessing.util
import os
import random
import threading
from collections.abc import Sequence
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connections

from . import store
from .conf import conf
from .events import TraceEnd, TraceEvent, TraceRecord, TraceStart
from .frames import Batch
from .inline import run_blocking
from .publisher import Publisher
from .record_queue import Barrier, RecordQueue
from .signals import event_emitted, events_recorded, flush_requested, trace_ended, trace_started

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 5_000
"""Records in one transaction: bounds how long other writers wait for it."""
EXIT_FLUSH_SECONDS: Final = 5.0
SYNC_SECONDS: Final = 10.0
"""How long ``emit`` waits at most until its event is stored, with ``TRACE_STREAMING_DURABILITY = "sync"``."""
IDLE_SECONDS: Final = 2.0
"""After this long without an event, the writer gives its database connection back."""
_RETRY_SECONDS: Final = (0.05, 5.0)
"""First and longest wait between attempts while the database does not answer."""
_TRANSIENT = (OperationalError, InterfaceError)


class Recorder:
    """Queue and writer thread of one process. The module has one, ``recorder``."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.lost = 0
        """Records that could not be stored, since the process started."""
        self._queue = RecordQueue()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._logged: set[str] = set()
        """What has gone wrong and was logged in this burst."""

    def forget(self) -> None:
        """In a forked child: what is queued here is the parent's to store."""
        self._reset()

    @property
    def pending(self) -> int:
        """How many records wait to be stored."""
        return len(self._queue)

    def record(self, record: TraceRecord) -> None:
        """Take a record; never raises. Returns at once, unless ``TRACE_STREAMING_DURABILITY`` asks to wait."""
        if conf.RECORDER == "inline":
            try:
                run_blocking(self._append_inline, record)
            except TimeoutError:
                self._lose(1, "its thread waits for the event loop", record.trace_id)
        else:
            if len(self._queue) >= conf.QUEUE_SIZE:
                for trace_id, count in self._queue.make_room(conf.QUEUE_SIZE).items():
                    self._lose(count, "the queue is full", trace_id)
            self._put(record)
            if conf.DURABILITY == "sync" and not self.flush(SYNC_SECONDS):
                self._log("Trace events are not stored in time: %s", "the database is slow or away")

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was recorded before is stored; False when ``timeout`` seconds did not suffice.

        False at once in the writer thread itself, that is, in a receiver of ``events_recorded``.
        """
        if threading.current_thread() is self._thread:
            return False
        try:
            self.barrier().result(timeout)
        except TimeoutError:
            return False
        return True

    def barrier(self) -> Barrier:
        """A future that is done when all that was recorded before it is stored or given up."""
        barrier = Barrier()
        if not self._queue and self._thread is None:
            barrier.set_result(None)
        else:
            self._put(barrier)
        return barrier

    def close(self, timeout: float = EXIT_FLUSH_SECONDS) -> None:
        """Store what is queued, for at most ``timeout`` seconds, and end the writer thread.

        The next emit starts another.
        """
        thread = self._thread
        if thread is None:
            return
        if not self.flush(timeout):
            logger.error("%d events were not stored in time", self.pending)
        self._stop.set()
        self._wake.set()
        thread.join(timeout)

    def _put(self, item: TraceRecord | Barrier) -> None:
        self._queue.put(item)
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._write, name="trace-recorder", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        publisher = Publisher()
        try:
            while not self._stop.is_set():
                if not self._wake.wait(IDLE_SECONDS):
                    connections[store.database()].close()
                    self._wake.wait()
                self._wake.clear()  # before the queue is read: a record put after this wakes us again
                while self._queue:
                    self._write_batch(publisher)
                self._logged.clear()
        finally:
            publisher.close()
            connections.close_all()
            self._thread = None

    def _write_batch(self, publisher: Publisher) -> None:
        records, barriers = self._queue.take(MAX_BATCH)
        if records:
            self._store(records, publisher)
        for barrier in barriers:
            if barrier.set_running_or_notify_cancel():  # whoever waited may have given up
                barrier.set_result(None)

    def _store(self, records: Sequence[TraceRecord], publisher: Publisher) -> None:
        """Store and publish; while the database does not answer, wait for it; give up only on what it refuses."""
        wait, longest = _RETRY_SECONDS
        while not self._stop.is_set():
            try:
                batches = store.append(records)
            except _TRANSIENT as error:
                self._log("Storing trace events fails (%s); they are kept and tried again", type(error).__name__)
                connections[store.database()].close()
                self._stop.wait(wait * random.uniform(0.5, 1.5))
                wait = min(wait * 2, longest)
            except Exception as error:
                self._give_up_on_the_poisoned(records, publisher, error)
                return
            else:
                _announce(batches, publisher)
                return
        self._lose(len(records), "the process is ending", records[0].trace_id)

    def _give_up_on_the_poisoned(self, records: Sequence[TraceRecord], publisher: Publisher, error: Exception) -> None:
        """Halve the batch until what the database refuses stands alone; everything else is stored."""
        if len(records) == 1:
            self._lose(1, f"the database refuses it ({type(error).__name__})", records[0].trace_id)
            return
        middle = len(records) // 2
        self._store(records[:middle], publisher)
        self._store(records[middle:], publisher)

    def _append_inline(self, record: TraceRecord) -> None:
        try:
            batches = store.append([record])
        except Exception as error:
            self._lose(1, f"the database refuses it ({type(error).__name__})", record.trace_id)
            return
        publisher = Publisher()
        try:
            _announce(batches, publisher)
        finally:
            publisher.close()

    def _lose(self, count: int, reason: str, trace_id: str) -> None:
        self.lost += count
        self._log("Trace events are lost: %s", reason, extra={"trace_id": trace_id})

    def _log(self, message: str, reason: str, **options: Any) -> None:
        """Log once per burst: until the queue is empty again."""
        if reason not in self._logged:
            self._logged.add(reason)
            logger.error(message, reason, **options)


def _announce(batches: list[Batch], publisher: Publisher) -> None:
    publisher.publish(batches)
    events_recorded.send_robust(sender=Recorder, batches=batches)


recorder = Recorder()


def record_start(sender: object, start: TraceStart, **kwargs: Any) -> None:
    """Receiver of ``trace_started``."""
    recorder.record(start)


def record_event(sender: object, event: TraceEvent, **kwargs: Any) -> None:
    """Receiver of ``event_emitted``."""
    recorder.record(event)


def record_end(sender: object, end: TraceEnd, **kwargs: Any) -> None:
    """Receiver of ``trace_ended``."""
    recorder.record(end)


def flush(sender: object, timeout: float | None, **kwargs: Any) -> bool:
    """Receiver of ``flush_requested``."""
    return recorder.flush(timeout)


DISPATCH_UID: Final = "trace_streaming.recorder"


_RECEIVERS: Final = (
    (trace_started, record_start),
    (event_emitted, record_event),
    (trace_ended, record_end),
    (flush_requested, flush),
)


def connect() -> None:
    """Make the recorder the receiver of what is emitted."""
    for signal, receiver in _RECEIVERS:
        signal.connect(receiver, dispatch_uid=DISPATCH_UID)


def disconnect() -> bool:
    """Leave storing to somebody else's receivers; what was emitted before is still stored.

    :returns: whether the recorder was connected
    """
    connected = [signal.disconnect(dispatch_uid=DISPATCH_UID) for signal, _ in _RECEIVERS]
    return any(connected)


def _after_fork(recorder: Recorder) -> None:
    # A multiprocessing child ends with os._exit, without atexit, but calls its own finalizers.
    multiprocessing.util.Finalize(None, recorder.close, exitpriority=100)


atexit.register(recorder.close)
os.register_at_fork(after_in_child=recorder.forget)
multiprocessing.util.register_after_fork(recorder, _after_fork)
