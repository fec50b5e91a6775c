"""How values are found in a text, in whatever way they are written there: as they are, encoded, escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick

from trace_streaming.redaction.spans import Span

from .encodings import base64_parts, encodings

RULE: Final = "known value"
_BY_HAND: Final = 48
"""Ways to write values, of which one has some 12: so many are found as quickly one after the other."""
_PIECE: Final = 32
"""Characters in the middle of a longer pattern by which it is looked for: to build with all takes 20 times as long."""
_BASE64_BEFORE: Final = re.compile(r"[A-Za-z0-9+/_\-]{0,3}")
_BASE64_BEHIND: Final = re.compile(r"[A-Za-z0-9+/_\-]{0,3}={0,2}")


class Automaton:
    """All ways in which some values may be written, found in one pass."""

    def __init__(self, values: Iterable[str]) -> None:
        values = list(values)
        whole = dict.fromkeys(form for value in values for form in encodings(value))
        parts = dict.fromkeys(part for value in values for part in base64_parts(value) if part not in whole)
        self._patterns = [*whole, *parts]
        self._first_part = len(whole)
        # It keeps the interpreter's lock. One in Rust lets go of it: to wake whoever waits for that costs 12 µs and
        # more; and where Python ends meanwhile, a daemon thread that comes back aborts the process.
        self._automaton = None
        if len(self._patterns) > _BY_HAND:
            pieces: dict[str, list[tuple[int, int]]] = {}
            for number, pattern in enumerate(self._patterns):
                start = max(len(pattern) - _PIECE, 0) // 2
                piece = pattern[start : start + _PIECE]
                pieces.setdefault(piece, []).append((number, len(pattern) - start - len(piece)))
            self._automaton = ahocorasick.Automaton()
            for piece, held in pieces.items():
                self._automaton.add_word(piece, held)
            self._automaton.make_automaton()

    def is_in(self, text: str) -> bool:
        """Whether one of the values is in a text, however it is written."""
        if self._automaton is None and not self._is_by_hand(text):
            return False
        return any(True for _ in self.spans(text))

    def _is_by_hand(self, text: str) -> bool:
        for pattern in self._patterns:  # noqa: SIM110  a generator takes a quarter longer
            if pattern in text:
                return True
        return False

    def spans(self, text: str) -> Iterator[Span]:
        """Where they are."""
        return self._whole(text, self._by_hand(text) if self._automaton is None else self._by_pieces(text))

    def _by_pieces(self, text: str) -> Iterator[tuple[int, int]]:
        for at, held in self._automaton.iter(text):  # type: ignore[union-attr]
            for number, behind in held:
                pattern, last = self._patterns[number], at + behind
                start = last + 1 - len(pattern)
                if start >= 0 and (len(pattern) <= _PIECE or text.startswith(pattern, start)):
                    yield last, number

    def _by_hand(self, text: str) -> Iterator[tuple[int, int]]:
        for number, pattern in enumerate(self._patterns):
            at = text.find(pattern)
            while at >= 0:
                yield at + len(pattern) - 1, number
                at = text.find(pattern, at + 1)

    def _whole(self, text: str, found: Iterable[tuple[int, int]]) -> Iterator[Span]:
        """Of digits, those that are not a part of a longer number.

        :param found: the last character of each, and its pattern
        """
        for last, pattern in found:
            start, end = last + 1 - len(self._patterns[pattern]), last + 1
            if pattern >= self._first_part:  # the letters of base64 around it hold the rest
                start -= len(_BASE64_BEFORE.match(text[max(start - 3, 0) : start][::-1])[0])  # type: ignore[index]
                end = _BASE64_BEHIND.match(text, end).end()  # type: ignore[union-attr]
            elif self._patterns[pattern].isdecimal() and (
                text[max(start - 1, 0) : start].isdecimal() or text[end : end + 1].isdecimal()
            ):
                continue
            yield Span(start, end, RULE)
