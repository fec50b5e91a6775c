"""What a format of tokens is told by: its prefix, what it is made of, how long it is, and its checksum."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from functools import cache, partial
from string import ascii_letters, digits
from typing import Final, NamedTuple

# What a token is made of behind its prefix: the inside of a character class.
HEX: Final = "0-9a-fA-F"
UUID: Final = "0-9a-f-"
DIGITS_AND_CAPITALS: Final = "A-Z0-9"
BASE32: Final = "A-Z2-7"
ALNUM: Final = "A-Za-z0-9"
WORD: Final = "A-Za-z0-9_"
URLSAFE: Final = "A-Za-z0-9_-"
BASE64: Final = "A-Za-z0-9+/=_-"
DOTTED: Final = "A-Za-z0-9_.=-"
PERCENT: Final = "A-Za-z0-9_%+/=-"

SHORTEST: Final = 20
"""No token of any format is shorter, with its prefix."""
Span = tuple[int, int]
Checksum = Callable[[str, str], str]
"""Of a prefix and what follows it, without the checksum: the checksum that a token ends with."""

_LINE_END: Final = re.compile(r"\r?\n[ \t]{0,8}|(?:\\r)?\\n")
_JOINTS: Final = re.compile(r"[_.]|-\Z")
_CHANGE: Final = re.compile(r"(?:(?<=[0-9])(?=[A-Za-z])|(?<=[a-z])(?=[0-9A-Z])|(?<=[A-Z])(?=[0-9a-z]))")
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def crc32_base62(_: str, body: str) -> str:
    """Six digits of base 62 of CRC-32, as GitHub, npm and Vercel write it."""
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0")


def crc32_hex(_: str, body: str) -> str:
    """``_`` stands between: Zuplo."""
    return f"{zlib.crc32(body.rstrip('_').encode()):08x}"


def crc32_hex_of_all(prefix: str, body: str) -> str:
    """Of the prefix, too, in capitals: Atlassian's Bitbucket."""
    return f"{zlib.crc32((prefix + body).encode()):08X}"


class Shape(NamedTuple):
    """A format of tokens. Names of rules are seen in markers: ``[redacted:github token]``."""

    rule: str
    """At most thirty small letters and blanks."""
    prefix: str
    """At least two characters, as they are written."""
    alphabet: str
    """What follows the prefix."""
    length: int
    """How many characters do, without the prefix; the fewest, where that differs."""
    source: str
    """Where this can be read."""
    checksum: Checksum | None = None
    common: bool = False
    """Whether other words begin so, too. Then nothing shorter is one, and nothing that reads like words."""
    most: int = 0
    """The most characters behind the prefix, where what is longer is another thing."""

    @property
    def is_common(self) -> bool:
        """Of prefixes of one letter or two, all are."""
        return self.common or sum(map(str.isalnum, self.prefix)) <= 2

    @property
    def least(self) -> int:
        """The fewest characters behind the prefix: half a token is still a secret, where nothing else begins so."""
        return self.length if self.is_common else min(self.length, max(SHORTEST - len(self.prefix), self.length // 2))

    @property
    def example(self) -> str:
        """An invented token, always the same. None is written down: scanners of code would take it for a real one."""
        signs = "".join(filter(re.compile(f"[{self.alphabet}]").match, digits + ascii_letters))
        seed = hashlib.shake_256(self.prefix.encode()).digest(self.length)
        body = "".join(signs[number % len(signs)] for number in seed)
        if self.checksum is None:
            return self.prefix + body
        body = body[: -len(self.checksum(self.prefix, ""))]
        return self.prefix + body + self.checksum(self.prefix, body)

    @property
    def beginning(self) -> str:
        """A pattern that is quickly seen not to be there."""
        prefix = re.escape(self.prefix)
        return f"{prefix}(?=[{self.alphabet}]{{{min(self.least, 16)}}})" if self.is_common else prefix

    def span(self, text: str, at: int) -> Span | None:
        """Where a token is, when its prefix is at ``at``."""
        start = at + len(self.prefix)
        head, tail = _runs(self.alphabet)
        end = _end(head, text, start)
        if not self.is_common and end - start < self.length and (torn := self._torn_end(text, start, end)):
            return at, torn
        if end - start < self.least or not self._is_random(text[start:end]):
            return None
        end = _end(tail, text, end)
        while text[end - 1] == ".":
            end -= 1
        if (self.most and end - start > self.most) or text[end : end + 1].isalnum():
            return None
        return at, end

    def _torn_end(self, text: str, start: int, end: int) -> int | None:
        """Where a token ends that goes on in the next line, if it has its whole length there."""
        line_end = _LINE_END.match(text, end)
        if line_end is None:
            return None
        rest = _end(_runs(self.alphabet)[0], text, line_end.end())
        is_whole = end - start + rest - line_end.end() == self.length and not text[rest : rest + 1].isalnum()
        return rest if is_whole and any(map(str.isdigit, text[start:rest])) else None

    def _is_random(self, body: str) -> bool:
        """Random, and not words: by digits, by how they alternate with letters, or by small letters and capitals.

        A checksum that is right makes a token of anything. One that is wrong proves nothing: tokens are cut, and
        invented, and are hidden all the same.
        """
        if self.alphabet in {HEX, UUID} or (self.alphabet == BASE32 and self.most):
            return True
        if any(map(str.isdigit, body)):
            return not (self.is_common and _JOINTS.search(self.alphabet)) or is_random(body)
        fewest = min(sum(map(str.isupper, body)), sum(map(str.islower, body)))
        return 4 * fewest >= len(body) or self.has_checksum(body)

    def has_checksum(self, body: str) -> bool:
        """Whether it ends with the right one. Of a format without any, nothing does."""
        if self.checksum is None:
            return False
        expected = self.checksum(self.prefix, "")
        return body.endswith(self.checksum(self.prefix, body[: -len(expected)]))


class Pattern(NamedTuple):
    """A format that a prefix and an alphabet do not tell."""

    rule: str
    prefix: str
    """Where it is sought: at the beginning of a word, behind one of its joints; or a sign before the word."""
    pattern: str
    """What follows; it may look behind itself. Bounded where it may fail."""
    source: str
    before: int = 0
    """How many characters before the prefix are of it; less than none where the prefix is not."""

    @property
    def beginning(self) -> str:
        """A pattern that is quickly seen not to be there."""
        prefix = re.escape(self.prefix)
        return f"{prefix}(?={self.pattern})" if self.before or len(self.prefix) <= 2 else prefix

    def span(self, text: str, at: int) -> Span | None:
        """Where a token is, when its prefix is at ``at``."""
        found = _compiled(self.pattern).match(text, at + len(self.prefix))
        return (at - self.before, found.end()) if found else None


_compiled = cache(partial(re.compile, flags=re.ASCII))


@cache
def _runs(alphabet: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Of the first characters, by which it is judged; and of all. What may fail is bounded."""
    return re.compile(f"[{alphabet}]{{0,256}}"), re.compile(f"[{alphabet}]*")


def _end(run: re.Pattern[str], text: str, at: int) -> int:
    found = run.match(text, at)
    return found.end() if found else at


def is_random(word: str) -> bool:
    """Whether letters and digits, small letters and capitals alternate in it as in no words."""
    return any(map(str.isdigit, word)) and 5 * len(_CHANGE.findall(word)) >= len(word)
