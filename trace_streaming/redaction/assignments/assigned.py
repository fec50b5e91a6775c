"""Secrets behind their key inside a text: JSON, queries, ``KEY=value``, ``--option value``, headers, YAML, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from trace_streaming.redaction.effort import ASSIGNMENTS, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import (
    fits_weak_key,
    is_piece_in_table,
    is_piece_of_text,
    is_placeholder,
    is_reference,
    looks_random,
)
from trace_streaming.redaction.secret_keys import WORDS, is_secret_key, may_be_secret_key
from trace_streaming.redaction.spans import Span

from .bare_values import read_bare
from .documents import column_below
from .literals import literal_in_call, literal_instead
from .readers import (
    SEPARATOR,
    Assignment,
    Range,
    read_behind_marker,
    read_block,
    read_container,
    read_element,
    read_header,
    read_quoted,
    read_variable,
)
from .unassigned import changed_values, told_before, value_without_sign

__all__ = ["WORDS", "find_assigned"]

BY_KEY: Final = "key"
_MOST_ROWS: Final = 1_000
_KEY_PART: Final = re.compile(r"[\w.\-]{0,64}")
_IN_MARKER: Final = re.compile(r"\[redacted:[a-z ]{0,30}\Z")
_NAMES_IT: Final = re.compile(r"""\b(?:name|key|id)=\\*["'][\w.:\-]{0,64}\Z""")
_BEFORE_CODES: Final = re.compile(
    r"[*_]{0,2}(?:[ \t]\([^()\n]{1,40}\))?[*_]{0,2}[ \t]{0,4}(?:[:=\n]|\\+n)[*_]{0,2}(?:\s|\\+n){0,8}"
)
_CODE: Final = re.compile(
    r"""(?:[\-*\u2022][ \t]{1,4}|\d{1,2}[.)][ \t]{1,4})?[`"']?(\d{4,5}(?:[ ]\d{4,5}){1,3}|[A-Za-z0-9]{6,16}"""
    r"""|[A-Za-z0-9]{4,12}(?:-[A-Za-z0-9]{4,12}){1,3})[`"']?[.]?(?:[ \t]{0,4}[,;|/][ \t]{0,4}\n?|[ \t]{2,8}"""
    r"""|\s{1,8}(?:and|und)[ ]|[ \t]{0,4}(?:\n|\\+n)\s{0,8}|[ \t]{0,4}\Z)"""
)
"""One of a list, and what parts it from the next."""
_MOST_CODES: Final = 64
_OPTION: Final = re.compile(r"(--[a-z\-]{1,32})(?:=|[ \t]{1,8})([^\s\"'`\\]{1,512})")
_READERS: Final = (
    read_block,
    read_quoted,
    read_behind_marker,
    read_variable,
    read_container,
    read_header,
    literal_in_call,
    literal_instead,
    read_bare,
)
"""In this order: the first that knows what stands there tells how far it reaches."""


def find_assigned(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """What is assigned to a secret key; the key, and all else, stays readable."""
    at = 0
    for place in sorted(places, key=_longest_first):
        if place[0] < at:
            continue
        if not effort.spend(ASSIGNMENTS, 3):
            yield Span(place[0], place[0], "")
            return
        start, end = _key_around(text, place, at)
        at = end
        is_secret = _is_secret(text, start, end)
        if not is_secret and not may_be_secret_key(text[start:end]):
            continue
        if not effort.spend(ASSIGNMENTS, 16):
            yield Span(place[0], place[0], "")
            return
        if (option := _OPTION.match(text, start)) and is_reference(option[1], option[2]):
            at = option.end()
            continue
        for span in _values(text, start, end, effort, is_secret=is_secret):
            yield span
            at = max(at, span.end)


def _longest_first(place: Place) -> tuple[int, int]:
    return place[0], -place[1]


def _values(text: str, start: int, end: int, effort: Effort, *, is_secret: bool) -> Iterator[Span]:
    """What belongs to the key at ``start:end``, as far as it is a secret; or the cells below it."""
    key = text[start:end]
    if is_secret and (told := told_before(text, start, end)):
        yield Span(*told, BY_KEY)
    several = [*_several(text, key, end)] if is_secret else []
    if several:
        yield from (Span(*each, BY_KEY) for each in several)
        return
    if found := _value(text, start, end, effort, is_secret=is_secret):
        value = text[slice(*found)]
        if not is_piece_of_text(key, value) and (is_secret or fits_weak_key(key, value)):
            yield Span(*found, BY_KEY)
        return
    for cell in column_below(text, start, end, _MOST_ROWS):
        value = text[slice(*cell)]
        if not is_placeholder(value) and (not is_piece_in_table(key, value) if is_secret else looks_random(value)):
            yield Span(*cell, BY_KEY)


def _several(text: str, key: str, end: int) -> Iterator[Range]:
    """The codes of a list behind ``recovery codes``; the values that a secret was changed from and to."""
    if not key.lower().endswith("codes"):
        yield from changed_values(text, end)
    elif begin := _BEFORE_CODES.match(text, end):
        at = begin.end()
        for _ in range(_MOST_CODES):
            code = _CODE.match(text, at)
            if code is None or not any(map(str.isdigit, code[1])):
                return
            yield code.span(1)
            at = code.end()


def _is_secret(text: str, start: int, end: int) -> bool:
    """Whether the key at ``start:end`` is, and not the rule's name in a marker."""
    if not is_secret_key(text[start:end]):
        return False
    return text[end : end + 1] != "]" or _IN_MARKER.search(text, max(0, start - 40), start) is None


def _key_around(text: str, place: Place, done: int) -> Range:
    """The key that the word at ``place`` is in."""
    start, end = place
    while not text[end - 1].isalnum():
        end -= 1
    if following := _KEY_PART.match(text, end):
        end = following.end()
    if before := _KEY_PART.match(text[max(done, start - 64) : start][::-1]):
        start -= before.end()
    if text.startswith("-D", start):  # as Java takes its properties
        start += 2
    # In JSON, the letter behind a backslash belongs to that.
    return (start + 1 if start and text[start - 1] == "\\" and text[start] in "nrt" else start), end


def _value(text: str, start: int, end: int, effort: Effort, *, is_secret: bool) -> Range | None:
    """Where the value of the key at ``start:end`` is; None where there is none to hide."""
    separator = SEPARATOR.match(text, end)
    if separator is None or (separator["element"] and not _is_tag(text, start, separator)):
        return value_without_sign(text, start, end, is_secret=is_secret)
    assignment = Assignment(text, start, end, separator, is_secret, effort)
    if separator["element"]:
        attribute = value_without_sign(text, start, end, is_secret=is_secret) if separator["quote"] else None
        return attribute or read_element(assignment)
    for read in _READERS:
        if (found := read(assignment)) is not None:
            return found if found[0] < found[1] else None
    return None


def _is_tag(text: str, start: int, separator: re.Match[str]) -> bool:
    """Whether the key is an element's, or that which an attribute names: ``<string name="token">``."""
    before = text[start - 1 : start]
    return before in {"<", ":"} or (
        separator["quote"] is not None and _NAMES_IT.search(text, max(0, start - 80), start) is not None
    )
