"""What waits to be stored, in order: first the files of the spool, then the queue in memory."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from trace_streaming.conf import conf
from trace_streaming.events import TraceEvent, TraceRecord
from trace_streaming.starting import start
from trace_streaming.storage.faults import DATABASE_FAULTS, is_transient
from trace_streaming.telemetry import metrics
from trace_streaming.telemetry.logs import BurstLog

from .destinations import current_destination
from .record_queue import Barrier, Destination, RecordQueue
from .spool import Segment, Spool

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 5_000
"""Records in one transaction: bounds how long other writers wait for it. Also those of one file of the spool."""
RETRY_SECONDS: Final = 1.0
"""Between attempts while the disk does not take the spool."""


@dataclass(slots=True)
class Load:
    """What the writer takes in hand at a time."""

    number: int
    """Its place in the order of this process."""
    records: Sequence[TraceRecord]
    barriers: Sequence[Barrier]
    destination: Destination | None
    """The one database that it is for."""
    segment: Segment | None = None
    """The file that holds it, too."""


class Backlog:
    """Records of one process, put by any thread and taken by the writer's; with a spool, only the disk bounds them."""

    def __init__(self) -> None:
        self._queue = RecordQueue()
        self._segments: deque[Segment] = deque()
        self._order = threading.Lock()
        """Held by whoever takes from the queue, so that what is in a file is older than what is in memory."""
        self._numbers = itertools.count()
        self._spool: Spool | None = None
        self._opening = threading.Lock()
        self._spilling = threading.Lock()
        self.log = BurstLog(logger, logging.ERROR)
        """Of storing; a burst ends when nothing waits any more."""
        self.shed = 0
        """Records that were given up, and may be taken when they are sent again."""
        self._refused = 0
        self._refusals: dict[int, list[TraceRecord]] = {}
        """One list for each who asks."""
        self._spool_log = BurstLog(logger, logging.ERROR)
        self._failed_at: float | None = None
        """When the disk refused."""

    def __len__(self) -> int:
        return len(self._queue) + self.spilled

    @property
    def lost(self) -> int:
        """Records that could not be stored."""
        return self.shed + self._refused

    @property
    def spilled(self) -> int:
        """How many records wait in files."""
        return sum(segment.count for segment in list(self._segments))

    def put(self, item: TraceRecord | Barrier, destination: Destination | None = None) -> None:
        """Append a record for a database, or a barrier."""
        self._queue.put(item, destination)

    def relieve(self) -> Mapping[str, int]:
        """Keep the queue from outgrowing its bound: half full, it goes to files, if there is a spool.

        Full nevertheless, it gives up a tenth; returns how many events went, by trace.
        """
        size, waiting = conf.QUEUE_SIZE, len(self._queue)
        if waiting * 2 >= size and self._may_spill() and self._spilling.acquire(blocking=False):
            try:
                start(threading.Thread(target=self._spill, args=(size // 4,), name="trace-spool", daemon=True))
            except RuntimeError:  # the process may have no more threads
                self._spilling.release()
        return self._queue.make_room(size) if waiting >= size else {}

    def take(self) -> Load:
        """The oldest that waits."""
        with self._order:
            if self._segments:
                segment = self._segments.popleft()
                return Load(next(self._numbers), (), segment.barriers, segment.destination, segment)
            records, barriers = self._queue.take(MAX_BATCH)
            return Load(next(self._numbers), records, barriers, self._queue.destination)

    def done(self, load: Load) -> None:
        """It is stored: its file is needed no more."""
        if load.segment is not None:
            with suppress(OSError):  # the database knows, too: whoever finds the file stores nothing of it
                load.segment.path.unlink(missing_ok=True)

    @property
    def has_spilled(self) -> bool:
        """Whether files wait to be stored."""
        return bool(self._segments)

    def keep(self, load: Load) -> bool:
        """Have it in a file, if there is a spool; it comes before all that was taken after it."""
        with self._order:  # the writer may ask for it, and whoever no longer waits for the writer
            if load.segment is None and conf.SPOOL_DIR is not None:
                load.segment = self._write(load.number, load.records, (), load.destination)
            return load.segment is not None

    def lose(self, count: int, reason: str, trace_id: str = "") -> None:
        """Count records that are given up, and say so once per burst."""
        self.shed += count
        self._say_lost(count, reason, trace_id)

    def refuse(self, record: TraceRecord, error: Exception) -> None:
        """Give up a record that the database does not take, and tell whoever asks, where it never will."""
        reason = f"the database refuses it ({type(error).__name__})"
        if isinstance(error, DATABASE_FAULTS) or is_transient(error):
            self.lose(1, reason, record.trace_id)
            return
        self._refused += 1
        for refused in list(self._refusals.values()):
            refused.append(record)
        self._say_lost(1, reason, record.trace_id)

    @contextmanager
    def refusals(self) -> Iterator[list[TraceRecord]]:
        """The records that the database refuses from now on, whoever sent them."""
        refused: list[TraceRecord] = []
        self._refusals[id(refused)] = refused
        try:
            yield refused
        finally:
            del self._refusals[id(refused)]

    def adopt(self) -> None:
        """Take over what processes that are dead have left in the spool."""
        if conf.SPOOL_DIR is None:
            return
        try:
            self._segments.extendleft(reversed(list(self._open_spool().adopt(current_destination()))))
        except OSError as error:
            self._log_failing(error)

    def close(self) -> int:
        """At the end of the process: the queue goes to the spool. Returns how many records could not."""
        while conf.SPOOL_DIR is not None and len(self._queue) and self._spill_one():
            pass
        with self._order:  # whoever is just writing a file has it in the list before the locks are let go
            if self._spool is not None:
                self._spool.close()
                self._spool = None
            for barrier in (barrier for segment in self._segments for barrier in segment.barriers):
                if barrier.set_running_or_notify_cancel():
                    barrier.set_exception(TimeoutError())  # it is for the next process to store
            self._segments.clear()
        return self._queue.records

    def forget(self) -> None:
        """In a forked child: all of it is the parent's."""
        if self._spool is not None:
            self._spool.forget()

    def _say_lost(self, count: int, reason: str, trace_id: str) -> None:
        metrics.counts.add("shed", count)
        self.log.failed(reason, "Trace events are lost: %s", reason, extra={"trace_id": trace_id})

    def _may_spill(self) -> bool:
        is_refused = self._failed_at is not None and monotonic() - self._failed_at < RETRY_SECONDS
        return conf.SPOOL_DIR is not None and not is_refused

    def _spill(self, down_to: int) -> None:
        try:
            while len(self._queue) > down_to and self._spill_one():
                pass
        finally:
            self._spilling.release()

    def _spill_one(self) -> bool:
        """Move the oldest of the queue into a file; False when the disk does not take it."""
        with self._order:
            records, barriers = self._queue.take(MAX_BATCH)
            segment = self._write(next(self._numbers), records, barriers, self._queue.destination)
            if segment is None:
                self._queue.put_back(records, barriers)
                return False
            self._segments.append(segment)
        return True

    def _write(
        self,
        number: int,
        records: Sequence[TraceRecord],
        barriers: Sequence[Barrier],
        destination: Destination | None,
    ) -> Segment | None:
        try:
            segment = self._open_spool().write(number, records, barriers, destination)
        except (OSError, TypeError) as error:
            self._log_failing(error)
            return None
        metrics.counts.add("spooled", sum(isinstance(record, TraceEvent) for record in records))
        self._failed_at = None
        self._spool_log.works()
        return segment

    def _open_spool(self) -> Spool:
        with self._opening:  # the writer may adopt while another thread spills: each would have a spool of its own
            if self._spool is None:
                self._spool = Spool(Path(conf.SPOOL_DIR or ""))
            return self._spool

    def _log_failing(self, error: OSError | TypeError) -> None:
        reason = getattr(error, "strerror", None) or type(error).__name__
        self._spool_log.failed("spool", "Spooling trace events fails (%s)", reason)
        self._failed_at = monotonic()
