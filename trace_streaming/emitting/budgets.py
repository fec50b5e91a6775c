"""A budget that a run spends: it warns once, and says once that it is exceeded."""

from __future__ import annotations

import math
import sys
from typing import Any, Final, Protocol

WARN_AT: Final = 0.8
_MOST: Final = sys.float_info.max
"""What is spent stays a finite number."""


class Emits(Protocol):
    """What a budget needs of its emitter."""

    def emit(self, event: str, details: dict[str, Any] | None = None, status: str = "pending") -> None:
        """See :meth:`trace_streaming.emitter.TraceEmitter.emit`."""


class Budget:
    """Made by :meth:`TraceEmitter.budget`. Of tokens, money, calls: any unit, as long as it is one.

    :param total: what may be spent, above 0
    :param used: what is spent already
    :param name: of what, where a run has several
    :param warn_at: the share of the total, 0 to 1, from which on it warns
    :raises ValueError: for another total or share
    """

    def __init__(
        self, emitter: Emits, total: float, used: float = 0, *, name: str = "", warn_at: float = WARN_AT
    ) -> None:
        if not 0 < total < math.inf:
            raise ValueError(f"A budget's total is above 0 and finite, not {total}")
        if not 0 <= warn_at <= 1:
            raise ValueError(f"The share to warn at is 0 to 1, not {warn_at}")
        self.total = total
        self.used: float = 0
        self._emitter = emitter
        self._name = name
        self._warn_at = warn_at
        self._said: set[str] = set()
        self.spend(used)

    @property
    def utilization(self) -> float:
        """``used`` / ``total``; above 1 when it is exceeded."""
        return self.used / self.total

    @property
    def is_exceeded(self) -> bool:
        """Whether all of it is used."""
        return self.used >= self.total

    def spend(self, amount: float) -> None:
        """Use some of it. Emits ``budget_warning`` at the share to warn at, ``budget_exceeded`` at the total.

        :raises ValueError: for NaN and -infinity
        """
        if not amount > -math.inf:  # NaN, after which nothing would be exceeded
            raise ValueError("What is spent is a number")
        self.used = min(self.used + amount, _MOST)
        if self.is_exceeded:
            self._say("budget_exceeded", "error")
        elif self.utilization >= self._warn_at:
            self._say("budget_warning", "warning")

    def _say(self, event: str, status: str) -> None:
        if event not in self._said:
            self._said.add(event)
            name = {"budget": self._name} if self._name else {}
            numbers = {"total": self.total, "used": self.used, "utilization": round(self.utilization, 4)}
            self._emitter.emit(event, {**name, **numbers}, status)
