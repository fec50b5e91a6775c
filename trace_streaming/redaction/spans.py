"""What was found in a text, and the text without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from trace_streaming.events.texts import EDGES

TOO_MUCH: Final = "[redacted:too much to look at]"
_OF_NUMBERS: Final = "0123456789 .-+()/"


class Span(NamedTuple):
    """A part of a text that nobody may see."""

    start: int
    end: int
    rule: str
    """As the marker names it: small letters and blanks."""

    def overlaps(self, other: Span) -> bool:
        """Whether they have a place in common."""
        return self.start < other.end and other.start < self.end


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, each place once: of what overlaps, one with the rule of what begins first, or is longer."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:
            kept[-1] = kept[-1]._replace(end=span.end)
    return kept


def without(text: str, spans: Iterable[Span], cut: int | None = None) -> str:
    """The text with a marker for each span.

    :param spans: as :func:`merged` gives them
    :param cut: what is there, and behind it, was not looked at; it is replaced by a marker, too
    """
    kept: list[str] = []
    done = 0
    for start, end, rule in spans:
        if cut is not None and end > cut:
            cut = min(cut, start)
            break
        kept += (text[done:start], f"[redacted:{rule}]")
        done = end
    kept.append(text[done:] if cut is None else _looked_at(text, done, cut))
    return "".join(kept)


def _looked_at(text: str, done: int, cut: int) -> str:
    """Cut where a word ends: half a secret is none that another rule knows."""
    looked_at = text[done:cut]
    looked_at = looked_at[: max(map(looked_at.rfind, EDGES)) + 1].rstrip(_OF_NUMBERS)
    return f"{looked_at}{TOO_MUCH}[truncated: {len(text) - done - len(looked_at)} more characters]"
