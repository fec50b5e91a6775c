"""A trace in Chrome's trace event format, which Perfetto and ``chrome://tracing`` open.

Each span (a call of a tool or a model, an agent, a step) is a bar from its start to its end, in the lowest lane that is
free; every other event is a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from trace_streaming.events import possible_ms
from trace_streaming.events.pairs import SPAN_KINDS, is_move, pair_key, part_of, span_name, waits

MARKS: Final = 0
"""The lane of everything that is no span; the spans' lanes are 1, 2, …"""
MAX_OPEN: Final = 1_000
"""So many spans are waited for; beyond it the oldest is written without an end, or without a start."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Event = Mapping[str, Any]


class _Call(NamedTuple):
    """One that has started and not ended."""

    start: Event
    lane: int


class _Calls:
    """Open calls and their lanes."""

    def __init__(self) -> None:
        self._open: dict[str, list[_Call]] = {}
        self._early: dict[str, list[Event]] = {}
        """Ends whose start has not come."""
        self._count = 0
        self._early_count = 0
        self._lanes: set[int] = set()
        self.known_lanes: set[int] = set()

    def begin(self, event: Event) -> Iterator[_Call]:
        """Take one that starts; yields those that are waited for no longer."""
        if self._count >= MAX_OPEN:
            yield self._take(next(iter(self._open)))
        lane = self.lane()
        self._lanes.add(lane)
        self._open.setdefault(_key(event), []).append(_Call(event, lane))
        self._count += 1

    def end(self, event: Event) -> _Call | None:
        """The start of one that ends, by the rule of :mod:`trace_streaming.events.pairs`."""
        key = _key(event)
        return self._take(key) if key in self._open else None

    def keep(self, end: Event) -> Iterator[Event]:
        """Take an end whose start has not come; yields those that are waited for no longer."""
        if self._early_count >= MAX_OPEN:
            yield self._take_early(next(iter(self._early)))
        self._early.setdefault(_key(end), []).append(end)
        self._early_count += 1

    def early(self, start: Event) -> Event | None:
        """The end of one that starts, where that came before."""
        key = _key(start)
        return self._take_early(key) if key in self._early else None

    def rest(self) -> Iterator[_Call]:
        """Those that never ended."""
        while self._open:
            yield self._take(next(iter(self._open)))

    def early_rest(self) -> Iterator[Event]:
        """The ends of those that never started."""
        while self._early:
            yield self._take_early(next(iter(self._early)))

    def lane(self) -> int:
        """The lowest that is free."""
        lane = next(lane for lane in range(1, MAX_OPEN + 2) if lane not in self._lanes)
        self.known_lanes.add(lane)
        return lane

    def _take_early(self, key: str) -> Event:
        end = self._early[key].pop(0)
        if not self._early[key]:
            del self._early[key]
        self._early_count -= 1
        return end

    def _take(self, key: str) -> _Call:
        call = self._open[key].pop(0)
        if not self._open[key]:
            del self._open[key]
        self._lanes.discard(call.lane)
        self._count -= 1
        return call


def chrome_events(trace_id: str, events: Iterable[Event], process: int = 1) -> Iterator[dict[str, Any]]:
    """The trace events, in the order in which they are known; times are microseconds, as the format has them.

    :param events: as the wire has them, in order
    :param process: as which the trace is shown; of several traces in one file, each has its own
    """
    return ({**event, "pid": process} for event in _events(trace_id, events))


def _events(trace_id: str, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    calls = _Calls()
    yield _metadata("process_name", MARKS, trace_id)
    yield _metadata("thread_name", MARKS, "events")
    for event in events:
        part = part_of(event["event"])
        if part.kind not in SPAN_KINDS:
            yield _mark(event)
        elif part.begins and is_move(event["details"]):
            continue
        elif part.begins and (end := calls.early(event)) is not None:
            yield _finished(end, _Call(event, calls.lane()))
        elif part.begins:
            yield from map(_unfinished, calls.begin(event))
        elif (call := calls.end(event)) is None and waits(_key(event)):
            yield from map(_without_start, calls.keep(event))
        else:
            yield _finished(event, call)
    yield from map(_without_start, calls.early_rest())
    yield from map(_unfinished, calls.rest())
    for lane in sorted(calls.known_lanes):
        yield _metadata("thread_name", lane, f"calls {lane}")


def _finished(end: Event, call: _Call | None) -> dict[str, Any]:
    ended = _microseconds(end)
    if call is not None:
        started = min(_microseconds(call.start), ended)
        args = {"start": call.start["details"], "end": end["details"], "status": end["status"]}
        return {**_common(end, "X", call.lane, started, args), "name": _name(end, call.start), "dur": ended - started}
    duration = possible_ms(end.get("duration_ms"))
    if duration is None:
        return _mark(end)
    microseconds = round(duration * 1000)
    return {**_common(end, "X", MARKS, ended - microseconds, _args(end)), "dur": microseconds}


def _without_start(end: Event) -> dict[str, Any]:
    return _finished(end, None)


def _unfinished(call: _Call) -> dict[str, Any]:
    return _common(call.start, "B", call.lane, _microseconds(call.start), _args(call.start))


def _mark(event: Event) -> dict[str, Any]:
    return {**_common(event, "i", MARKS, _microseconds(event), _args(event)), "s": "t"}


def _common(event: Event, phase: str, lane: int, time: int, args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(event),
        "cat": event["event"],
        "ph": phase,
        "ts": time,
        "tid": lane,
        "args": {"sequence": event["sequence"], **args},
    }


def _name(*events: Event) -> str:
    """The first that one of them says; else that of the first."""
    told = (event.get("tool_name") or span_name(event["event"], event["details"]) for event in events)
    return str(next(filter(None, told), events[0]["event"]))


def _args(event: Event) -> dict[str, Any]:
    return {"details": event["details"], "status": event["status"]}


def _metadata(kind: str, lane: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "ts": 0, "tid": lane, "args": {"name": name}}


def _key(event: Event) -> str:
    return pair_key(part_of(event["event"]), event["details"])


def _microseconds(event: Event) -> int:
    return (datetime.fromisoformat(event["timestamp"]) - _EPOCH) // timedelta(microseconds=1)
