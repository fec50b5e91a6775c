"""The leases of this process: one in each database that it records in, for the traces that it has open there."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from time import monotonic
from typing import Final

from django.db import Error as DatabaseError

from trace_streaming.conf import conf
from trace_streaming.events import TraceRecord
from trace_streaming.storage import leases
from trace_streaming.storage.faults import is_transient
from trace_streaming.storage.heartbeat import Heartbeat
from trace_streaming.storage.leases import MAX_HELD, Holder
from trace_streaming.storage.store import database

from .destinations import is_there
from .inline import announce_alone
from .record_queue import Destination

logger = logging.getLogger(__name__)

BEATS: Final = 6
"""A lease is renewed so often before it would run out: some may be late, or fail."""


class _Lease:
    """Of this process, in one database."""

    def __init__(self, destination: Destination, is_open: dict[str, None]) -> None:
        self.destination = destination
        self.holder = Holder(is_open)
        self._renewing = threading.Lock()
        """Never asked for within a transaction: whoever has it may wait for rows."""
        self._renewed_at = float("-inf")

    def is_fresh(self, seconds: float) -> bool:
        """Whether it is sure to last for a transaction, as far as this process can tell."""
        return self.holder.lease is not None and monotonic() - self._renewed_at < seconds / 2

    def renew(self, seconds: float) -> None:
        """Renew it; where it has run out, take another, and all that was held. Raises what the database raises."""
        alias, holder = self.destination.alias, self.holder
        with self._renewing:
            now = monotonic()
            lease = holder.lease
            if lease is None or not leases.renew(alias, lease, seconds):
                lease = holder.lease = leases.take(alias, seconds)
            # Also what was stored under the last one, a moment after that was lost.
            if held := holder.under_another(lease):
                announce_alone(leases.reclaim(alias, lease, held.values()))
                holder.remember(lease, held)
            self._renewed_at = now

    def end(self) -> None:
        """Let it run out at once."""
        with self._renewing:
            lease, self.holder.lease = self.holder.lease, None
            self.holder.held.clear()
            if lease is not None:
                leases.run_out(self.destination.alias, lease)


class Leases(Heartbeat):
    """What emitters of this process have open, and the thread that says that they live."""

    _thread_name = "trace-leases"
    _fails = "Telling that this process emits fails (%s); others may take its traces for unfinished"

    def reset(self) -> None:
        """In a forked child: all of it is the parent's."""
        super().reset()
        self._open: OrderedDict[str, None] = OrderedDict()
        self._open_lock = threading.RLock()  # a finalizer, or a signal's handler, may emit while it is held
        self._leases: dict[Destination, _Lease] = {}

    def opened(self, trace_id: str) -> None:
        """An emitter of this process goes on with a trace. Costs nothing where it is known."""
        if trace_id not in self._open and conf.LEASE_SECONDS is not None:
            with self._open_lock:
                self._open[trace_id] = None
                if len(self._open) > MAX_HELD:
                    self._open.popitem(last=False)

    def closed(self, trace_id: str) -> None:
        """It was ended here."""
        with self._open_lock:
            self._open.pop(trace_id, None)

    def holder(self, destination: Destination | None, records: Iterable[TraceRecord]) -> Holder | None:
        """Who holds what is stored now, with a lease that lasts for it; None, where nothing is to be held.

        :raises OperationalError: or another that ``is_transient``: the database does not answer
        """
        seconds = conf.LEASE_SECONDS
        if seconds is None or destination is None:
            return None
        lease = self._leases.get(destination)
        if lease is None:
            if self._open.keys().isdisjoint(record.trace_id for record in records):
                return None
            lease = self._leases[destination] = _Lease(destination, self._open)
        if not lease.is_fresh(seconds):
            try:
                lease.renew(seconds)
            except DatabaseError as error:
                if is_transient(error):
                    raise
                # A migration is missing, say: the events are stored all the same.
                self._log.failed("lease", self._fails, type(error).__name__)
                return None
        self.start()
        return lease.holder

    def close(self) -> None:
        """At the end of the process: what it has open is unfinished, unless another goes on with it."""
        super().close()
        self._open.clear()
        self._leases.clear()  # one that was never given has started no thread that would let it go

    def watch(self) -> None:
        """Look from now on, every few seconds, for processes that are gone: somebody reads the traces here."""
        if conf.LEASE_SECONDS is not None:
            self.start()

    def _seconds(self) -> float:
        return (conf.LEASE_SECONDS or 60.0) / BEATS

    def _beat(self) -> None:
        if (seconds := conf.LEASE_SECONDS) is None:
            return
        for lease in list(self._leases.values()):
            if not is_there(lease.destination):
                del self._leases[lease.destination]
            elif lease.holder.held:  # otherwise it may run out: the next trace has another taken
                lease.renew(seconds)
        for alias in {database(), *(lease.destination.alias for lease in self._leases.values())}:
            give_up_the_dead(alias)

    def _leave(self) -> None:
        ending, self._leases = self._leases, {}
        for lease in ending.values():
            if is_there(lease.destination):
                lease.end()
                announce_alone(leases.give_up(lease.destination.alias))


def give_up_the_dead(alias: str | None = None) -> int:
    """End the running traces of processes that are gone, and tell their watchers. Returns how many there were.

    :param alias: of the database; that of the log now, when it is not given
    """
    batches = leases.give_up(alias or database())
    if batches:
        logger.warning("%d traces were left unfinished by processes that are gone", len(batches))
        announce_alone(batches)
    return len(batches)
