"""Stores what is emitted: the receiver of the emitter's signals, and all the ends of a process that it outlives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from time import monotonic
from typing import Final

from trace_streaming.conf import conf
from trace_streaming.events import TraceEnd, TraceEvent, TraceRecord
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.starting import start
from trace_streaming.storage import pools, store
from trace_streaming.telemetry import metrics

from . import process_exit
from .appender import Appender
from .backlog import Backlog
from .destinations import current_destination
from .emission_limits import EmissionLimits
from .inline import after_commit, announce_alone, run_blocking
from .leases import Leases
from .record_queue import Barrier, Destination
from .writer import Writer

logger = logging.getLogger(__name__)

EXIT_FLUSH_SECONDS: Final = 5.0
FORK_SECONDS: Final = 1.0
SYNC_SECONDS: Final = 10.0
"""How long ``emit`` waits at most until its event is stored, with ``TRACE_STREAMING_DURABILITY = "sync"``."""


class _Here(threading.local):
    """What a thread of its own has."""

    records: list[TraceRecord] | None = None
    """Where what it records goes, while that is to be stored at once."""


class Recorder:
    """Takes records from any thread; a writer stores them. The module has one, ``recorder``."""

    def __init__(self) -> None:
        self.leases = Leases()
        self._reset()

    def _reset(self) -> None:
        self._backlog = Backlog()
        self._limits: dict[Destination, EmissionLimits] = {}
        self._writer: Writer | None = None
        self._appender: Appender | None = None
        self._start_lock = threading.RLock()  # a finalizer, or a signal's handler, may emit while it is held
        self._is_starting = False
        self._here = _Here()
        self._forking = threading.local()  # two threads may fork at the same time

    def before_fork(self) -> None:
        """Wait for the transaction that runs: SQLite in the child would take its lock for one of its own, for ever."""
        writer = self._writer
        is_held = writer is not None and writer.storing.acquire(timeout=FORK_SECONDS)
        self._forking.held = writer if is_held else None

    def after_fork(self) -> None:
        """In the parent: go on."""
        if (writer := self._forking.held) is not None:
            writer.storing.release()

    def forget(self) -> None:
        """In a forked child: what waits here is the parent's to store."""
        self._backlog.forget()
        pools.forget()
        self._reset()

    @property
    def pending(self) -> int:
        """How many records wait to be stored."""
        return len(self._backlog)

    @property
    def pending_in_files(self) -> int:
        """How many of these are in files of the spool."""
        return self._backlog.spilled

    @property
    def lost(self) -> int:
        """How many records could not be stored, since the process started."""
        return self._backlog.lost

    @property
    def shed(self) -> int:
        """How many of these may be stored when they are sent again: the database has not refused them for good."""
        return self._backlog.shed

    def refusals(self) -> AbstractContextManager[list[TraceRecord]]:
        """The records that the database will never take, of those that it is given within, whoever sent them."""
        return self._backlog.refusals()

    def record(self, record: TraceRecord, *, is_held: bool = False) -> None:
        """Take a record; never raises. Returns at once, unless ``TRACE_STREAMING_DURABILITY`` asks to wait.

        :param is_held: this process goes on with its trace, until that is ended here: when it dies, the trace does not
            run any more
        """
        rate, total = conf.limits.events_per_trace, conf.limits.total_events_per_trace
        if rate is None and total is None:
            self._record(record, is_held)
            return
        kept = self._limits_here().kept(record, rate, total)
        if record not in kept:
            metrics.counts.add("emitted")
            self._backlog.lose(1, "they are too many for their trace", record.trace_id)
        for each in kept:
            self._record(each, is_held)

    def has_room(self, trace_id: str) -> bool:
        """Whether the trace may have another event that is neither an error nor part of an approval, ever."""
        total = conf.limits.total_events_per_trace
        return total is None or self._limits_here().has_room(trace_id, total)

    def _limits_here(self) -> EmissionLimits:
        """Those of the traces of the database that records are for now."""
        destination = current_destination()
        return self._limits.get(destination) or self._limits.setdefault(destination, EmissionLimits())

    def at_once(self, emit: Callable[[], None], timeout: float) -> bool:
        """Store what ``emit`` has this thread record, in one transaction, beside those of the writer.

        For many events that somebody waits for who can send them again: what is emitted meanwhile does not wait for
        them. Where the database does not take them as they are, they go to the writer, who tries again, and finds
        what is refused.

        :param emit: its events have ids: what is in doubt is stored again
        :param timeout: seconds, until they are stored
        :returns: whether they are stored, or refused
        """
        if conf.RECORDER == "inline":
            emit()
            return True
        records: list[TraceRecord] = []
        self._here.records = records
        try:
            emit()
        finally:
            self._here.records = None
        until, destination = monotonic() + timeout, current_destination()
        if not records or self._is_appended(records, destination, timeout):
            return True
        for record in records:
            self._put(record, destination)
        return self.flush(max(until - monotonic(), 0.0))

    def _is_appended(self, records: Sequence[TraceRecord], destination: Destination, timeout: float) -> bool:
        if (writer := self._living_writer()) is None:
            return False
        with self._start_lock:
            if self._appender is None or not self._appender.is_alive():
                self._appender = Appender()
                self._appender.start()
            appended = self._appender.append(records, destination, writer.storing)
        try:
            appended.result(timeout)
        except Exception:
            appended.cancel()
            return False
        return True

    def _record(self, record: TraceRecord, is_held: bool = False) -> None:
        if isinstance(record, TraceEvent):
            metrics.counts.add("emitted")
        if conf.RECORDER == "inline":
            try:
                run_blocking(self._append_inline, record)
            except TimeoutError:
                self._backlog.lose(1, "its thread waits for the event loop", record.trace_id)
        else:
            if isinstance(record, TraceEnd):
                self.leases.closed(record.trace_id)
            elif is_held:
                self.leases.opened(record.trace_id)
            if (here := self._here.records) is not None:
                here.append(record)
                return
            for trace_id, count in self._backlog.relieve().items():
                self._backlog.lose(count, "the queue is full", trace_id)
            self._put(record, current_destination())
            if conf.DURABILITY == "sync" and not self.flush(SYNC_SECONDS):
                self._backlog.log.failed("sync", "Trace events are not stored in time: the database is slow or away")

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was recorded before is stored; False when ``timeout`` seconds did not suffice.

        False at once in the writer thread itself, that is, in a receiver of ``events_recorded``.
        """
        if isinstance(threading.current_thread(), Writer):
            return False
        barrier, writer = self.barrier(), self._writer
        if not barrier.done() and (writer is None or writer.has_ended):  # none could be started
            return barrier.done()
        try:
            barrier.result(timeout)
        except TimeoutError as error:
            if is_for_the_process(error):
                raise
            return False
        return True

    def barrier(self) -> Barrier:
        """A future that is done when all that was recorded before it is stored or given up."""
        barrier = Barrier()
        if not self._backlog and self._writer is None:
            barrier.set_result(None)
        else:
            self._put(barrier)
        return barrier

    def close(self, timeout: float = EXIT_FLUSH_SECONDS) -> None:
        """Store what waits, for at most ``timeout`` seconds, and end the writer. The next emit starts another.

        What this process has open is unfinished then, unless another goes on with it.
        What is not stored in time stays in the spool, if there is one, for the next process.
        """
        for destination, limits in list(self._limits.items()):
            if destination == current_destination():  # a test run's is gone, and no other is told
                for marker in limits.remaining():
                    self._record(marker)
        until = monotonic() + timeout
        if (appender := self._appender) is not None:
            self._appender = None
            appender.end(timeout)  # before the writer, who is handed what this cannot store
        if (writer := self._writer) is not None:
            try:
                self.flush(max(until - monotonic(), 0.0))
            finally:  # Ctrl-C again: what waits goes to the spool, or is told
                self._writer = None
                writer.end(timeout)
                if unstored := self._backlog.close():
                    logger.error("%d events were not stored in time", unstored)
            metrics.flush()
        self.leases.close()

    def _put(self, item: TraceRecord | Barrier, destination: Destination | None = None) -> None:
        self._backlog.put(item, destination)
        try:
            writer = self._living_writer()
        except RuntimeError:  # the process may have no more threads, or be ending; the next that comes tries again
            self._backlog.log.failed("thread", "Trace events wait: no thread can be started to store them")
            return
        if writer is not None:
            writer.bell.ring()

    def _living_writer(self) -> Writer | None:
        """None in the middle of its own start: it will take all that waits then."""
        writer = self._writer
        if writer is not None and not writer.has_ended:
            return writer
        with self._start_lock:
            if self._is_starting:
                return None
            if self._writer is None or self._writer.has_ended:
                self._is_starting = True
                try:
                    process_exit.outlive_sigterm(self)
                    writer = Writer(self._backlog, self.leases, self._is_taken)
                    start(writer)
                    self._writer = writer
                    metrics.reporter.start()
                finally:
                    self._is_starting = False
                writer.bell.ring()
            return self._writer

    def _is_taken(self, writer: Writer) -> bool:
        """Whether a writer is the one: Ctrl-C may have come while its start was waited for, and the next started."""
        with self._start_lock:
            return self._writer is writer

    def _append_inline(self, record: TraceRecord) -> None:
        try:
            batches = store.append([record])
        except Exception as error:
            if is_for_the_process(error):
                raise
            self._backlog.refuse(record, error)
            return
        after_commit(store.database(), partial(announce_alone, batches))


recorder = Recorder()
metrics.sources["queue_records"] = lambda: recorder.pending - recorder.pending_in_files
metrics.sources["spool_records"] = lambda: recorder.pending_in_files


process_exit.install(recorder)
