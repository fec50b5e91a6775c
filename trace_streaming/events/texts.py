"""Texts that have to be shortened: cut where a word ends, never inside of what is seen as one character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from typing import Final

EDGES: Final = " \n\t,;&\"'<>()[]{}|"
"""What no token, address or password is expected to go over."""
_OF_NUMBERS: Final = "0123456789 .-+()/"
"""Cards, accounts and telephones are written in groups."""
_FILE: Final = re.compile(
    r"data:[\w.+/-]{1,80}(?:;[\w=.-]{1,40}){0,3};base64,"
    r"|(?=(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR|JVBERi0)[A-Za-z0-9+/]{60})",
    re.ASCII,  # as kinds are: with its marker, an address has less than 300 bytes
)
"""A file as an address that holds it; PNG, JPEG, GIF, WebP and PDF as base64 alone."""
_MARKER: Final = re.compile(r"\[truncated: (\d{1,12}) more (?:characters|values)\]\Z")
_MARKER_LENGTH: Final = 50
_JOINER: Final = "\u200d"
_MOST_JOINED: Final = 32
"""Code points that are looked at: no emoji has as many; a text may."""


def cut(text: str, length: int) -> str:
    """At most so many code points of the beginning, without half of an emoji, a flag or a letter with its accents."""
    if len(text) <= length:
        return text
    end = length
    while end > max(length - _MOST_JOINED, 0) and _belongs_to_the_one_before(text, end):
        end -= 1
    return text[: end or length]


def shortened(text: str, length: int) -> str:
    """The beginning, cut where a word ends, and not in a number; then a marker that says how much is missing.

    Half a secret is none that a redactor knows. Of a file nothing is kept: half a picture is none.
    """
    if file := _FILE.match(text):
        return f"{file[0]}[truncated: {len(text) - len(file[0])} characters]"
    text, missing = without_marker(text)
    kept = cut(text, length)
    end = max(kept.rfind(edge, len(kept) // 2) for edge in EDGES) + 1
    kept = kept[:end].rstrip(_OF_NUMBERS) or kept
    return f"{kept}[truncated: {len(text) - len(kept) + missing} more characters]"


def without_marker(text: str) -> tuple[str, int]:
    """A text, and how much is missing behind it, where it was shortened before."""
    if marker := _MARKER.search(text, max(len(text) - _MARKER_LENGTH, 0)):
        return text[: marker.start()], int(marker[1])
    return text, 0


def _belongs_to_the_one_before(text: str, at: int) -> bool:
    letter, before = text[at], text[at - 1]
    if letter.isascii():
        return False
    if _JOINER in {letter, before} or "\ufe00" <= letter <= "\ufe0f" or unicodedata.combining(letter):
        return True
    if "\U0001f3fb" <= letter <= "\U0001f3ff" or "\U000e0020" <= letter <= "\U000e007f":  # skin; flags of regions
        return True
    return _is_regional(letter) and _regional_before(text, at) % 2 == 1


def _is_regional(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"


def _regional_before(text: str, at: int) -> int:
    """How many of the letters that flags are written with stand before this one: two are a flag."""
    count = 0
    while count < min(at, _MOST_JOINED) and _is_regional(text[at - 1 - count]):
        count += 1
    return count


class Numbering:
    """Names for what has the same: ``a``, ``a (2)``, ``a (3)``; however many there are, each is found at once."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def name(self, name: str, taken: Container[str]) -> str:
        """One that is free."""
        if name not in taken:
            return name
        number = self._last.get(name, 1) + 1
        while f"{name} ({number})" in taken:
            number += 1
        self._last[name] = number
        return f"{name} ({number})"
