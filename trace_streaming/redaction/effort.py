"""How much one event may take to be looked at: what is beyond it is replaced by a marker, and never shown unseen."""

from __future__ import annotations

from typing import Final

POOL: Final = 13_000
"""For all texts of an event. A unit is about a microsecond of a CPU of 2020."""
RESERVE: Final = 1_000
"""For each rule, and for short texts, where the pool is empty: one dense text hides no other rule's finds."""
SHORT: Final = 256

ASSIGNMENTS: Final = 0
COMMANDS: Final = 1
VALUES: Final = 2
NUMBERS: Final = 3
WORDING: Final = 4
_SHORT_TEXTS: Final = 5


class Effort:
    """What is left for one event. Counted, not timed: the same event becomes the same on every machine."""

    # Of the class until they are changed: one is made for each event, and hardly any needs more than that.
    left = POOL
    """For everything."""
    _reserves: list[int] | None = None
    """What is left of each, once the pool is empty."""
    hidden: list[tuple[object, str]] | None = None
    """What was hidden, and by which rule, where somebody wants to know it."""

    def spend(self, rule: int, units: int) -> bool:
        """Whether there is so much left for a rule."""
        if 0 < self.left > units - RESERVE:
            self.left -= units
            return True
        return self._spend_reserve(rule, units)

    def count(self, rule: int, units: int) -> None:
        """What was looked at already: nothing may be left of the pool, and then of the rule's reserve, behind it."""
        if self.left > 0:
            self.left -= units
        else:
            self._spend_reserve(rule, units)

    def begin(self, length: int) -> bool:
        """Whether a text of this length may be looked at."""
        units = 2 + (length >> 5)
        if self.left > 0:
            self.left -= units
            return True
        return length <= SHORT and self._spend_reserve(_SHORT_TEXTS, units)

    def hide(self, value: object, rule: str) -> None:
        """Tell who wants to know it what was hidden."""
        if self.hidden is not None:
            self.hidden.append((value, rule))

    def _spend_reserve(self, rule: int, units: int) -> bool:
        if self._reserves is None:
            self._reserves = [RESERVE] * (_SHORT_TEXTS + 1)
        self._reserves[rule] -= units
        return self._reserves[rule] >= 0
