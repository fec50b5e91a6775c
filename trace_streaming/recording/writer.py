"""The thread that stores what waits: one transaction after the other, each with whatever has gathered meanwhile."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final

from django.db import Error as DatabaseError
from django.db import connections

from trace_streaming.events import TraceRecord
from trace_streaming.starting import Bell
from trace_streaming.storage import owners, store
from trace_streaming.storage.faults import fault_of_database
from trace_streaming.telemetry import metrics
from trace_streaming.watching.publisher import Publisher
from trace_streaming.wire.batches import Batch

from .backlog import Backlog, Load
from .destinations import is_there
from .inline import announce
from .leases import Leases
from .record_queue import Destination
from .spool import Segment, UnreadableSegmentError

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 2.0
"""After this long without an event, the writer gives its database connection back."""
READ_RETRY_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = (0.05, 5.0)
"""First and longest wait between attempts while the database does not answer."""


class Writer(threading.Thread):
    """Takes from a backlog until it is stopped.

    :param is_taken: whether this is the one thread that does; it waits for whoever has started it
    """

    def __init__(self, backlog: Backlog, leases: Leases, is_taken: Callable[[Writer], bool]) -> None:
        super().__init__(name="trace-recorder", daemon=True)
        self.has_ended = False
        """Not ``is_alive``: Ctrl-C in the middle of that makes Python 3.11 take a thread for dead that lives."""
        self.bell = Bell()
        """Rung by whoever has put something into the backlog."""
        self.stop = threading.Event()
        """Set to end the thread, as soon as the database lets it."""
        self.storing = threading.Lock()
        """Held during a transaction; whoever holds it keeps the next from beginning."""
        self._is_taken = is_taken
        self._backlog = backlog
        self._leases = leases
        self._in_hand: Load | None = None
        self._destination: Destination | None = None
        """The database that this thread is connected to."""
        self._publisher = Publisher()

    def run(self) -> None:
        """The thread itself."""
        if not self._is_taken(self):
            return
        try:
            self._backlog.adopt()
            while not self.stop.is_set():
                while self._backlog and not self.stop.is_set():
                    self._write_load()
                self._backlog.log.works()
                self._name_owners()
                if not self.bell.wait(IDLE_SECONDS):
                    self._name_owners()
                    connections.close_all()
                    self.bell.wait(IDLE_SECONDS if owners.are_awaited() else None)
            self._name_owners(at_once=True)
        finally:
            self.has_ended = True
            self._publisher.close()
            connections.close_all()

    @staticmethod
    def _name_owners(*, at_once: bool = False) -> None:
        """Of traces that were stored before their owner was."""
        with suppress(Exception):  # whatever it is, it is tried again, and the thread goes on
            owners.name_the_awaited(at_once=at_once)

    def end(self, timeout: float) -> None:
        """Stop; what it has in hand stays in the spool, or is lost, where the database hangs."""
        self.stop.set()
        self.bell.ring()
        self.join(timeout)
        if (load := self._in_hand) is not None:
            self._keep(load)

    def _write_load(self) -> None:
        self._in_hand = load = self._backlog.take()
        try:
            self._settle(load)
        except Exception as error:  # of nothing that is known here: a driver's connection that does not even close, say
            if load.records and load.segment is None:  # a file is for the next process to store
                reason = f"the thread that stores them fails ({type(error).__name__})"
                self._backlog.lose(len(load.records), reason, load.records[0].trace_id)
            logger.exception("The thread that stores trace events fails; it goes on")
        finally:
            self._in_hand = None
            for barrier in load.barriers:
                if barrier.set_running_or_notify_cancel():  # whoever waited may have given up
                    barrier.set_result(None)

    def _settle(self, load: Load) -> None:
        if load.destination is not None and load.destination != self._destination:
            connections.close_all()  # a connection stays with the database that it was made for
            self._destination = load.destination
        records = load.records if load.segment is None else self._read(load.segment)
        spooled = _spooled(load)
        if records is None or (records and not self._store(records, spooled, load)):
            self._keep(load)
            return
        self._backlog.done(load)
        if load.segment is not None:
            with suppress(DatabaseError):
                store.forget_segment(self._alias, load.segment.name)

    @property
    def _alias(self) -> str:
        return store.database() if self._destination is None else self._destination.alias

    def _has_its_database(self) -> bool:
        """Whether this thread is connected to the database that the records are for."""
        if self._destination is None:
            return True
        connections[self._alias].ensure_connection()
        return is_there(self._destination)  # asked behind the connecting: until then, the name may have changed

    def _read(self, segment: Segment) -> Sequence[TraceRecord] | None:
        """The records of a file; none, where it is gone or damaged. None when the thread is stopped before it opens."""
        while not self.stop.is_set():
            try:
                return segment.read()
            except (FileNotFoundError, UnreadableSegmentError) as error:
                is_gone = isinstance(error, FileNotFoundError)  # as all are that were in a folder: one line for them
                self._backlog.lose(segment.count, "files of the spool are gone" if is_gone else str(error))
                segment.set_aside()
                return ()
            except OSError as error:  # too many open files, say
                name = type(error).__name__
                self._backlog.log.failed("read", "Reading the spool fails (%s); it is tried again", name)
                self.stop.wait(READ_RETRY_SECONDS)
        return None

    def _store(
        self, records: Sequence[TraceRecord], spooled: store.Spooled | None = None, load: Load | None = None
    ) -> bool:
        """Store and publish; while the database does not answer, wait for it; give up only on what it refuses.

        :param load: where all of the records come from, if they are all of it
        :returns: False when the thread is stopped before the database answers, or the database is gone
        """
        wait, longest = _RETRY_SECONDS
        in_doubt: Sequence[Batch] = ()
        while not self.stop.is_set():
            began = perf_counter()
            try:
                with self.storing:
                    if not self._has_its_database():
                        return False
                    holder = self._leases.holder(self._destination, records)
                    batches = store.append(records, spooled, in_doubt, self._alias, holder)
            except Exception as error:
                fault = fault_of_database(error, self._alias)
                if fault is None:
                    return self._give_up_on_the_poisoned(records, spooled, error)
                if isinstance(error, store.InDoubtError):
                    in_doubt = error.batches
                self._backlog.log.failed(fault, "Storing trace events fails (%s); they are kept and tried again", fault)
                connections[self._alias].close()
                self.stop.wait(wait * random.uniform(0.5, 1.5))
                wait = min(wait * 2, longest)
                if load is not None and not in_doubt:
                    spooled = self._spooled_before_what_follows(load)
            else:
                metrics.commit_seconds.observe(perf_counter() - began)
                announce(batches, self._publisher)
                return True
        return False

    def _spooled_before_what_follows(self, load: Load) -> store.Spooled | None:
        """Once later events are on the disk, these have to be, too: a kill would leave a hole before them."""
        if load.segment is None and self._backlog.has_spilled:
            self._backlog.keep(load)
        return _spooled(load)

    def _give_up_on_the_poisoned(
        self, records: Sequence[TraceRecord], spooled: store.Spooled | None, error: Exception
    ) -> bool:
        """Halve the batch until what the database refuses stands alone; everything else is stored."""
        if len(records) <= 1:
            self._backlog.refuse(records[0], error)
            return True
        middle = len(records) // 2
        behind = None if spooled is None else spooled._replace(first=spooled.first + middle)
        return self._store(records[:middle], spooled) and self._store(records[middle:], behind)

    def _keep(self, load: Load) -> None:
        """The process is ending before the database answers; or that is gone, and no other gets them."""
        is_gone = not self.stop.is_set()
        if load.records and (is_gone or not self._backlog.keep(load)):
            reason = "their database is gone" if is_gone else "the process is ending"
            self._backlog.lose(len(load.records), reason, load.records[0].trace_id)


def _spooled(load: Load) -> store.Spooled | None:
    return None if load.segment is None else store.Spooled(load.segment.name, 0, load.segment.is_adopted)
