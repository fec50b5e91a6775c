"""Which events of a log are one span on their way out, and what that is called where several have one id.

The rule is that of :mod:`trace_streaming.events.spans`; here a span is let go as soon as it has ended.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from trace_streaming.events.conversations import Conversations
from trace_streaming.events.pairs import NAMES, SPAN_KINDS, id_text, pair_key, part_in, waits
from trace_streaming.events.spans import Span, take

MAX_OPEN: Final = 10_000
"""So many spans are waited for; beyond it the oldest is written without its other half, and again with it."""
_IDENTITY: Final = frozenset(
    {"call_id", "parent_call_id", "moved", "duration_ms", "outcome", *chain.from_iterable(chain(*NAMES.values()))}
)
"""Of details, what says which span it is, and what it is in the tree."""

Event = Mapping[str, Any]


class Known:
    """What has to be known of a whole trace before its spans are written; fed with its events.

    Of spans that is their ids, and little else.
    """

    def __init__(self) -> None:
        self.conversations = Conversations()
        self._ids: set[str] = set()
        self._again: dict[str, list[int]] = {}
        """Of an id that several spans have, when those behind the first came: by their sequence."""
        self._balance: dict[str, int] = {}
        """Of an id, how many starts wait for their ends; below nothing, how many ends for their starts."""
        self._moves: dict[str, list[Event]] = {}
        """What spans are inside of, where that was told later; by their names."""
        self._alone: set[int] = set()
        """Moves of spans of which nothing had come: each is a span."""

    def add(self, event: Event) -> None:
        """Take the next one."""
        self.conversations.add(event)
        part = part_in(event["event"], event["details"])
        call_id = id_text(event["details"].get("call_id"))
        if part.kind not in SPAN_KINDS or call_id is None:
            return
        balance = self._balance.pop(call_id, 0)
        if part.begins or part.ends:
            is_new = balance >= 0 if part.begins else balance <= 0
            balance += 1 if part.begins else -1
        elif is_new := call_id not in self._ids:
            self._alone.add(event["sequence"])
        if balance:
            self._balance[call_id] = balance
        if is_new and call_id in self._ids:
            self._again.setdefault(call_id, []).append(event["sequence"])
        self._ids.add(call_id)
        if not part.begins and not part.ends:
            self._moves.setdefault(self.name(call_id, event["sequence"]), []).append(_slim(event))

    def name(self, call_id: str, sequence: int) -> str:
        """What the last span with the id is called that was there then; where there was none, the first."""
        again = self._again.get(call_id, ())
        number = bisect_right(again, sequence)
        return f"{call_id} {again[number - 1]}" if number else call_id

    def moves(self, name: str) -> list[Event]:
        """What says of the span of this name what it is inside of now."""
        return self._moves.get(name, [])

    def is_alone(self, move: Event) -> bool:
        """Whether nothing of the span had come that the move tells of."""
        return move["sequence"] in self._alone or id_text(move["details"].get("call_id")) is None


def paired(events: Iterable[Event], known: Known) -> Iterator[Span | Event]:
    """Spans, in the order in which they end, and between them what is none; open ones come last.

    :param events: as the wire has them, in order; seen by ``known`` before
    """
    begun: dict[str, deque[Span]] = {}
    early: dict[str, deque[Span]] = {}
    waiting: dict[int, Span] = {}
    """Those that are not written yet, by their first event."""
    for event in events:
        part, sequence = part_in(event["event"], event["details"]), event["sequence"]
        if part.kind not in SPAN_KINDS:
            yield event
            continue
        if not part.begins and not part.ends:
            if known.is_alone(event):
                yield Span(sequence, events=[event], moves=[event])
            continue
        key = pair_key(part, event["details"])
        mine, others = (begun, early) if part.begins else (early, begun)
        span = take(others, key) or Span(sequence)
        is_whole = bool(span.events) or (part.ends and not waits(key))
        span.events.append(event)
        if part.begins:
            span.begun = event
        else:
            span.ended = event
        if is_whole:
            waiting.pop(span.arrival, None)
            yield span
            continue
        mine.setdefault(key, deque()).append(span)
        waiting[sequence] = span
        if len(waiting) > MAX_OPEN:
            first = waiting.pop(next(iter(waiting)))
            yield Span(first.arrival, first.begun, first.ended, first.events[:])
            first.events = [_slim(event) for event in first.events]
            first.begun, first.ended = (half and first.events[0] for half in (first.begun, first.ended))
    yield from waiting.values()


def _slim(event: Event) -> Event:
    """Without what makes it large."""
    return {**event, "details": {key: value for key, value in event["details"].items() if key in _IDENTITY}}
