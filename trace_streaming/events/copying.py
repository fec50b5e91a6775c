"""Plain details, frozen by copying them: a short way to what :mod:`.freezing` makes of all."""

from __future__ import annotations

import math
from typing import Any, Final

from .kinds import MAX_INTEGER

ROOM: Final = 64 * 1024
"""Characters that details have at most, where they are simply copied: less than any bound here."""
_VALUE: Final = 16
"""Characters that a value counts for, besides its own."""
_SHALLOW: Final = 8
"""Levels that are simply copied; of deeper ones, freezing keeps 64."""


def copy_plain(  # noqa: C901, PLR0911, PLR0912  a call for each value would take as long again
    value: Any, room: list[int], depth: int = 0
) -> Any:
    """An object or a list of nothing but plain types, as most details are: in a third of the time.

    None where it holds anything else, goes deep, or has no room: then it is frozen the long way.

    :param room: characters that are left; a value takes some by itself
    """
    if len(value) * _VALUE > room[0]:
        return None
    copied = value.copy()  # at once: another thread may change it
    is_object = type(value) is dict
    for key, item in copied.items() if is_object else enumerate(copied):
        kind = type(item)
        taken = _VALUE
        if kind is str:
            if not item.isascii():
                return None
            taken += len(item)
        elif kind is dict or kind is list:
            if depth == _SHALLOW or (inner := copy_plain(item, room, depth + 1)) is None:
                return None
            copied[key] = inner
        elif kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                return None
        elif kind is float:
            if not math.isfinite(item):
                return None
        elif item is not None and kind is not bool:
            return None
        if is_object:
            if type(key) is not str or not key.isascii():
                return None
            taken += len(key)
        room[0] -= taken
    return copied if room[0] >= 0 else None
