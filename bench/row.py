"""What a row of the table is: a piece of work, who does it, and what is measured. Ratios are taken within one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from bench.measurements import Values


@dataclass(frozen=True)
class Peer:
    """One column of a row: who does the work."""

    name: str
    measure: Callable[[], Values]


@dataclass(frozen=True)
class Measure:
    """One number of a row."""

    value: str
    """Its name among the measured values."""
    unit: str
    goals: Mapping[str, float] = field(default_factory=dict)
    """By peer: the ratio to reach, that of the first peer to theirs."""
    less_is_better: bool = False
    is_headline: bool = False
    """Whether the README shows its ratios."""


@dataclass(frozen=True)
class Row:
    """One piece of work. The first peer is ours."""

    name: str
    measures: tuple[Measure, ...]
    peers: tuple[Peer, ...]


@dataclass(frozen=True)
class Scale:
    """How much is done: everything, or just enough to see that it works."""

    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


def compared(values: list[Values], name: str) -> tuple[float, float, float]:
    """Median, lowest and highest of some runs."""
    numbers = [value for each in values if (value := each.get(name)) is not None]
    return median(numbers), min(numbers), max(numbers)
