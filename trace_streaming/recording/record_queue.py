"""What waits to be stored: in order, bounded, and shed by importance when it is full."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import NamedTuple, TypeGuard

from trace_streaming.events import APPROVAL_EVENTS, TraceEvent, TraceLoss, TraceRecord

Barrier = Future[None]
"""Resolved when everything before it is stored or given up."""


class Destination(NamedTuple):
    """The database that records were emitted under; they go to no other."""

    alias: str
    name: str
    """Its ``NAME`` at that time: a test run has another under the same alias."""


class RecordQueue:
    """Records and barriers of one process, put by any thread and taken by the writer's.

    Whoever puts holds no lock. Threads that share one wait for it in turn, once one of them was interrupted while it
    held it: each then gives up the interpreter for each event, and 16 threads emit half as much together.
    """

    def __init__(self) -> None:
        self._new: deque[tuple[TraceRecord | Barrier, Destination | None]] = deque()
        """What was put, and not yet looked at by anybody who holds the lock."""
        self._items: deque[TraceRecord | Barrier | Destination] = deque()
        """What was put before; a destination is that of all behind it."""
        # Held for all but putting, so that making room keeps the order. Reentrant: a finalizer, or a signal's handler,
        # that comes in between may emit, and ask for room.
        self._lock = threading.RLock()
        self._losses: defaultdict[Destination | None, Counter[str]] = defaultdict(Counter)
        """Events given up since a batch of the destination was taken, by trace."""
        self._newest: Destination | None = None
        self.destination: Destination | None = None
        """Of what was taken last; None where nobody has named one."""

    def __len__(self) -> int:
        return len(self._new) + len(self._items)

    @property
    def records(self) -> int:
        """How many of the items are records."""
        with self._lock:
            self._look_at_new()
            return sum(not isinstance(item, Future | Destination) for item in self._items)

    def put(self, item: TraceRecord | Barrier, destination: Destination | None = None) -> None:
        """Append a record or a barrier.

        :param destination: of a record; a barrier has none
        """
        self._new.append((item, destination))

    def take(self, limit: int) -> tuple[list[TraceRecord], list[Barrier]]:
        """The oldest items of one destination, at most ``limit``: records, and what was given up; and barriers."""
        items: list[TraceRecord | Barrier] = []
        with self._lock:
            self._look_at_new()
            while self._items and len(items) < limit:
                if not isinstance(self._items[0], Destination):
                    items.append(self._items.popleft())  # type: ignore[arg-type]
                elif items:
                    break
                else:
                    self.destination = self._items.popleft()  # type: ignore[assignment]
            losses = self._losses.pop(self.destination, Counter())
        now = datetime.now(UTC)
        records = [item for item in items if not isinstance(item, Future)]
        records += [TraceLoss(trace_id, now, count) for trace_id, count in losses.items()]
        return records, [item for item in items if isinstance(item, Future)]

    def _look_at_new(self) -> None:
        """With the lock held. What is put meanwhile is left."""
        for _ in range(len(self._new)):
            item, destination = self._new.popleft()
            if destination is not None and destination != self._newest:
                self._items.append(destination)
                self._newest = destination
            self._items.append(item)

    def put_back(self, records: Sequence[TraceRecord], barriers: Sequence[Barrier]) -> None:
        """Undo the last ``take``."""
        with self._lock:
            self._items.extendleft(reversed([*records, *barriers]))

    def make_room(self, size: int) -> Counter[str]:
        """Give up a tenth of a full queue: the oldest informational events, and others only where those do not do.

        A tenth, because each time the whole queue is walked. Returns how many events went, by trace; each trace is told
        of it with the next batch. Nothing goes for whoever has interrupted this thread while it walks or takes: who
        emits next makes room.
        """
        lost: Counter[str] = Counter()
        if self._lock._is_owned():  # type: ignore[attr-defined]  # as a Condition asks it
            return lost
        with self._lock:
            self._look_at_new()
            items = self._items
            excess = len(items) - size * 9 // 10
            for may_go in (is_informational, _is_event):
                kept: deque[TraceRecord | Barrier | Destination] = deque()
                destination = self.destination
                for item in items:
                    if excess > 0 and may_go(item):
                        lost[item.trace_id] += 1
                        self._losses[destination][item.trace_id] += 1
                        excess -= 1
                        continue
                    if isinstance(item, Destination):
                        destination = item
                    kept.append(item)
                items = kept
            self._items = items  # at once: Ctrl-C may come before
        return lost


def _is_event(item: TraceRecord | Barrier | Destination) -> TypeGuard[TraceEvent]:
    return isinstance(item, TraceEvent)


def is_informational(item: TraceRecord | Barrier | Destination) -> TypeGuard[TraceEvent]:
    """Whether it is what may be given up first: an event that is neither an error nor part of an approval."""
    return isinstance(item, TraceEvent) and item.status != "error" and item.event not in APPROVAL_EVENTS
