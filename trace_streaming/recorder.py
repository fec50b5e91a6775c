"""The default receiver of what is emitted: it stores in this project's database.

A project that stores elsewhere calls :func:`disconnect` in its ``AppConfig.ready``, and connects receivers of its own.
"""

from __future__ import annotations

from typing import Any, Final

from .events import TraceEnd, TraceEvent, TraceStart
from .recording.recorder import recorder
from .signals import event_emitted, flush_requested, trace_ended, trace_started


def record_start(sender: object, start: TraceStart, *, is_held: bool = False, **kwargs: Any) -> None:
    """Receiver of ``trace_started``."""
    recorder.record(start, is_held=is_held)


def record_event(sender: object, event: TraceEvent, *, is_held: bool = False, **kwargs: Any) -> None:
    """Receiver of ``event_emitted``."""
    recorder.record(event, is_held=is_held)


def record_end(sender: object, end: TraceEnd, **kwargs: Any) -> None:
    """Receiver of ``trace_ended``."""
    recorder.record(end)


def flush(sender: object, timeout: float | None, **kwargs: Any) -> bool:
    """Receiver of ``flush_requested``."""
    return recorder.flush(timeout)


DISPATCH_UID: Final = "trace_streaming.recorder"


_RECEIVERS: Final = (
    (trace_started, record_start),
    (event_emitted, record_event),
    (trace_ended, record_end),
    (flush_requested, flush),
)


def connect() -> None:
    """Make the recorder the receiver of what is emitted."""
    for signal, receiver in _RECEIVERS:
        signal.connect(receiver, dispatch_uid=DISPATCH_UID)


def disconnect() -> bool:
    """Leave storing to somebody else's receivers; what was emitted before is still stored.

    :returns: whether the recorder was connected
    """
    connected = [signal.disconnect(dispatch_uid=DISPATCH_UID) for signal, _ in _RECEIVERS]
    return any(connected)
