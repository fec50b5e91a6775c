"""What waits to be stored: in order, bounded, and shed by importance when it is full."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TypeGuard

from trace_streaming.events import APPROVAL_EVENTS, TraceEvent, TraceLoss, TraceRecord

Barrier = Future[None]
"""Resolved when everything before it is stored or given up."""


class RecordQueue:
    """Records and barriers of one process, put by any thread and taken by the writer's."""

    def __init__(self) -> None:
        self._items: deque[TraceRecord | Barrier] = deque()
        # Held for every change, so that making room keeps the order. Reentrant: a finalizer that the garbage collector
        # runs inside may emit, too.
        self._lock = threading.RLock()
        self._losses: Counter[str] = Counter()
        """Events given up since the last batch was taken, by trace."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: TraceRecord | Barrier) -> None:
        """Append a record or a barrier."""
        with self._lock:
            self._items.append(item)

    def take(self, limit: int) -> tuple[list[TraceRecord], list[Barrier]]:
        """The oldest items, at most ``limit``: records, behind them what was given up of which trace; and barriers."""
        with self._lock:
            items = [self._items.popleft() for _ in range(min(len(self._items), limit))]
            losses, self._losses = self._losses, Counter()
        now = datetime.now(UTC)
        records = [item for item in items if not isinstance(item, Future)]
        records += [TraceLoss(trace_id, now, count) for trace_id, count in losses.items()]
        return records, [item for item in items if isinstance(item, Future)]

    def put_back(self, records: Sequence[TraceRecord], barriers: Sequence[Barrier]) -> None:
        """Undo a ``take``."""
        with self._lock:
            self._items.extendleft(reversed([*records, *barriers]))

    def make_room(self, size: int) -> Counter[str]:
        """Give up a tenth of a full queue: the oldest informational events, and others only where those do not do.

        A tenth, because each time the whole queue is walked. Returns how many events went, by trace; each trace is told
        of it with the next batch.
        """
        lost: Counter[str] = Counter()
        with self._lock:
            excess = len(self._items) - size * 9 // 10
            for may_go in (is_informational, _is_event):
                for _ in range(len(self._items)):
                    item = self._items.popleft()
                    if excess > 0 and may_go(item):
                        lost[item.trace_id] += 1
                        excess -= 1
                    else:
                        self._items.append(item)
            self._losses.update(lost)
        return lost


def _is_event(item: TraceRecord | Barrier) -> TypeGuard[TraceEvent]:
    return isinstance(item, TraceEvent)


def is_informational(item: TraceRecord | Barrier) -> TypeGuard[TraceEvent]:
    """Whether it is what may be given up first: an event that is neither an error nor part of an approval."""
    return isinstance(item, TraceEvent) and item.status != "error" and item.event not in APPROVAL_EVENTS
