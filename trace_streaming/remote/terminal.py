"""Events as lines of a terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from trace_streaming.events import possible_ms
from trace_streaming.events.pairs import SPAN_KINDS, id_text, is_move, pair_key, part_of, span_name, waits

_COLOURS: Final = {"pending": "cyan", "running": "blue", "success": "green", "warning": "yellow", "error": "bold red"}
_KINDS: Final = {"agent": "cyan", "llm": "magenta", "tool": "blue", "approval": "yellow"}
_MESSAGES: Final = ("gen_ai.input.messages", "gen_ai.output.messages")
_NAMED: Final = ("tool", "tool_name", "duration_ms", "call_id", "parent_call_id")
"""Of the details, what has a column of its own, or only pairs events."""
_STATUS_WIDTH: Final = 8
_NAME_WIDTH: Final = 18
_INDENT: Final = 2
_MOST_INDENTED: Final = 8
MAX_REMEMBERED: Final = 10_000


class Nesting:
    """How deep the spans of one trace are that came so far: a line that is written cannot be moved any more."""

    def __init__(self) -> None:
        self._depths: dict[str, int] = {}

    def depth(self, event: Mapping[str, Any]) -> int:
        """Of an event: as its span, or inside of its parent where that has come."""
        details = event["details"]
        call_id = id_text(details.get("call_id")) if part_of(event["event"]).kind in SPAN_KINDS else None
        if call_id is not None and call_id in self._depths:
            return self._depths[call_id]
        above = self._depths.get(id_text(details.get("parent_call_id")) or "")
        depth = 0 if above is None else above + 1
        if call_id is not None:
            self._depths[call_id] = depth
            if len(self._depths) > MAX_REMEMBERED:
                del self._depths[next(iter(self._depths))]
        return depth


class OpenSpans:
    """Which spans of one trace have begun and not ended, of those that came."""

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        """Names by what a start and its end have in common; oldest first."""
        self._early: Counter[str] = Counter()
        """Ends whose start has not come."""

    @property
    def names(self) -> list[str]:
        """What they are called, the oldest first."""
        return [name for names in self._open.values() for name in names]

    def see(self, event: Mapping[str, Any]) -> None:
        """Take the next event."""
        part, details = part_of(event["event"]), event["details"]
        if part.kind not in SPAN_KINDS or (part.begins and is_move(details)):
            return
        key = pair_key(part, details)
        if part.begins and key in self._early:
            self._early -= Counter([key])
        elif part.begins:
            self._open.setdefault(key, []).append(span_name(event["event"], details) or part.kind)
        elif key in self._open:
            self._open[key].pop(0)
            if not self._open[key]:
                del self._open[key]
        elif waits(key):
            self._early[key] += 1
        for remembered in (self._open, self._early):
            if len(remembered) > MAX_REMEMBERED:
                del remembered[next(iter(remembered))]


def event_line(event: Mapping[str, Any], depth: int = 0) -> Text:
    """Time of day (of this machine), sequence, status, name, tool and duration, and what else the details hold.

    :param depth: in how many spans it is inside of
    """
    details: Mapping[str, Any] = event["details"]
    colour = _COLOURS.get(event["status"], "")
    kind = colour if event["status"] == "error" else _KINDS.get(part_of(event["event"]).kind, "")
    name = str(event.get("tool_name") or span_name(event["event"], details))
    rest = {key: value for key, value in details.items() if key not in _NAMED and (key != "name" or value != name)}
    duration = possible_ms(details.get("duration_ms"))
    clock = _local(datetime.fromisoformat(event["timestamp"])).strftime("%H:%M:%S.%f")[:-3]
    columns = [
        (clock, "dim"),
        (f"{event['sequence']:>5}", "dim"),
        (f"{event['status']:<{_STATUS_WIDTH}}", colour),
        (f"{' ' * _INDENT * min(depth, _MOST_INDENTED)}{event['event']:<{_NAME_WIDTH}}", kind),
        (name, "bold"),
        ("" if duration is None else f"{duration:.0f} ms", "magenta"),
        ("  ".join(f"{key}: {_in_words(_said(key, value))}" for key, value in rest.items()), ""),
    ]
    return Text(" ").join(Text(printable(text), style) for text, style in columns if text)


def _said(key: str, value: object) -> object:
    """Of a model's messages the text of the last; others as they are."""
    match value:
        case [*_, {"parts": [*parts]}] if key in _MESSAGES:
            texts = [part.get("content") for part in parts if isinstance(part, Mapping)]
            return " ".join(text for text in texts if isinstance(text, str)) or value
        case _:
            return value


def _in_words(value: object) -> str:
    """A text as it is, on one line, and anything else as JSON."""
    return " ".join(value.split()) if isinstance(value, str) else orjson.dumps(value).decode()


def _local(time: datetime) -> datetime:
    """In this machine's zone, where that has such a time; UTC at the ends of the calendar."""
    try:
        return time.astimezone()
    except (OverflowError, OSError, ValueError):
        return time


def rendered(line: Text, console: Console) -> str:
    """The line as the console shows it: in colour, and cut at its edge, where it is a terminal."""
    with console.capture() as captured:
        if console.is_terminal:
            console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, soft_wrap=True)
    return captured.get()


def printable(text: str) -> str:
    """What a terminal would obey is replaced: an event, and what a server answers, may hold anything."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def printable_json(text: str, encoding: str = "utf-8") -> str:
    """The same JSON, with escapes for what a terminal would obey, and for what it cannot show.

    :param encoding: of the terminal, or of the file that stands for it
    """
    return "".join(letter if _is_plain(letter, encoding) else json.dumps(letter)[1:-1] for letter in text)


def _is_plain(letter: str, encoding: str) -> bool:
    if not letter.isprintable():
        return False
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
