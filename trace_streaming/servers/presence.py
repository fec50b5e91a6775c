"""Which processes serve sockets: each says every few seconds that it lives, in a row that all of them can read."""

from __future__ import annotations

import atexit
import os
import secrets
import socket
from collections import Counter
from datetime import timedelta
from typing import Final, NamedTuple

from django.db.models import QuerySet

from trace_streaming.approvals.calling import look_if_due
from trace_streaming.approvals.decisions import expire_overdue
from trace_streaming.models import StreamServer
from trace_streaming.notifying import telling
from trace_streaming.recording import leases
from trace_streaming.storage.heartbeat import Heartbeat
from trace_streaming.storage.retention import mark_incomplete
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow
from trace_streaming.watching.hubs import connections_by_trace

BEAT_SECONDS: Final = 5.0
DEAD_AFTER_SECONDS: Final = 20.0
"""A process that has not been seen for so long is dead."""
FIRST_TRACES: Final = 10
MOST_TRACES: Final = 1000
"""Of so many traces others are told how many watch here: what a process says of itself stays small."""


class Fleet(NamedTuple):
    """Who is served by all processes: this one as it is now, the others as they were last seen."""

    connections: int
    first_traces: list[str]
    """The first ten, in order of name."""


class Presence(Heartbeat):
    """The row of this process, and the thread that keeps it fresh; started with each socket of a real server."""

    _thread_name = "trace-presence"
    _fails = "Telling that this process serves fails (%s)"

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        super().reset()
        self.name = secrets.token_hex(8)

    def _seconds(self) -> float:
        return BEAT_SECONDS

    def _beat(self) -> None:
        here = connections_by_trace()
        now = {
            "seen_at": UtcNow(),
            "connections": sum(here.values()),
            "traces": len(here),
            "first_traces": sorted(here)[:FIRST_TRACES],
            "watchers": dict(Counter(here).most_common(MOST_TRACES)),
        }
        once = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": UtcNow()}
        servers = StreamServer.objects.using(database())
        servers.update_or_create(name=self.name, defaults=now, create_defaults=once | now)
        servers.filter(seen_at__lt=UtcNow() - timedelta(seconds=DEAD_AFTER_SECONDS)).delete()
        mark_incomplete()
        leases.give_up_the_dead()
        expire_overdue()
        look_if_due()
        telling.look_if_due()

    def _leave(self) -> None:
        StreamServer.objects.using(database()).filter(name=self.name).delete()


def living() -> QuerySet[StreamServer]:
    """The processes that were seen lately, by the database's clock: those of the machines may differ."""
    since = UtcNow() - timedelta(seconds=DEAD_AFTER_SECONDS)
    return StreamServer.objects.using(database()).filter(seen_at__gte=since)


def alone() -> Fleet:
    """This process; needs no database."""
    here = connections_by_trace()
    return Fleet(sum(here.values()), sorted(here)[:FIRST_TRACES])


def fleet() -> Fleet:
    """All processes; raises what the database raises."""
    here = alone()
    others = list(living().exclude(name=presence.name).defer("watchers"))
    traces = set(here.first_traces).union(*(server.first_traces for server in others))
    connections = here.connections + sum(server.connections for server in others)
    return Fleet(connections, sorted(traces)[:FIRST_TRACES])


def watchers_by_trace() -> Counter[str]:
    """Connections of all processes; raises what the database raises.

    Of another process those are counted that it has said a few seconds ago, of its thousand most watched traces.
    """
    watchers = Counter(connections_by_trace())
    for there in living().exclude(name=presence.name).values_list("watchers", flat=True):
        watchers.update(there)
    return watchers


presence = Presence()
atexit.register(presence.close)
