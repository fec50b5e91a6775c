"""What is stored: a trace, and its append-only, numbered events; and what stands beside them."""

from .asked import Approval, Notification, StopRequest
from .log import Event, ModelCall, Trace, TraceTag
from .otlp import EndedRoot, LeftOutSpan
from .processes import EmitterLease, HeldTrace, SpoolSegment, StreamServer
from .secrets import HiddenValue, Ticket
from .texts import in_order
from .times import new_epoch, showable, stored_now

__all__ = [
    "Approval",
    "EmitterLease",
    "EndedRoot",
    "Event",
    "HeldTrace",
    "HiddenValue",
    "LeftOutSpan",
    "ModelCall",
    "Notification",
    "SpoolSegment",
    "StopRequest",
    "StreamServer",
    "Ticket",
    "Trace",
    "TraceTag",
    "in_order",
    "new_epoch",
    "showable",
    "stored_now",
]
