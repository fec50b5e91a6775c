"""The end of a trace that comes as spans: its root has ended, and for ten seconds nothing has come."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from trace_streaming.api.ingest import SendersEmitter
from trace_streaming.conf import conf
from trace_streaming.models import EndedRoot, HeldTrace, Trace, stored_now
from trace_streaming.storage import left_out
from trace_streaming.storage.heartbeat import Heartbeat
from trace_streaming.storage.missing import insert_missing
from trace_streaming.storage.pieces import batched
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow, as_utc, stored_time

logger = logging.getLogger(__name__)

SILENT_SECONDS: Final = 10.0
"""So long nothing has come of a trace whose root has ended, when it ends."""
BEAT_SECONDS: Final = 2.0
"""Between two looks for such traces."""
FORGET_BEATS: Final = 300
"""Between two looks for what is too old."""
CHUNK_TRACES: Final = 500


class Root(NamedTuple):
    """A root span that has ended."""

    state: str
    """``success`` or ``error``."""
    ended_at: datetime
    """Aware, UTC."""


def roots_have_ended(alias: str, roots: Mapping[str, Root]) -> None:
    """Remember it, by trace; of several roots the last one counts, whichever comes first."""
    if not roots:
        return
    table = EndedRoot.objects.using(alias)
    rows = {
        trace_id: EndedRoot(trace_id=trace_id, state=root.state, ended_at=stored_time(root.ended_at))
        for trace_id, root in roots.items()
    }
    insert_missing(alias, rows.values(), "trace_id")
    for trace_ids in batched(rows, CHUNK_TRACES):
        for trace_id, ended_at in table.filter(trace_id__in=trace_ids).values_list("trace_id", "ended_at"):
            if ended_at < (new := rows[trace_id]).ended_at:
                older = table.filter(trace_id=trace_id, ended_at__lt=new.ended_at)
                older.update(state=new.state, ended_at=new.ended_at)


def end_silent(seconds: float) -> int:
    """End the traces that are due, each by one process; returns how many this one has ended.

    One that somebody emits into who lives, in whatever process, ends with that.

    :param seconds: so long nothing has come of them
    """
    alias, now = database(), stored_now()
    cutoff = now - timedelta(seconds=seconds)
    roots = EndedRoot.objects.using(alias)
    ended = 0
    for trace in _due(alias, cutoff)[:CHUNK_TRACES]:
        mine = roots.filter(Q(claimed_at=None) | Q(claimed_at__lt=cutoff), trace_id=trace.trace_id)
        if mine.update(claimed_at=now):
            root = roots.get(trace_id=trace.trace_id)
            at = max(as_utc(root.ended_at), as_utc(trace.last_event_at))
            SendersEmitter(trace.trace_id).end(root.state, timestamp=at)
            ended += 1
    return ended


def _due(alias: str, cutoff: datetime) -> QuerySet[Trace]:
    held = HeldTrace.objects.using(alias).filter(trace=OuterRef("pk"), lease__expires_at__gte=UtcNow())
    with_root = EndedRoot.objects.using(alias).values("trace_id")
    running = Trace.objects.using(alias).filter(
        state=Trace.State.RUNNING, stored_at__lte=cutoff, trace_id__in=with_root
    )
    return running.exclude(Exists(held)).order_by("stored_at")


class Endings(Heartbeat):
    """The thread of a process that takes spans; one that finds traces of another that is gone ends them, too."""

    _thread_name = "trace-otlp-ends"
    _fails = "Ending traces whose root has ended fails (%s); they are shown as running"

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        super().reset()
        self._beats = 0

    def start(self) -> None:
        """Start the thread; where it runs, this costs nothing. A test run that records inline has none."""
        if conf.RECORDER != "inline":
            super().start()

    def _seconds(self) -> float:
        return BEAT_SECONDS

    def _beat(self) -> None:
        end_silent(SILENT_SECONDS)
        if self._beats % FORGET_BEATS == 0:
            left_out.forget(database())
        self._beats += 1

    def _leave(self) -> None:
        """The others go on."""


endings = Endings()
