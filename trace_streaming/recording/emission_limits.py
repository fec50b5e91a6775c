"""How fast and how far a trace may grow, where ``LIMITS`` says so: what is too much is shed, and said."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from time import monotonic
from typing import Any, Final

from trace_streaming.access.token_buckets import MAX_BUCKETS, TokenBuckets
from trace_streaming.conf import Rate
from trace_streaming.events import TraceEnd, TraceEvent, TraceLoss, TraceRecord
from trace_streaming.events.golden_signals import EMISSION_RATE, EMISSION_TOTAL

from .record_queue import is_informational

MARKER_SECONDS: Final = 1.0
"""A trace that is shed from all the time is told so this often."""


@dataclass
class _Shed:
    count: int = 0
    marked_at: float = -MARKER_SECONDS
    limit: dict[str, Any] = field(default_factory=dict)
    """The one that shed last, as the marker names it."""
    is_full: bool = False
    """Whether the trace was told that it has all its events."""


class EmissionLimits:
    """Of each trace in one process. Thread-safe; never blocks."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()
        self._kept: OrderedDict[str, int] = OrderedDict()
        """Events of traces that have a total."""
        self._shed: OrderedDict[str, _Shed] = OrderedDict()
        self._lock = RLock()  # as that of the buckets

    def kept(self, record: TraceRecord, rate: Rate | None, total: int | None) -> list[TraceRecord]:
        """What is to be recorded of it: it alone, or behind a marker of what was shed before; or nothing.

        Approvals and errors are always recorded, and count; so are markers, which do not, and the ends of traces.
        The first that is one too many for the total leaves its marker at once: what follows may never bring one.
        """
        may_be_shed = is_informational(record)
        if may_be_shed and rate is not None and self._buckets.take(record.trace_id, rate):
            self._count(record.trace_id, {"budget": EMISSION_RATE, "rate": f"{rate.times} in {rate.seconds} s"})
            return []
        if not isinstance(record, TraceEvent | TraceEnd):
            return [record]
        if total is not None and isinstance(record, TraceEvent):
            with self._lock:
                if may_be_shed and not self.has_room(record.trace_id, total):
                    return self._full(record.trace_id, total)
                self._keep(record.trace_id)
        if not self._shed:
            return [record]
        return [*self._marker(record.trace_id, is_last=isinstance(record, TraceEnd)), record]

    def has_room(self, trace_id: str, total: int) -> bool:
        """Whether the trace has fewer events than it may have."""
        return self._kept.get(trace_id, 0) < total

    def remaining(self) -> list[TraceRecord]:
        """The markers that no other event has brought, at the end of the process."""
        return [record for trace_id in list(self._shed) for record in self._marker(trace_id, is_last=True)]

    def _keep(self, trace_id: str) -> None:
        self._kept[trace_id] = self._kept.get(trace_id, 0) + 1
        self._kept.move_to_end(trace_id)
        if len(self._kept) > MAX_BUCKETS:
            self._kept.popitem(last=False)

    def _full(self, trace_id: str, total: int) -> list[TraceRecord]:
        shed = self._count(trace_id, {"budget": EMISSION_TOTAL, "total": total})
        if shed.is_full:
            return []
        shed.is_full, shed.marked_at = True, -MARKER_SECONDS
        return list(self._marker(trace_id, is_last=False))

    def _count(self, trace_id: str, limit: dict[str, Any]) -> _Shed:
        with self._lock:
            shed = self._shed.setdefault(trace_id, _Shed())
            shed.count += 1
            shed.limit = limit
            if len(self._shed) > MAX_BUCKETS:
                self._shed.popitem(last=False)
            return shed

    def _marker(self, trace_id: str, *, is_last: bool) -> Iterator[TraceRecord]:
        with self._lock:
            shed = self._shed.get(trace_id)
            if shed is None or not (is_last or monotonic() - shed.marked_at >= MARKER_SECONDS):
                return
            count, shed.count, shed.marked_at = shed.count, 0, monotonic()
            if is_last and not shed.is_full:
                del self._shed[trace_id]
        if count:
            now = datetime.now(UTC)
            yield TraceLoss(trace_id, now, count)
            yield TraceEvent("budget_exceeded", trace_id, now, json.dumps({**shed.limit, "shed": count}), "warning")
