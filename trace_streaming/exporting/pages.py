"""A trace's events on their way out: pages of the store as JSON, as JSON lines, for Perfetto and as OTLP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from trace_streaming.events import EncodedEvent
from trace_streaming.models import Trace
from trace_streaming.storage import store
from trace_streaming.storage.pieces import batched
from trace_streaming.wire.protocol import WatchRequest

from . import otlp
from .pairing import Known
from .perfetto import chrome_events

MAX_PAGES: Final = 20
"""Of the store, for one answer that is not streamed: a filter may leave out nearly everything."""
MAX_SPANS: Final = 10_000
"""Of a request in OTLP's JSON: what this app's endpoint takes."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""The same; so many are held in memory."""


class Page(NamedTuple):
    """A part of a log."""

    last: int
    """The last sequence that was looked at."""
    events: Sequence[EncodedEvent]
    """Those that are wanted."""


def pages(trace: Trace, request: WatchRequest) -> Iterator[Page]:
    """The log as it is now, from behind ``since`` on; what is appended meanwhile is left out."""
    after = request.since or 0
    while after < trace.last_sequence:
        events = store.with_fresh_connection(store.read_page, trace.pk, after)
        if not events:
            return  # pruned
        after = events[-1].sequence
        yield Page(
            after,
            [
                event
                for event in events
                if event.sequence <= trace.last_sequence and request.filter.matches(event.event, event.status)
            ],
        )


def json_page(trace: Trace, request: WatchRequest, limit: int) -> bytes:
    """At most ``limit`` events as one JSON object. The events' texts are spliced, not parsed.

    ``next`` is the ``since`` of the next page; null where the log ends.
    """
    texts: list[str] = []
    place = trace.last_sequence
    for number, page in enumerate(pages(trace, request), 1):
        wanted = page.events[: limit - len(texts)]
        texts += [event.text for event in wanted]
        if len(texts) == limit or number == MAX_PAGES:
            place = wanted[-1].sequence if len(texts) == limit else page.last
            break
    head = orjson.dumps(
        {
            "trace_id": trace.trace_id,
            "epoch": trace.epoch,
            "last_sequence": trace.last_sequence,
            "next": place if place < trace.last_sequence else None,
        }
    )
    return b'%s,"events":[%s]}' % (head[:-1], ",".join(texts).encode())


def json_lines(trace: Trace, request: WatchRequest, limit: int | None) -> Iterator[bytes]:
    """One event a line, a page at a time."""
    left = limit
    for page in pages(trace, request):
        events = page.events if left is None else page.events[:left]
        if events:
            yield "".join([event.text + "\n" for event in events]).encode()
        if left is not None:
            left -= len(events)
            if left <= 0:
                return


def chrome_trace(trace: Trace, request: WatchRequest) -> Iterator[bytes]:
    """One JSON object in Chrome's trace event format, a page at a time."""
    about = {"trace_id": trace.trace_id, "state": trace.state}
    return _chrome_object(about, _chrome_events(trace, request))


def chrome_traces(traces: Iterable[Trace]) -> Iterator[bytes]:
    """The same of several whole traces: each is a process of its own."""
    whole = (_chrome_events(trace, WatchRequest(trace.trace_id), number) for number, trace in enumerate(traces, 1))
    return _chrome_object({}, chain.from_iterable(whole))


def otlp_json(trace: Trace, request: WatchRequest) -> Iterator[bytes]:
    """In OTLP's JSON, in pieces: one request; where that would be refused, several, each in a line of its own.

    It is read twice: what a span is inside of, and which messages came before, may be told before and behind it.
    """
    known = Known()
    for event in _events(trace, request):
        known.add(event)
    resource = orjson.dumps(otlp.resource(trace.trace_id, trace.name, trace.metadata))
    head = b'{"resourceSpans":[{"resource":%s,"scopeSpans":[{"scope":{"name":"trace_streaming"},"spans":[' % resource
    tail = b"]}]}]}\n"
    told = otlp.spans(trace.trace_id, _events(trace, request), known, trace.conversation)
    encoded = ((arrival, orjson.dumps(span)) for arrival, span in told)
    for spans in _requests(encoded, MAX_BYTES - len(head) - len(tail)):
        yield head + b",".join(spans[:500])
        for piece in batched(spans[500:], 500):
            yield b"," + b",".join(piece)
        yield tail


def _requests(spans: Iterable[tuple[int, bytes]], room: int) -> Iterator[list[bytes]]:
    """As many as one request takes, in the order in which they came: so do siblings that begin at the same time.

    :param spans: each with the sequence of its first event
    """
    gathered: list[tuple[int, bytes]] = []
    size = 0
    for span in spans:
        if gathered and (len(gathered) == MAX_SPANS or size + len(span[1]) > room):
            yield [text for _, text in sorted(gathered, key=itemgetter(0))]
            gathered, size = [], 0
        gathered.append(span)
        size += len(span[1]) + 1
    yield [text for _, text in sorted(gathered, key=itemgetter(0))]


def _events(trace: Trace, request: WatchRequest) -> Iterator[dict[str, Any]]:
    return (orjson.loads(event.text) for page in pages(trace, request) for event in page.events)


def _chrome_events(trace: Trace, request: WatchRequest, process: int = 1) -> Iterator[dict[str, Any]]:
    return chrome_events(trace.trace_id, _events(trace, request), process)


def _chrome_object(about: dict[str, str], events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    encoded = map(orjson.dumps, events)
    head = b'{"displayTimeUnit":"ms","otherData":%s,"traceEvents":[\n' % orjson.dumps(about)
    yield head + next(encoded, b"")
    while chunk := list(islice(encoded, 500)):
        yield b"".join(chain.from_iterable((b",\n", event) for event in chunk))
    yield b"\n]}\n"
