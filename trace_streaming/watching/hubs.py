"""The hubs of this process, one for each event loop that has sockets, and what they tell of all their traces."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from time import monotonic
from typing import Final

from trace_streaming.telemetry import metrics

from .hub import Hub

running: Final[dict[asyncio.AbstractEventLoop, Hub]] = {}
# A forked child has its parent's sockets as little as its loops.
os.register_at_fork(after_in_child=running.clear)


def current_hub() -> Hub:
    """The hub of the running loop; made when there is none."""
    loop = asyncio.get_running_loop()
    if loop not in running:
        for closed in [other for other in running if other.is_closed()]:
            running.pop(closed).forget()
        running[loop] = Hub(loop, partial(running.pop, loop, None))
    return running[loop]


def connections_by_trace() -> dict[str, int]:
    """How many connections of this process watch each trace. Callable from any thread."""
    counts: dict[str, int] = {}
    for hub in list(running.values()):
        for topic in list(hub.topics.values()):
            if connections := len(topic.subscriptions):
                counts[topic.trace_id] = counts.get(topic.trace_id, 0) + connections
    return counts


def _count_behind() -> int:
    topics = [topic for hub in list(running.values()) for topic in list(hub.topics.values())]
    return sum(subscription.is_behind for topic in topics for subscription in list(topic.subscriptions))


metrics.sources["subscriptions_behind"] = _count_behind
metrics.sources["head_check_age_seconds"] = lambda: max(
    (monotonic() - hub.looked_at for hub in list(running.values())), default=0.0
)
