"""Where a text may hold a secret: the words at which rules begin, all found in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import ahocorasick

Place: TypeAlias = tuple[int, int]
"""Where a word begins and ends."""

_Found: TypeAlias = tuple[int, tuple[tuple[int, ...], int]]
"""Where a word's last letter is, the rules that it is of, and its length."""
_WINDOW: Final = 32_768
"""Characters that are looked through at a time, until there are too many places."""
_LONGEST: Final = 64
"""Characters of a word; windows overlap by so many."""
_MOST_PLACES: Final = 6_000
"""In a text: more than effort is there for."""


class Hints:
    """An automaton of Aho and Corasick: its time is the text's length, whatever the number of words.

    :param families: the words of each rule, in small letters; a word may be of several
    """

    def __init__(self, families: Sequence[Iterable[str]]) -> None:
        rules: dict[str, list[int]] = {}
        for rule, words in enumerate(families):
            for word in words:
                rules.setdefault(word, []).append(rule)
        self._count = len(families)
        self._automaton = ahocorasick.Automaton()
        for word, numbers in rules.items():
            self._automaton.add_word(word, (tuple(numbers), len(word)))
        self._automaton.make_automaton()

    def places(self, lowered: str) -> tuple[list[list[Place]] | None, int | None]:
        """For each family the places of its words, in order; None where there are none at all.

        :returns: and up to where the text was looked through, where it was not to its end
        """
        if len(lowered) <= _WINDOW:
            found = list(self._automaton.iter(lowered))
            return (self._by_rule(found) if found else None), None
        return self._places_by_windows(lowered)

    def _places_by_windows(self, lowered: str) -> tuple[list[list[Place]] | None, int | None]:
        found: list[_Found] = []
        for begin in range(0, len(lowered), _WINDOW):
            window = lowered[begin : begin + _WINDOW + _LONGEST]
            here = self._automaton.iter(window)
            found += ((begin + last, (rules, size)) for last, (rules, size) in here if last - size + 1 < _WINDOW)
            if len(found) > _MOST_PLACES:
                return self._by_rule(found), min(begin + _WINDOW, len(lowered))
        return (self._by_rule(found) if found else None), None

    def _by_rule(self, found: list[_Found]) -> list[list[Place]]:
        places: list[list[Place]] = [[] for _ in range(self._count)]
        for last, (rules, size) in found:
            for rule in rules:
                places[rule].append((last + 1 - size, last + 1))
        return places
