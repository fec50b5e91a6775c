"""The tree of a trace: its spans, and what they are inside of.

- :mod:`.pairs` says which events are one span.
- What names a ``parent_call_id`` is inside of that span, whichever comes first; what is its own ancestor is inside of
  nothing.
- What the end says of kind, name and parent counts more than what the start says; of the parent, what a start says
  that says ``moved`` counts most, the newest first.
- Times are the events' own. Siblings are in the order of their starts, then of their arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .encoding import parse_timestamp, possible_ms
from .pairs import NAMES, SPAN_KINDS, Part, first_text, id_text, outcome_of, pair_key, part_in, part_of, waits

Event = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Span:
    """A call, an agent, a step or an approval with its events; or an event that is none of these."""

    arrival: int
    """Which of all it was, when its first event came."""
    begun: Event | None = None
    ended: Event | None = None
    events: list[Event] = field(default_factory=list)
    """In the order in which they came."""
    parent: Span | None = None
    children: list[Span] = field(default_factory=list)
    moves: list[Event] = field(default_factory=list)
    """Of the events, those that say what it is inside of now."""

    @property
    def kind(self) -> str:
        """As :class:`Part` has it."""
        return part_of((self.ended or self.events[0])["event"]).kind

    @property
    def name(self) -> str:
        """Of the tool, the model, the agent or the step; of an approval its action."""
        groups = NAMES.get(self.kind, ())
        told = (first_text(event["details"], *keys) for keys in groups for event in self._by_weight())
        return next(filter(None, told), "")

    @property
    def call_id(self) -> str | None:
        """Of a span that others may be inside of."""
        return id_text(self.events[0]["details"].get("call_id")) if self.kind in SPAN_KINDS else None

    @property
    def parent_id(self) -> str | None:
        """``parent_call_id``; None where it names none."""
        events = (*reversed(self.moves), *self._by_weight())
        return next((told for event in events if (told := _parent_id(event))), None)

    @property
    def outcome(self) -> str:
        """``open``, or as :func:`outcome_of` has it; empty for what does not last."""
        if self.ended is not None:
            return outcome_of(self.ended["status"], self.ended["details"])
        return "open" if self.begun is not None else ""

    @property
    def start(self) -> datetime:
        """As it is told; where no start is, so long before the end as that says."""
        first = parse_timestamp((self.begun or self.events[0])["timestamp"])
        if self.begun is not None or self.ended is None:
            return first
        try:
            return first - timedelta(milliseconds=possible_ms(self.ended["details"].get("duration_ms")) or 0)
        except OverflowError:  # before the first year
            return first

    @property
    def end(self) -> datetime | None:
        """As it is told; it may be before the start, by another clock."""
        return None if self.ended is None else parse_timestamp(self.ended["timestamp"])

    @property
    def duration_ms(self) -> float | None:
        """What the end says, or else the time between; None where that is below nothing, or nobody knows."""
        if self.ended is None:
            return None
        told = possible_ms(self.ended["details"].get("duration_ms"))
        if told is not None or self.begun is None:
            return told
        elapsed = (parse_timestamp(self.ended["timestamp"]) - self.start) / timedelta(milliseconds=1)
        return elapsed if elapsed >= 0 else None

    def _by_weight(self) -> Iterator[Event]:
        """Its events, those first whose word counts more."""
        if self.ended is not None:
            yield self.ended
        yield from (event for event in self.events if event is not self.ended)


def _parent_id(event: Event) -> str | None:
    return id_text(event["details"].get("parent_call_id"))


class Spans:
    """The spans of one trace; fed with its events in the order in which they come, each as often as one likes."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.all: list[Span] = []
        """In the order in which they came."""
        self._open: dict[str, deque[Span]] = {}
        self._early: dict[str, deque[Span]] = {}
        """Ends with an id whose start has not come."""
        self._by_key: dict[str, Span] = {}
        """The newest of each id, which may be moved."""
        self._known: set[int] = set()
        for event in events:
            self.add(event)

    def add(self, event: Event) -> Span | None:
        """Take an event; returns its span, or None for one that was there already, by its ``sequence``."""
        sequence = event.get("sequence")
        if sequence is not None:
            if sequence in self._known:
                return None
            self._known.add(sequence)
        part = part_in(event["event"], event["details"])
        has_moved = part.kind in SPAN_KINDS and not part.begins and not part.ends
        key = pair_key(part, event["details"]) if part.begins or part.ends or has_moved else ""
        span = self._by_key.get(key) if has_moved else self._met(part, key)
        if span is None:
            span = Span(len(self.all))
            self.all.append(span)
            if waits(key):
                self._by_key[key] = span
            if part.begins:
                self._open.setdefault(key, deque()).append(span)
            elif part.ends and waits(key):
                self._early.setdefault(key, deque()).append(span)
        span.events.append(event)
        if has_moved:
            span.moves.append(event)
        if part.begins and span.begun is None:
            span.begun = event
        if part.ends:
            span.ended = event
        return span

    def _met(self, part: Part, key: str) -> Span | None:
        """The span that the event belongs to, where it is there already."""
        if part.ends:
            return take(self._open, key)
        if part.begins and part.kind == "approval" and key in self._open:
            return self._open[key][0]  # asked again
        return take(self._early, key) if part.begins else None

    def roots(self) -> list[Span]:
        """Those that are inside of no other; with their children, and all in their order."""
        by_id: dict[str, list[Span]] = {}
        for span in self.all:
            span.children, span.parent = [], None
            if (call_id := span.call_id) is not None:
                by_id.setdefault(call_id, []).append(span)
        for span in self.all:
            span.parent = _parent(span, by_id)
        for span in list(_in_circles(self.all)):
            span.parent = None
        roots: list[Span] = []
        for span in sorted(self.all, key=lambda span: (span.start, span.arrival)):
            (roots if span.parent is None else span.parent.children).append(span)
        return roots


def take(waiting: dict[str, deque[Span]], key: str) -> Span | None:
    """The oldest of those that wait under a key; None where none does."""
    if (spans := waiting.get(key)) is None:
        return None
    span = spans.popleft()
    if not spans:
        del waiting[key]
    return span


def _parent(span: Span, by_id: Mapping[str, list[Span]]) -> Span | None:
    """Of several with the id, the last that was there before; where there was none, the first that came."""
    found = by_id.get(span.parent_id or "", []) if span.parent_id is not None else []
    return next((one for one in reversed(found) if one.arrival <= span.arrival), found[0] if found else None)


def _in_circles(spans: Iterable[Span]) -> Iterator[Span]:
    """Those that are their own ancestors; each is looked at once."""
    walked: dict[Span, Span] = {}
    for span in spans:
        above: Span | None = span
        while above is not None and above not in walked:
            walked[above] = span
            above = above.parent
        if above is not None and walked[above] is span:
            first = above
            yield first
            while (above := above.parent) is not first and above is not None:
                yield above
