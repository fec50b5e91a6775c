"""How much one event may take to be looked at: what is beyond it is replaced by a marker, and never shown unseen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from trace_streaming.events.texts import EDGES

TOO_MUCH: Final = "[redacted:too much to look at]"
POOL: Final = 13_000
"""For all texts of an event. A unit is about a microsecond of a CPU of 2020."""
RESERVE: Final = 1_000
"""For each rule, and for short texts, where the pool is empty: one dense text hides no other rule's finds."""
SHORT: Final = 256

ASSIGNMENTS: Final = 0
COMMANDS: Final = 1
VALUES: Final = 2
NUMBERS: Final = 3
_SHORT_TEXTS: Final = 4

_OF_NUMBERS: Final = "0123456789 .-+()/"


class Effort:
    """What is left for one event. Counted, not timed: the same event becomes the same on every machine."""

    # Of the class until they are changed: one is made for each event, and hardly any needs more than that.
    left = POOL
    """For everything."""
    _reserves: list[int] | None = None
    """What is left of each, once the pool is empty."""

    def spend(self, rule: int, units: int) -> bool:
        """Whether there is so much left for a rule."""
        if 0 < self.left > units - RESERVE:
            self.left -= units
            return True
        return self._spend_reserve(rule, units)

    def begin(self, length: int) -> bool:
        """Whether a text of this length may be looked at."""
        units = 2 + (length >> 5)
        if self.left > 0:
            self.left -= units
            return True
        return length <= SHORT and self._spend_reserve(_SHORT_TEXTS, units)

    def _spend_reserve(self, rule: int, units: int) -> bool:
        if self._reserves is None:
            self._reserves = [RESERVE] * (_SHORT_TEXTS + 1)
        self._reserves[rule] -= units
        return self._reserves[rule] >= 0


def ended(kept: list[str], text: str, done: int, at: int) -> str:
    """What was looked at, cut where a word ends: half a secret is none that another rule knows.

    :param kept: what stands for the text up to ``done``
    :param at: what is there, and behind it, was not looked at
    """
    looked_at = text[done:at]
    looked_at = looked_at[: max(map(looked_at.rfind, EDGES)) + 1].rstrip(_OF_NUMBERS)
    left_out = len(text) - done - len(looked_at)
    return "".join((*kept, looked_at, f"{TOO_MUCH}[truncated: {left_out} more characters]"))


def substituted(
    pattern: re.Pattern[str],
    replacement: Callable[[re.Match[str]], str],
    text: str,
    effort: Effort,
    rule: int,
    units: int,
    begins: str = "",
) -> str:
    """``pattern.sub`` as far as there is effort left.

    :param begins: what all matches begin with, where it takes long to see that there is none
    """
    kept: list[str] = []
    done = 0
    for found in _matches_at(pattern, text, begins) if begins else pattern.finditer(text):
        at = found if isinstance(found, int) else found.start()
        if not effort.spend(rule, units):
            return ended(kept, text, done, max(at, done))
        if not isinstance(found, int) and at >= done:
            kept += (text[done:at], replacement(found))
            done = found.end()
    return "".join((*kept, text[done:])) if kept else text


def _matches_at(pattern: re.Pattern[str], text: str, begins: str) -> Iterator[re.Match[str] | int]:
    """The matches, and the places where there was none."""
    at = text.find(begins)
    while at >= 0:
        found = pattern.match(text, at)
        yield found or at
        at = text.find(begins, found.end() if found else at + 1)
