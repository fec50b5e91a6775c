"""How fast a trace may grow, where ``LIMITS["events_per_trace"]`` says so: what is too much is shed, and said."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock
from time import monotonic
from typing import Final

from .events import TraceEnd, TraceEvent, TraceLoss, TraceRecord
from .golden_signals import EMISSION_RATE
from .rates import MAX_BUCKETS, Rate, TokenBuckets
from .record_queue import is_informational

MARKER_SECONDS: Final = 1.0
"""A trace that is shed from all the time is told so this often."""


@dataclass
class _Shed:
    count: int = 0
    marked_at: float = -MARKER_SECONDS


class EmissionRate:
    """Of each trace in one process. Thread-safe; never blocks."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()
        self._shed: OrderedDict[str, _Shed] = OrderedDict()
        self._lock = RLock()  # as that of the buckets

    def paced(self, record: TraceRecord, rate: Rate) -> list[TraceRecord]:
        """What is to be recorded of it: it alone, or behind a marker of what was shed before; or nothing.

        Approvals and errors are always recorded; so are markers, and the ends of traces.
        """
        if is_informational(record) and self._buckets.take(record.trace_id, rate):
            with self._lock:
                shed = self._shed.setdefault(record.trace_id, _Shed())
                shed.count += 1
                if len(self._shed) > MAX_BUCKETS:
                    self._shed.popitem(last=False)
            return []
        if not self._shed or not isinstance(record, TraceEvent | TraceEnd):
            return [record]
        return [*self._marker(record.trace_id, rate, is_last=isinstance(record, TraceEnd)), record]

    def remaining(self, rate: Rate) -> list[TraceRecord]:
        """The markers that no other event has brought, at the end of the process."""
        return [record for trace_id in list(self._shed) for record in self._marker(trace_id, rate, is_last=True)]

    def _marker(self, trace_id: str, rate: Rate, *, is_last: bool) -> Iterator[TraceRecord]:
        with self._lock:
            shed = self._shed.get(trace_id)
            if shed is None or not (is_last or monotonic() - shed.marked_at >= MARKER_SECONDS):
                return
            count, shed.count, shed.marked_at = shed.count, 0, monotonic()
            if is_last:
                del self._shed[trace_id]
        if count:
            now = datetime.now(UTC)
            details = {"budget": EMISSION_RATE, "rate": f"{rate.times} in {rate.seconds} s", "shed": count}
            yield TraceLoss(trace_id, now, count)
            yield TraceEvent("budget_exceeded", trace_id, now, json.dumps(details), "warning")
