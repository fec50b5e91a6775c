"""Pieces of what is asked for in one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """At most so many at a time, in their order; ``itertools`` has it from Python 3.12 on."""
    rest = iter(list(items))
    while piece := list(islice(rest, size)):
        yield piece
