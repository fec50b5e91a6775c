"""What the span processor remembers of spans until they end: where each is told, and inside of what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock
from typing import Any, Final

from trace_streaming.conventions.otel_spans import OtelSpan, time_of
from trace_streaming.conventions.shapes import AGENT_SCOPES, STEP, Shape, name_of, shape_of
from trace_streaming.conventions.telling import Told, details_of, end_of, end_state, left_by, moved, start_of
from trace_streaming.emitting.contract import Emitter

MAX_LEFT: Final = 10_000
"""Spans of one trace that are left out and remembered, the newest."""
Find = Callable[[OtelSpan], tuple[Emitter, bool]]
"""The emitter of a trace, by the first span of it that is shown, and whether it was made for it."""


@dataclass(slots=True)
class _Open:
    """A span that has begun and not ended."""

    parent_id: str
    shape: Shape | None
    """None: nobody knows yet whether it is an agent's; what is inside of it is told to be inside of what is around."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What its start has told of it."""
    handled: BaseException | None = None
    """What was being handled when it began: it is not left by that."""


@dataclass(slots=True)
class _Child:
    """A span that is told to be inside of something else than it is, while that is not known to be an agent's."""

    event: str
    name: str
    at: datetime


@dataclass(slots=True)
class _Trace:
    """The spans of one trace in this process."""

    emitter: Emitter | None = None
    """None: nothing of it was told."""
    is_own: bool = False
    is_remote: bool = False
    """Whether it began in another process, and ends there."""
    open: dict[str, _Open] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """What is left out, and what it is inside of."""
    children: dict[str, dict[str, _Child]] = field(default_factory=dict)
    """By span that is not known to be an agent's, what was told of those inside of it."""
    end_state: str | None = None
    """Set when the root has ended."""

    def above(self, span_id: str) -> str:
        """The span, if it is shown; else the nearest around it that is."""
        seen: set[str] = set()
        while span_id and span_id not in seen:
            seen.add(span_id)
            begun = self.open.get(span_id)
            if begun is not None and begun.shape is None:
                span_id = begun.parent_id
            elif span_id in self.left:
                span_id = self.left[span_id]
            else:
                break
        return span_id

    def undecided(self, span_id: str) -> str:
        """The innermost of those around it that is not known to be an agent's, up to one that is shown; or empty."""
        while (begun := self.open.get(span_id)) is None and span_id in self.left:
            span_id = self.left[span_id]
        return span_id if begun is not None and begun.shape is None else ""


class OtelRuns:
    """All spans of a process that are open; any thread may ask.

    :param find: finds the emitter of a trace of which something is to be told
    :param shown: what of details is told
    :param keeps_all: whether what is none of an agent's is kept as a step
    """

    def __init__(self, find: Find, shown: Callable[[dict[str, Any]], dict[str, Any]], *, keeps_all: bool) -> None:
        self._find = find
        self._shown = shown
        self._keeps_all = keeps_all
        self._traces: dict[str, _Trace] = {}
        self._ended: dict[str, str] = {}
        """How traces have ended that an emitter was made for, the newest."""
        self._lock = RLock()

    def begin(self, span: OtelSpan, handled: BaseException | None = None) -> None:
        """A span has begun: tell what is known of it.

        :param handled: the exception that is being handled
        """
        shape = self._shape(span)
        details = {} if shape is None else details_of(span, shape)
        with self._lock:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                ended = self._ended.get(span.trace_id)  # what begins behind the root's end does not leave it running
                is_remote = bool(span.parent_id) and ended is None
                trace = self._traces[span.trace_id] = _Trace(is_remote=is_remote, end_state=ended)
            trace.open[span.span_id] = _Open(span.parent_id, shape, details, handled)
            if shape is None:
                return
            told = start_of(span, shape, trace.above(span.parent_id), details)
            _note_child(trace, span, told, name_of(span, shape))
        self._tell(trace, span, [told])

    def end(self, span: OtelSpan, raised: BaseException | None = None) -> None:
        """A span has ended: tell the rest of it.

        :param raised: the exception that is being handled, perhaps that which leaves it
        """
        with self._lock:
            trace = self._traces.get(span.trace_id)
            begun = None if trace is None else trace.open.get(span.span_id)
            if trace is None or begun is None:  # began before the processor was there
                return
            if raised is not None and raised is not begun.handled:
                span = left_by(span, raised)
            shape = shape_of(span) or begun.shape or (Shape(STEP) if self._keeps_all else None)
            events = _left_out(trace, span) if shape is None else _ended(trace, span, begun, shape)
            if not span.parent_id:
                trace.end_state = end_state(span)
            is_over = not trace.open
            if is_over:
                del self._traces[span.trace_id]
                if trace.is_own and trace.end_state is not None:
                    self._ended[span.trace_id] = trace.end_state
                    if len(self._ended) > MAX_LEFT:
                        del self._ended[next(iter(self._ended))]
        self._tell(trace, span, events)
        if is_over and trace.is_own and trace.emitter is not None and trace.end_state is not None:
            trace.emitter.end(trace.end_state)

    def _tell(self, trace: _Trace, span: OtelSpan, events: Sequence[Told]) -> None:
        if not events:
            return
        with self._lock:
            if trace.emitter is None:
                trace.emitter, trace.is_own = self._find(span)
                if trace.is_own and trace.is_remote:
                    trace.emitter.holds = False
        emitter = trace.emitter
        for event, details, status, at, event_id in events:
            if not emitter.tracebacks:
                details.pop("traceback", None)
            emitter.emit(event, self._shown(details), status, timestamp=at, event_id=event_id)

    def _shape(self, span: OtelSpan) -> Shape | None:
        shape = shape_of(span)
        return Shape(STEP) if shape is None and (self._keeps_all or span.scope.startswith(AGENT_SCOPES)) else shape


def _left_out(trace: _Trace, span: OtelSpan) -> list[Told]:
    """It was none of an agent's: what is inside of it may still be told to be inside of what is around it."""
    del trace.open[span.span_id]
    children = trace.children.pop(span.span_id, {})
    trace.left[span.span_id] = span.parent_id
    if len(trace.left) > MAX_LEFT:
        del trace.left[next(iter(trace.left))]
    if children and (above := trace.undecided(span.parent_id)):
        trace.children.setdefault(above, {}).update(children)
    return []


def _ended(trace: _Trace, span: OtelSpan, begun: _Open, shape: Shape) -> list[Told]:
    """The end; before it the start, where it is known only now that it is an agent's, and behind it what is inside."""
    del trace.open[span.span_id]
    children = trace.children.pop(span.span_id, {})
    parent = trace.above(span.parent_id)
    rest = {key: value for key, value in details_of(span, shape).items() if begun.told.get(key) != value}
    told = end_of(span, shape, parent, rest)
    _note_child(trace, span, told, name_of(span, shape))
    if begun.shape is not None:
        return [told]
    moves = [moved(each.event, child, each.name, span.span_id, each.at) for child, each in children.items()]
    return [start_of(span, shape, parent), told, *moves]


def _note_child(trace: _Trace, span: OtelSpan, told: Told, name: str) -> None:
    """Where what it is inside of is not known to be an agent's, it may have to be told again where it is."""
    if undecided := trace.undecided(span.parent_id):
        trace.children.setdefault(undecided, {})[span.span_id] = _Child(told.event, name, time_of(span.start_ns))
