"""Spans that were sent become events: those of an agent, each inside of the nearest that is one."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any, Final

from rest_framework.exceptions import PermissionDenied, Throttled

from trace_streaming.access.views import RETRY_SECONDS
from trace_streaming.api import ingest
from trace_streaming.conf import conf
from trace_streaming.conventions.otel_spans import NAME_ATTRIBUTE, OtelSpan, time_of
from trace_streaming.conventions.pending import begun
from trace_streaming.conventions.shapes import STEP, Shape, name_of, shape_of
from trace_streaming.conventions.telling import (
    Told,
    conversation_of,
    details_of,
    end_of,
    end_state,
    single_of,
    start_of,
    user_of,
)
from trace_streaming.conventions.values import text
from trace_streaming.emitting.event_factory import earlier_part
from trace_streaming.emitting.faces import MAX_NAME, Face
from trace_streaming.emitting.project_events import make_event, redacted
from trace_streaming.events import TraceEvent, check_trace_id
from trace_streaming.events.texts import cut
from trace_streaming.exceptions import InvalidTraceIdError
from trace_streaming.models import Trace
from trace_streaming.permissions import WHO_ADDS, find_traces, may_add_events
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import hidden_values, left_out
from trace_streaming.storage.pieces import batched
from trace_streaming.storage.store import database
from trace_streaming.telemetry.logs import describe

from .endings import Root, roots_have_ended
from .placing import Places, moves
from .requests import Refusals, Request
from .storing import store
from .turns import give_way, own_turn

logger = logging.getLogger(__name__)

NOT_ALLOWED: Final = "the trace is not there, or may not be added to"
_TRACES: Final = 400
"""Asked for in one query."""


class Run:
    """What was sent of one trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.kept: list[tuple[OtelSpan, Shape]] = []
        self.left: list[OtelSpan] = []
        self.singles: list[OtelSpan] = []
        """Events that are no spans, which this app has exported."""

    @property
    def spans(self) -> Iterator[OtelSpan]:
        """All of them."""
        yield from (span for span, _ in self.kept)
        yield from self.left
        yield from self.singles


def receive(asker: Any, sent: Request) -> Refusals:
    """Store what was sent, and return what of it is refused.

    :param asker: the request, with its user
    :raises PermissionDenied: nothing of it may be added
    :raises Throttled: the queue is full
    :raises StoreAwayError: it could not be stored in time; what is sent again is stored once
    """
    if recorder.pending - recorder.pending_in_files + 2 * len(sent.spans) > conf.QUEUE_SIZE:
        raise Throttled(wait=RETRY_SECONDS, detail="The queue is full.")
    with own_turn():
        runs = _runs(asker, sent)
        alias = database()
        left = {(trace_id, span.span_id): span.parent_id for trace_id, run in runs.items() for span in run.left}
        left_out.leave_out(alias, left)
        begun = left_out.begun(alias, [trace_id for trace_id, run in runs.items() if run.left])
        places = Places(left)
        asked = {(trace_id, span.parent_id) for trace_id, run in runs.items() for span, _ in run.kept if span.parent_id}
        places.learn(alias, asked)
        hidden_values.learn(alias, [trace_id for trace_id, run in runs.items() if run.trace.pk is not None])
        told = {trace_id: events for trace_id, run in runs.items() if (events := _events(run, places, sent.refused))}
    begins = {trace_id: partial(_begin, runs[trace_id], asker.user) for trace_id in told}
    store([event for events in told.values() for event in events], sent.refused, begins)
    places.learn(alias, asked)  # others may have left out some meanwhile
    _move(alias, runs, begun, places)
    roots_have_ended(alias, {trace_id: root for trace_id, run in runs.items() if (root := _root(run)) is not None})
    return sent.refused


def _runs(asker: Any, sent: Request) -> dict[str, Run]:
    """By trace; without what may not be added."""
    own = {span.trace_id: span.own_trace for span in sent.spans if span.own_trace}
    named: dict[str, list[OtelSpan]] = {}
    for span in sent.spans:
        try:
            trace_id = check_trace_id(own.get(span.trace_id, span.trace_id))
        except InvalidTraceIdError as error:
            sent.refused.add(error)
        else:
            named.setdefault(trace_id, []).append(span)
    runs: dict[str, Run] = {}
    for chunk in batched(named, _TRACES):
        traces = find_traces(chunk)
        for trace_id in chunk:
            trace = traces.get(trace_id) or Trace(trace_id=trace_id)
            if may_add_events(asker, trace):
                runs[trace_id] = _run(trace, named[trace_id])
            else:
                for _ in named[trace_id]:
                    sent.refused.add(NOT_ALLOWED)
    if named and not runs:
        raise PermissionDenied(f"Nothing of it may be added: {WHO_ADDS}")
    return runs


def _run(trace: Trace, spans: Iterable[OtelSpan]) -> Run:
    run = Run(trace)
    for span in spans:
        give_way()
        begun_span = begun(span)
        each = span if begun_span is None else begun_span
        if single_of(each, "") is not None:
            run.singles.append(each)
            continue
        shape = shape_of(each) or (Shape(STEP) if conf.OTLP_ALL_SPANS else None)
        if shape is not None:
            run.kept.append((each, shape))
        elif begun_span is None:
            run.left.append(each)
    return run


def _events(run: Run, places: Places, refused: Refusals) -> list[TraceEvent]:
    """Two for each span that is kept, in the order of their times."""
    trace_id = run.trace.trace_id
    events: list[TraceEvent] = []
    for span, shape in run.kept:
        give_way()
        try:
            events += _made_of(trace_id, span, shape, places.above(trace_id, span.parent_id))
        except ValueError as error:
            refused.add(error)
        except Exception as error:  # an oddity that nobody has thought of costs no other span
            logger.error("A span cannot be told: %s", describe(error), extra={"trace_id": trace_id})
            refused.add("it cannot be told")
    singles: dict[int, TraceEvent] = {}
    for index, span in enumerate(run.singles):
        try:
            if (told := single_of(span, places.above(trace_id, span.parent_id))) is not None:
                singles[index] = _made(trace_id, told)
        except ValueError as error:
            refused.add(error)
    for index in ingest.told_by_the_server(singles):
        del singles[index]
        refused.add(ingest.TOLD)
    events += singles.values()
    return sorted(events, key=attrgetter("timestamp"))


def _made_of(trace_id: str, span: OtelSpan, shape: Shape, parent: str) -> list[TraceEvent]:
    details = details_of(span, shape)
    if not span.end_ns:
        return [_made(trace_id, start_of(span, shape, parent, details))]
    start, told = start_of(span, shape, parent), end_of(span, shape, parent, details, tracebacks=conf.TRACEBACKS)
    end, shown = make_event(trace_id, *told[:3], timestamp=told.timestamp, event_id=told.event_id)
    at, event_id = start.timestamp, start.event_id
    begun = earlier_part(
        end, shown, start.details, start.event, extra_events=conf.EXTRA_EVENTS, timestamp=at, event_id=event_id
    )
    return [begun, end]


def _made(trace_id: str, told: Told) -> TraceEvent:
    return make_event(trace_id, *told[:3], timestamp=told.timestamp, event_id=told.event_id)[0]


def _begin(run: Run, user: Any) -> None:
    """Say what the trace is called, and whose it is, where that is news."""
    trace = run.trace
    roots = sorted((span.start_ns, name_of(span, shape)) for span, shape in run.kept if not span.parent_id)
    named = (*(text(span.resource, NAME_ATTRIBUTE) for span in run.spans), *(name for _, name in roots))
    name = next(filter(None, named), "")
    conversation = next(filter(None, map(conversation_of, run.spans)), "")
    known = {"user": next(filter(None, map(user_of, run.spans)), None), "service": None}
    known["service"] = next((span.resource.get("service.name") for span, _ in run.kept), None)
    metadata = {key: value for key, value in known.items() if value is not None and key not in trace.metadata}
    face = Face(
        cut(name, MAX_NAME) if name else None,
        cut(conversation, MAX_NAME) if conversation else None,
    )
    shown = face.redacted(partial(redacted, trace_id=trace.trace_id))
    is_news = shown.name not in {None, trace.name} or shown.conversation not in {None, trace.conversation}
    if trace.pk is None or metadata or is_news:
        ingest.begin(trace, user, metadata or None, face)


def _move(alias: str, runs: dict[str, Run], begun: Container[str], places: Places) -> None:
    """Tell the right place of what was stored with another: because its parent is left out, and came later.

    :param begun: traces that were there when what is left out was remembered; who has begun one since, has seen that
    """
    told: list[TraceEvent] = []
    for trace_id, run in runs.items():
        spans = {span.span_id for span in run.left} if trace_id in begun else set()
        parents = {span.parent_id for span, _ in run.kept if span.parent_id}
        spans |= {parent for parent in parents if places.above(trace_id, parent) != parent}
        if spans:
            told += [_made(trace_id, each) for each in moves(alias, places, trace_id, spans)]
    if told:
        store(told, Refusals())  # these tell of spans that were taken before


def _root(run: Run) -> Root | None:
    """The last of the roots that have ended; that of a trace which may never begin, too."""
    spans = (*(span for span, _ in run.kept), *run.left)
    ended = [span for span in spans if not span.parent_id and span.end_ns]
    if not ended:
        return None
    last = max(ended, key=attrgetter("end_ns"))
    return Root(end_state(last), time_of(last.end_ns))
