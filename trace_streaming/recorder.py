"""Stores what is emitted: a queue, and one writer thread per process that appends whatever has gathered."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import connections

from . import process_end, store
from .backlog import Backlog, Load
from .burst_log import BurstLog
from .conf import conf
from .events import TraceEnd, TraceEvent, TraceRecord, TraceStart
from .frames import Batch
from .inline import run_blocking
from .publisher import Publisher
from .record_queue import Barrier
from .signals import event_emitted, events_recorded, flush_requested, trace_ended, trace_started
from .spool import Segment, UnreadableSegmentError

logger = logging.getLogger(__name__)

EXIT_FLUSH_SECONDS: Final = 5.0
SYNC_SECONDS: Final = 10.0
"""How long ``emit`` waits at most until its event is stored, with ``TRACE_STREAMING_DURABILITY = "sync"``."""
IDLE_SECONDS: Final = 2.0
"""After this long without an event, the writer gives its database connection back."""
_RETRY_SECONDS: Final = (0.05, 5.0)
"""First and longest wait between attempts while the database does not answer."""


class Recorder:
    """Queue and writer thread of one process. The module has one, ``recorder``."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.lost = 0
        """Records that could not be stored, since the process started."""
        self._backlog = Backlog()
        self._in_hand: Load | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._log = BurstLog(logger, logging.ERROR)
        """A burst ends when nothing waits any more."""

    def forget(self) -> None:
        """In a forked child: what waits here is the parent's to store."""
        self._backlog.forget()
        self._reset()

    @property
    def pending(self) -> int:
        """How many records wait to be stored."""
        return len(self._backlog)

    def record(self, record: TraceRecord) -> None:
        """Take a record; never raises. Returns at once, unless ``TRACE_STREAMING_DURABILITY`` asks to wait."""
        if conf.RECORDER == "inline":
            try:
                run_blocking(self._append_inline, record)
            except TimeoutError:
                self._lose(1, "its thread waits for the event loop", record.trace_id)
        else:
            for trace_id, count in self._backlog.relieve().items():
                self._lose(count, "the queue is full", trace_id)
            self._put(record)
            if conf.DURABILITY == "sync" and not self.flush(SYNC_SECONDS):
                self._log.failed("sync", "Trace events are not stored in time: the database is slow or away")

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
        if not self._backlog and self._thread is None:
            barrier.set_result(None)
        else:
            self._put(barrier)
        return barrier

    def close(self, timeout: float = EXIT_FLUSH_SECONDS) -> None:
        """Store what waits, for at most ``timeout`` seconds, and end the writer thread. The next emit starts another.

        What is not stored in time stays in the spool, if there is one, for the next process.
        """
        thread = self._thread
        if thread is None:
            return
        self.flush(timeout)
        self._stop.set()
        self._wake.set()
        thread.join(timeout)
        if (load := self._in_hand) is not None:
            self._keep(load)  # the database hangs, and the thread with it
        if unstored := self._backlog.close():
            logger.error("%d events were not stored in time", unstored)

    def _put(self, item: TraceRecord | Barrier) -> None:
        self._backlog.put(item)
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                process_end.outlive_sigterm(self)
                self._thread = threading.Thread(target=self._write, name="trace-recorder", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        publisher = Publisher()
        try:
            self._backlog.adopt()
            while not self._stop.is_set():
                while self._backlog:
                    self._write_load(publisher)
                self._log.works()
                if not self._wake.wait(IDLE_SECONDS):
                    connections[store.database()].close()
                    self._wake.wait()
                self._wake.clear()  # before the backlog is asked: a record put after this wakes us again
        finally:
            publisher.close()
            connections.close_all()
            self._thread = None

    def _write_load(self, publisher: Publisher) -> None:
        self._in_hand = load = self._backlog.take()
        if load.segment is not None:
            self._store_segment(load, load.segment, publisher)
        elif load.records and not self._store(load.records, publisher):
            self._keep(load)
        else:
            self._backlog.done(load)
        self._in_hand = None
        for barrier in load.barriers:
            if barrier.set_running_or_notify_cancel():  # whoever waited may have given up
                barrier.set_result(None)

    def _store_segment(self, load: Load, segment: Segment, publisher: Publisher) -> None:
        try:
            records = segment.read()
        except (OSError, UnreadableSegmentError) as error:
            self._lose(segment.count, str(error), "")
            segment.set_aside()
            return
        if self._store(records, publisher, store.Spooled(segment.name, 0)):
            self._backlog.done(load)
            with suppress(DatabaseError):
                store.forget_segment(segment.name)

    def _store(
        self, records: Sequence[TraceRecord], publisher: Publisher, spooled: store.Spooled | None = None
    ) -> bool:
        """Store and publish; while the database does not answer, wait for it; give up only on what it refuses.

        False when the process ends before the database answers.
        """
        wait, longest = _RETRY_SECONDS
        in_doubt: Sequence[Batch] = ()
        while not self._stop.is_set():
            try:
                batches = store.append(records, spooled, in_doubt)
            except (*store.TRANSIENT_ERRORS, store.InDoubtError) as error:
                if isinstance(error, store.InDoubtError):
                    in_doubt = error.batches
                name = type(error).__name__
                self._log.failed(name, "Storing trace events fails (%s); they are kept and tried again", name)
                connections[store.database()].close()
                self._stop.wait(wait * random.uniform(0.5, 1.5))
                wait = min(wait * 2, longest)
            except Exception as error:
                return self._give_up_on_the_poisoned(records, publisher, spooled, error)
            else:
                _announce(batches, publisher)
                return True
        return False

    def _give_up_on_the_poisoned(
        self, records: Sequence[TraceRecord], publisher: Publisher, spooled: store.Spooled | None, error: Exception
    ) -> bool:
        """Halve the batch until what the database refuses stands alone; everything else is stored."""
        if len(records) <= 1:
            self._lose(1, f"the database refuses it ({type(error).__name__})", records[0].trace_id)
            return True
        middle = len(records) // 2
        behind = None if spooled is None else spooled._replace(first=spooled.first + middle)
        return self._store(records[:middle], publisher, spooled) and self._store(records[middle:], publisher, behind)

    def _keep(self, load: Load) -> None:
        """The process is ending before the database answers."""
        if not self._backlog.keep(load):
            self._lose(len(load.records), "the process is ending", load.records[0].trace_id)

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
        self._log.failed(reason, "Trace events are lost: %s", reason, extra={"trace_id": trace_id})


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


process_end.install(recorder)
