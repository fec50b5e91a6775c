"""A piece of what a call says while it says it: news, and no event. It is not stored and not numbered."""

from __future__ import annotations

from typing import NamedTuple


class TextDelta(NamedTuple):
    """A piece of a call's text, redacted."""

    trace_id: str
    call_id: str
    offset: int
    """Characters of the text that came before; who has not had them waits for the result."""
    text: str
