"""Events as lines of a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from trace_streaming.events import possible_ms

_COLOURS: Final = {"pending": "cyan", "running": "blue", "success": "green", "warning": "yellow", "error": "bold red"}
_NAMED: Final = ("tool", "tool_name", "duration_ms", "call_id", "parent_call_id")
"""Of the details, what has a column of its own, or only pairs events."""
_STATUS_WIDTH: Final = 8
_NAME_WIDTH: Final = 18


def event_line(event: Mapping[str, Any]) -> Text:
    """Time of day (of this machine), sequence, status, name, tool and duration, and what else the details hold."""
    details: Mapping[str, Any] = event["details"]
    colour = _COLOURS.get(event["status"], "")
    rest = {key: value for key, value in details.items() if key not in _NAMED}
    duration = possible_ms(details.get("duration_ms"))
    clock = _local(datetime.fromisoformat(event["timestamp"])).strftime("%H:%M:%S.%f")[:-3]
    columns = [
        (clock, "dim"),
        (f"{event['sequence']:>5}", "dim"),
        (f"{event['status']:<{_STATUS_WIDTH}}", colour),
        (f"{event['event']:<{_NAME_WIDTH}}", colour),
        (str(event.get("tool_name") or ""), "bold"),
        ("" if duration is None else f"{duration:.0f} ms", "magenta"),
        (orjson.dumps(rest).decode() if rest else "", ""),
    ]
    return Text(" ").join(Text(printable(text), style) for text, style in columns if text)


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
