"""Signals. A receiver that raises breaks nothing: all are sent with ``send_robust``.

``event_emitted(sender, event, is_held)``
    A :class:`~trace_streaming.events.TraceEvent` was emitted; nothing is stored yet. Sent in the emitting thread,
    on every emit: a receiver must be quick and synchronous. The recorder is the default receiver.
    ``is_held``: an emitter of this process has the trace open; it has not what came from elsewhere.
``trace_started(sender, start, is_held)``
    An emitter with an owner, metadata, a name, a conversation or tags was made, or one of the last three was set: a
    :class:`~trace_streaming.events.TraceStart` with what was said then. Same rules.
``trace_ended(sender, end)``
    A :class:`~trace_streaming.events.TraceEnd` was emitted behind the trace's last event. Same rules.
``events_recorded(sender, batches)``
    A list of :class:`~trace_streaming.wire.batches.Batch` was committed and published. Sent in the recorder's thread.
``text_streamed(sender, delta)``
    A call says something while it says it: a :class:`~trace_streaming.events.deltas.TextDelta`, redacted. Sent in a
    thread of the emitter, at most four times a second for each call; nothing of it is stored.
``decision_requested(sender, request)``
    An agent asks: an :class:`~trace_streaming.emitting.asking.requests.ApprovalRequest`, an ``AskedBefore``
    or a ``Withdrawal``. Whoever takes it returns a future, of the :class:`~trace_streaming.emitting.decision.Decision`.
``approval_decided(sender, approval)``
    An :class:`~trace_streaming.models.Approval` was decided in this process, or its time is over.
``stop_requested(sender, stop)``
    Somebody has asked a run to stop, in this process: the :class:`~trace_streaming.models.StopRequest`.
``stop_looked_for(sender, emitter)``
    An agent looks whether it is asked to stop: its :class:`~trace_streaming.emitting.stopping.StoppableEmitter`
    wants to be told.
``notifications_noted(sender)``
    Rows of :class:`~trace_streaming.models.Notification` were committed in this process.
``flush_requested(sender, timeout)``
    Somebody waits, at most ``timeout`` seconds, until all that was emitted is stored. A receiver returns whether
    it is.
"""

from __future__ import annotations

from django.dispatch import Signal

event_emitted = Signal(use_caching=True)
trace_started = Signal(use_caching=True)
trace_ended = Signal(use_caching=True)
events_recorded = Signal(use_caching=True)
text_streamed = Signal(use_caching=True)
decision_requested = Signal()
approval_decided = Signal()
stop_requested = Signal()
stop_looked_for = Signal(use_caching=True)
notifications_noted = Signal()
flush_requested = Signal()
