"""What is told of an exception: its kind, its text, and where it came from."""

from __future__ import annotations

from traceback import TracebackException
from typing import Any, Final

from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.texts import shortened
from trace_streaming.redaction import redact_text

MAX_TRACEBACK: Final = 8 * 1024
"""Bytes of a traceback."""
_MAX_LINE: Final = 500
"""Characters; the last line is the error's own text, which is told beside it."""
_MAX_FRAMES: Final = 40
"""The innermost."""
_MAX_LINES: Final = 300
_MARKER: Final = "[truncated: {} characters before]\n"
_ROOM: Final = 60
"""Of the marker."""


def error_details(error: BaseException, has_traceback: bool) -> dict[str, Any]:
    """``error``, ``error_type`` and, where it is wanted and there is one, ``traceback``."""
    details = {"error": error_text(error), "error_type": type(error).__name__}
    if has_traceback and error.__traceback__ is not None and (text := _traceback_text(error)):
        details["traceback"] = text
    return details


def error_text(error: BaseException) -> str:
    """An exception's own text; a stranger's ``__str__`` may fail."""
    try:
        return str(error)
    except BaseException as raised:
        if is_for_the_process(raised):
            raise
        return f"[unserialisable {type(error).__name__}]"


def _traceback_text(error: BaseException) -> str:
    """The end of it, which says most, from the beginning of a line on.

    Redacted, as what stands in the place of secrets may be longer than they are.
    """
    try:
        lines = "".join(TracebackException.from_exception(error, limit=-_MAX_FRAMES, compact=True).format()).split("\n")
    except BaseException as raised:
        if is_for_the_process(raised):
            raise
        return ""
    lines = [line if len(line) <= _MAX_LINE else shortened(line, _MAX_LINE) for line in lines[-_MAX_LINES:]]
    text = redact_text("\n".join(lines)[-2 * MAX_TRACEBACK :])
    kept = text.encode("utf-8", "replace")[_ROOM - MAX_TRACEBACK :].decode("utf-8", "ignore")
    if len(kept) >= len(text):
        return text
    kept = kept[kept.find("\n") + 1 :]
    return _MARKER.format(len(text) - len(kept)) + kept
