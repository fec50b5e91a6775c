"""Which processes that emit are alive, and which traces each has open: what has died does not look alive.

Times are the database's, for the clocks of the machines may differ. A lease that has run out is never renewed, so
whoever finds one may rely on it; a process that was only asleep takes another, and takes its traces back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Container, Iterable, Mapping
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet

from trace_streaming.models import EmitterLease, HeldTrace, Trace
from trace_streaming.wire.batches import Batch

from .appended import Appended
from .missing import insert_missing
from .pieces import batched
from .times import UtcNow

MAX_HELD: Final = 50_000
"""Traces that one process holds, the newest: those that nobody ends must not fill its memory."""
CHUNK_TRACES: Final = 500
"""Judged in one transaction: bounds how long emitters wait for its locks. SQLite may allow 999 parameters."""
FORGET_AFTER: Final = timedelta(hours=1)


def take(alias: str, seconds: float, sender: str = "", host: str = "") -> int:
    """A new lease; returns its primary key. Those that ran out long ago are deleted.

    :param seconds: until it runs out
    :param sender: of a program elsewhere: its id; otherwise it is this process
    """
    EmitterLease.objects.using(alias).filter(expires_at__lt=UtcNow() - FORGET_AFTER).delete()
    lease = EmitterLease(
        sender=sender,
        host=host if sender else socket.gethostname(),
        pid=None if sender else os.getpid(),
        started_at=UtcNow(),
        expires_at=UtcNow() + timedelta(seconds=seconds),
    )
    lease.save(using=alias, force_insert=True)
    return lease.pk


def renew(alias: str, lease: int, seconds: float) -> bool:
    """False when it has run out: then it is lost."""
    mine = EmitterLease.objects.using(alias).filter(pk=lease, expires_at__gte=UtcNow())
    return bool(mine.update(expires_at=UtcNow() + timedelta(seconds=seconds)))


def run_out(alias: str, lease: int) -> None:
    """Its process ends."""
    EmitterLease.objects.using(alias).filter(pk=lease, expires_at__gte=UtcNow()).update(
        expires_at=UtcNow() - timedelta(seconds=1)
    )


def reclaim(alias: str, lease: int, traces: Collection[int]) -> list[Batch]:
    """Hold traces under this lease, and have those run again that were given up; returns what watchers are to be told.

    Given up is what ended with its last event: an end that somebody has told has a time of its own.
    """
    batches: list[Batch] = []
    for chunk in batched(traces, CHUNK_TRACES):
        with transaction.atomic(using=alias):
            there = list(_locked(alias, chunk))
            _hold(alias, lease, [trace.pk for trace in there])
            given_up = [
                trace.pk
                for trace in there
                if trace.state == Trace.State.INCOMPLETE and trace.ended_at == trace.last_event_at
            ]
            Trace.objects.using(alias).filter(pk__in=given_up).update(state=Trace.State.RUNNING, ended_at=None)
        batches += [_news(trace, Trace.State.RUNNING) for trace in there if trace.pk in given_up]
    return batches


def let_go(alias: str, lease: int, traces: Collection[int]) -> None:
    """Hold them no longer; whether they run is no matter."""
    for chunk in batched(traces, CHUNK_TRACES):
        HeldTrace.objects.using(alias).filter(lease=lease, trace__in=chunk).delete()


def sender_lease(alias: str, sender: str) -> int | None:
    """The lease of a program elsewhere, if it has one that lasts."""
    leases = EmitterLease.objects.using(alias).filter(sender=sender, expires_at__gte=UtcNow())
    return leases.order_by("-pk").values_list("pk", flat=True).first()


def held_under(alias: str, lease: int) -> dict[str, int]:
    """What it holds: primary keys of the traces, by trace id."""
    held = HeldTrace.objects.using(alias).filter(lease=lease)
    return dict(held.values_list("trace__trace_id", "trace_id"))


def give_up(alias: str) -> list[Batch]:
    """End the running traces of processes that are gone, where no living one holds them.

    Whoever lives does it, several at the same time, too: each trace is judged again under its lock. Returns what
    watchers are to be told.
    """
    batches: list[Batch] = []
    gone = HeldTrace.objects.using(alias).filter(lease__expires_at__lt=UtcNow()).order_by("trace")
    # One trace may be held by several that are gone.
    while held := list(gone.values_list("pk", "trace_id")[:CHUNK_TRACES]):
        with transaction.atomic(using=alias):
            running = list(_locked(alias, {trace for _, trace in held}).filter(state=Trace.State.RUNNING))
            kept = set(_living(alias, [trace.pk for trace in running]))
            ended = [trace for trace in running if trace.pk not in kept]
            Trace.objects.using(alias).filter(pk__in=[trace.pk for trace in ended]).update(
                state=Trace.State.INCOMPLETE, ended_at=F("last_event_at")
            )
            HeldTrace.objects.using(alias).filter(pk__in=[row for row, _ in held]).delete()
        batches += [_news(trace, Trace.State.INCOMPLETE) for trace in ended]
    return batches


class Held(NamedTuple):
    """A trace that is held, and under which lease: both are primary keys."""

    trace: int
    lease: int


class Holder:
    """What this process holds in one database, and what of it is written with which batch."""

    def __init__(self, is_open: Container[str]) -> None:
        self.lease: int | None = None
        """The row of its lease."""
        self.held: dict[str, Held] = {}
        """What was committed, by trace id, oldest first."""
        self._open = is_open
        """Traces that emitters of this process have open."""

    def stored(self, alias: str, appended: Mapping[str, Appended], rows: Mapping[str, int]) -> None:
        """Within the transaction that appends: hold traces that are new here, let go of those that end.

        Nothing is asked or written where all is held already.

        :param rows: primary keys of the traces, by trace id; a trace that began again has another
        """
        if (lease := self.lease) is None:
            return
        new = {
            trace_id: Held(rows[trace_id], lease)
            for trace_id, what in appended.items()
            if what.end is None and trace_id in self._open and self.held.get(trace_id) != (rows[trace_id], lease)
        }
        over = {trace_id for trace_id, what in appended.items() if what.end is not None and trace_id in self.held}
        over.update(islice(self.held, max(len(self.held) + len(new) - MAX_HELD, 0)))
        if new:
            _hold(alias, lease, [held.trace for held in new.values()])
        if over:
            let_go(alias, lease, [self.held[trace_id].trace for trace_id in over])
        if new or over:
            transaction.on_commit(partial(self._settle, new, over), using=alias)

    def under_another(self, lease: int) -> dict[str, int]:
        """What is held under a lease that is lost: primary keys of the traces, by trace id."""
        return {trace_id: held.trace for trace_id, held in list(self.held.items()) if held.lease != lease}

    def remember(self, lease: int, held: Mapping[str, int]) -> None:
        """They are held under this lease now, but for those that have ended meanwhile."""
        for trace_id, trace in held.items():
            if trace_id in self.held:
                self.held[trace_id] = Held(trace, lease)

    def _settle(self, new: Mapping[str, Held], over: Iterable[str]) -> None:
        for trace_id in over:
            self.held.pop(trace_id, None)
        self.held.update(new)


def _hold(alias: str, lease: int, traces: Collection[int]) -> None:
    rows = [HeldTrace(trace_id=trace, lease_id=lease) for trace in traces]
    insert_missing(alias, rows, "trace")


def _locked(alias: str, traces: Collection[int]) -> QuerySet[Trace]:
    """In the one order in which traces are locked."""
    rows = Trace.objects.using(alias).filter(pk__in=traces).order_by("trace_id").select_for_update()
    return rows.only("trace_id", "epoch", "last_sequence", "state", "last_event_at", "ended_at")


def _living(alias: str, traces: Collection[int]) -> QuerySet[HeldTrace, int]:
    """Those of them that a living process holds; asked under their locks, so that nobody takes one meanwhile."""
    held = HeldTrace.objects.using(alias).filter(trace__in=traces, lease__expires_at__gte=UtcNow())
    return held.values_list("trace_id", flat=True)


def _news(trace: Trace, state: str) -> Batch:
    return Batch(trace.trace_id, trace.epoch, state, trace.last_sequence)
