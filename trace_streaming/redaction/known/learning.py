"""What of that which was hidden is remembered: values that are nothing else, whole and by themselves."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote

from trace_streaming.redaction.judging import MARKER, is_algorithm, is_placeholder, looks_random
from trace_streaming.redaction.secret_keys import is_secret_key

from .encodings import SHORTEST

Hidden = tuple[object, str]
"""What was hidden, and by which rule."""


class _Noting(threading.local):
    """Of a thread. Not a ``ContextVar``: Python 3.11 crashes where one is set by a finalizer in the middle of that."""

    hidden: list[Hidden] | None = None


noting: Final = _Noting()
"""Where the redactor tells what it hides, while somebody wants to know."""

_LONGEST: Final = 4_096
_FOUND_ANYWHERE: Final = frozenset({"email", "phone", "card", "iban", "ssn"})
"""Rules that know what they hide wherever it stands."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_WORDS: Final = re.compile(r"[^\W\d_]+(?:[ _.\-/'][^\W\d_]+)*[.!?]?")
_MANY_WORDS: Final = 3
_PLAIN: Final = re.compile(
    r"(?:[~.]{0,2}/(?!(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/]{19,}={0,2}$)|[A-Za-z]:\\|https?:|\w+://)\S*|\d{4}-\d\d-\d\d.*|\d\d?:\d\d.*|v?\d+(?:\.\d+)+|[a-z]+(?:-[a-z]+)+-\d{1,2}"
    r"|[A-Za-z_]\w*\([^)]*\)?.*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\(?"
)
"""Paths, addresses, times, versions, regions, short numbers, code: they stand elsewhere for something else."""
_PART: Final = re.compile(r"[^\s;,&=\"'{}\[\]():]+")


@contextmanager
def noting_what_is_hidden() -> Iterator[list[Hidden]]:
    """What the redactor hides inside of the block."""
    hidden: list[Hidden] = []
    before, noting.hidden = noting.hidden, hidden
    try:
        yield hidden
    finally:
        noting.hidden = before


def learnt(hidden: list[Hidden]) -> Iterator[str]:
    """The values to remember of what was hidden."""
    for value, rule in hidden:
        if rule not in _FOUND_ANYWHERE:
            yield from _values(value, is_whole=True)


def is_telling(value: str) -> bool:
    """Whether a value is nothing but a secret: no word, and nothing that may stand elsewhere for something else."""
    if not SHORTEST <= len(value) <= _LONGEST or MARKER.search(value) or is_placeholder(value):
        return False
    if _WORDS.fullmatch(value):
        is_phrase = len(_WORD.findall(value)) >= _MANY_WORDS and len(value) >= 2 * SHORTEST
        return is_phrase or (" " not in value and looks_random(value))
    if value.isdecimal():
        return True
    return not is_algorithm(value) and (_PLAIN.fullmatch(value) is None or looks_random(value))


def _values(value: object, *, is_whole: bool) -> Iterator[str]:
    if isinstance(value, str):
        yield from _of_text(value, is_whole=is_whole)
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield from _values(inside, is_whole=is_secret_key(key))
    elif isinstance(value, list):
        for inside in value:
            yield from _values(inside, is_whole=False)
    elif isinstance(value, int | float) and not isinstance(value, bool) and is_telling(str(value)):
        yield str(value)


def _of_text(text: str, *, is_whole: bool) -> Iterator[str]:
    value = text.strip()
    scheme, _, rest = value.partition(" ")
    if rest and scheme.lower() in {"bearer", "basic", "token", "digest", "apikey", "api-key"}:
        value = rest.strip()
    if is_telling(value) if is_whole else looks_random(value) and len(value) >= 2 * SHORTEST:
        yield value
        if "%" in value and is_telling(plain := unquote(value)):
            yield plain
        if "\\" in value and is_telling(plain := _unescaped(value)):
            yield plain
        yield from _decoded(value)
    if any(sign in value for sign in "{[=;,\n"):
        for part in _PART.findall(value[:_LONGEST]):
            if len(part) >= 2 * SHORTEST and looks_random(part):
                yield part


def _unescaped(value: str) -> str:
    try:
        plain = json.loads(f'"{value}"')
    except ValueError:
        return value.replace("\\", "")
    return str(plain)


def _decoded(value: str) -> Iterator[str]:
    """The password in ``user:password`` that was written in base64."""
    if len(value) > 2 * SHORTEST and len(value) % 4 in {0, 2, 3}:
        try:
            plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
        except ValueError:
            return
        if plain.isprintable() and is_telling(password := plain.partition(":")[2] or plain):
            yield password
