"""What is appended to one trace at a time, by one process: gathered of its records, and summed up for its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trace_streaming.events import TraceApproval, TraceEnd, TraceEvent, TraceLoss, TraceRecord, TraceStart
from trace_streaming.events.golden_signals import CALL_ENDS

from .model_calls import EndedCall

DECIDED_EVENTS: Final = frozenset({"approval_received", "approval_timeout"})
"""What humans do, or do not do."""


@dataclass(slots=True)
class Appended:
    """What is appended to one trace at a time."""

    started_at: datetime
    """Time of the first record."""
    starts: list[TraceStart] = field(default_factory=list)
    events: list[TraceEvent] = field(default_factory=list)
    end: TraceEnd | None = None
    has_ended: bool = False
    """Whether a run has ended among it, even if another goes on."""
    approvals: list[TraceApproval] = field(default_factory=list)
    lost: int = 0
    hidden: list[str] = field(default_factory=list)
    """Digests of values that were hidden."""
    calls: list[EndedCall] = field(default_factory=list)
    """Of models, that ended."""
    is_left: bool = False
    """Whether a process that is dead has left it."""
    epoch: str = ""
    """Of the row that is inserted for the trace, unless it has one."""

    def unsaid(self, epoch: str) -> list[TraceStart]:
        """Starts that the trace's row, with this epoch, does not show yet; tags have rows of their own."""
        begins_with_first = epoch == self.epoch and self.starts[:1] and self.starts[0].tags is None
        return self.starts[1:] if begins_with_first else self.starts

    @property
    def adds_something(self) -> bool:
        """Whether it is not only a repeat."""
        return bool(self.events or self.starts or self.end or self.approvals or self.lost)

    @property
    def first_at(self) -> datetime:
        """The earliest time that an event tells, or else that of the first record; aware, UTC."""
        return min([event.timestamp for event in self.events], default=self.started_at)

    @property
    def last_at(self) -> datetime:
        """The latest time of an event, or that of the first record; aware, UTC."""
        return max([event.timestamp for event in self.events], default=self.started_at)

    @property
    def goes_on(self) -> bool:
        """Whether the trace runs, even if it had ended: a decision that comes late does not make it."""
        return not self.is_left and not DECIDED_EVENTS.issuperset([event.event for event in self.events])

    def totals(self) -> dict[str, Any]:
        """What is added to the trace's own, by the names that the statement has for it; it runs where 1 says so."""
        goes_on, ended = self.goes_on, self.calls
        costs = [call.cost for _, call in ended if call.cost is not None]
        return {
            "events": len(self.events),
            "errors": [event.status for event in self.events].count("error"),
            "lost": self.lost,
            "calls": len(ended),
            "tools": len([event for event in self.events if event.event in CALL_ENDS]),
            "sent": sum([call.input_tokens or 0 for _, call in ended]),
            "got": sum([call.output_tokens or 0 for _, call in ended]),
            "is_paid": int(bool(costs)),
            "paid": float(sum(costs)),
            "goes_on": int(goes_on),
            # By what its agent does, and not by what it is told.
            "is_taken_up": int(goes_on or (not self.is_left and bool(self.starts or self.approvals))),
        }


def by_trace(records: Sequence[TraceRecord]) -> dict[str, Appended]:
    """What is appended to each trace, in the one order in which traces are locked."""
    appended: dict[str, Appended] = {}
    for record in records:
        new = appended.setdefault(record.trace_id, Appended(record.timestamp))
        match record:
            case TraceEvent():
                new.events.append(record)
                new.hidden += record.hidden
                if record.event not in DECIDED_EVENTS:
                    new.end = None  # it goes on
            case TraceEnd():
                new.end, new.has_ended = record, True
            case TraceStart():
                new.starts.append(record)
            case TraceApproval():
                new.approvals.append(record)
            case TraceLoss():
                new.lost += record.count
    return dict(sorted(appended.items()))
