"""Tokens of providers, known by the table of their formats: ``token_shapes``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from string import ascii_letters, digits
from typing import Final

from trace_streaming.redaction.effort import VALUES, Effort
from trace_streaming.redaction.spans import Span

from .shapes import SHORTEST, Pattern, Shape
from .token_shapes import PATTERNS, SHAPES

_OF_WORDS: Final = frozenset(f"{ascii_letters}{digits}_.+-".encode())
_AS_WORD_OR_NOT: Final = bytes(ord("w" if code in _OF_WORDS else " ") for code in range(256))
_LONG_WORD: Final = b"w" * SHORTEST
"""Few other words are as long."""
_STUCK: Final = re.compile(r"(?<=\\)(?:[nrt]|u00[0-9a-f]{2}|x[0-9a-f]{2})|(?<=%)[0-9A-F]{2}|(?<=[\[;])[0-9]{1,3}m")
"""Of an escape before the word: of a line's end, of a sign, of a percent-encoded one, of a colour."""
_BEFORE_STUCK: Final = frozenset("\\%[;")
_TRIED: Final = 8
"""What it takes to look at a place where a token may begin."""

Format = Shape | Pattern


def _by_start(formats: list[Format], length: int) -> dict[str, list[Format]]:
    """By their first characters, the longest prefixes first."""
    formats = sorted(formats, key=lambda each: (each.prefix[:length], -len(each.prefix)))
    return {start: list(same) for start, same in groupby(formats, key=lambda each: each.prefix[:length])}


_FORMATS: Final[list[Format]] = [*SHAPES, *PATTERNS]
_BY_SIGN: Final = _by_start([each for each in _FORMATS if len(each.prefix) == 1], 1)
_BY_PREFIX: Final = _by_start([each for each in _FORMATS if len(each.prefix) > 1], 2)


def _any_beginning() -> str:
    """A pattern for all, by their first letters: the engine tries few of them."""
    beginnings = sorted({each.beginning for each in _FORMATS if len(each.prefix) > 1})
    groups = [
        first + "(?:" + "|".join(beginning[1:] for beginning in same) + ")"
        for first, same in groupby(beginnings, key=itemgetter(0))
    ]
    return "(?:" + "|".join(groups) + ")"


_BEGINNING: Final = re.compile(_any_beginning(), re.ASCII)
_BEHIND_JOINT: Final = re.compile("[._\\-+]" + _BEGINNING.pattern, re.ASCII)


def find_tokens(text: str, effort: Effort) -> Iterator[Span]:
    """The tokens. They begin where a word does, or behind one of its joints."""
    if len(text) < SHORTEST:
        return
    done = at = 0
    # Sought in a copy in which all signs of words are one: the search passes over most of it.
    words = text.encode("latin-1", "replace").translate(_AS_WORD_OR_NOT)
    while (start := words.find(_LONG_WORD, at)) >= 0:
        at = words.find(b" ", start)
        if at < 0:
            at = len(words)
        for place in _places(text, start, at):
            if place < done:
                continue
            if not effort.spend(VALUES, _TRIED):
                yield Span(place, place, "")
                return
            if (token := _token(text, place)) and token.start >= done:
                yield token
                done = token.end
        at = max(at, done)


def _places(text: str, start: int, end: int) -> Iterator[int]:
    """Where a token may begin in the word at ``start:end``."""
    before = text[start - 1 : start]
    if before in _BY_SIGN and any(each.span(text, start - 1) for each in _BY_SIGN[before]):
        yield start - 1
    if before in _BEFORE_STUCK and (stuck := _STUCK.match(text, start)):
        start = stuck.end()
    if _BEGINNING.match(text, start, end):
        yield start
    while found := _BEHIND_JOINT.search(text, start, end):
        start = found.start() + 1
        yield start


def _token(text: str, place: int) -> Span | None:
    """Where the token is, and its rule."""
    for each in _BY_SIGN.get(text[place], ()) or _BY_PREFIX.get(text[place : place + 2], ()):
        if text.startswith(each.prefix, place) and (span := each.span(text, place)):
            return None if "EXAMPLE" in text[slice(*span)] else Span(*span, each.rule)  # of a manual
    return None
