"""Texts in code: how far they reach, and which of a call's is the value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trace_streaming.redaction.judging import MARKER, QUOTE, is_placeholder, is_prose, looks_chosen, quote_end
from trace_streaming.redaction.secret_keys import is_secret_key

if TYPE_CHECKING:
    from .readers import Assignment

Range = tuple[int, int]

_JOINED: Final = re.compile(r"""(?:\\'(?=')|[ \t]*(?:[+.][ \t]*)?(?:\\\n\s*)?(?=["']))""")
_WRAPPED: Final = re.compile(
    r"""(?:new[ ])?(?:\[\])?[A-Za-z_][\w.:]{0,80}[(]{1,2}[ \t]{0,4}(?:(?:default|value"""
    r"""|fallback)[ ]?=[ ]?)?[bBrRfFuU]{0,2}(\\*["'`])"""
)
_MAKES_SECRET: Final = re.compile(
    r"(?i)(?:secret\w*|securestring|bytes|str|string|b64decode|decode|encode|quote|fromhex|buffer\.from)$"
)
_LOOKUP: Final = re.compile(
    r"(?:^|[._])(?:get|getenv|environ|env|config|input|prompt|getpass|read|open|load|find|lookup|_|t)$", re.IGNORECASE
)
_OR: Final = re.compile(
    r"""(?:\\*["'`])?[)\]]{0,2}[ \t]{0,4}(?:\|\||\bor\b|\?\?|\?:)[ \t]{0,4}[bBrRfFuU]{0,2}(\\*["'`])"""
)
_BRACKETED: Final = re.compile(r"""\([ \t]{0,4}[bBrRfFuU]{0,2}(\\*["'`])""")
_REDACTED_NEXT: Final = re.compile(rf"""\\*["'`],[ ]?\\*["'`]{MARKER.pattern}""")
"""Of a pair, the name that stands before the secret."""
_TYPED: Final = re.compile(
    r"""(?:[ \t]{0,4}\{[ \t]{0,4}get;[^{}\n]{0,40}\}[ \t]{0,4}=|(?:[ \t]+[\w\[\]<>.*?]{1,40}){1,2}[ \t]+="""
    r"""|\(\)[ \t]*(?:->[ \t]*\w+[ \t]*)?[{:=>]{1,2}\s{0,16}(?:return|echo"""
    r"""|printf)?)[ \t]*"""
    r"""[bBrRfFuU]{0,2}(\\*["'`])"""
)
"""Behind a type, or in a function that gives nothing else: ``token string = ""``, ``token() { echo ""; }``."""
_INSTEAD: Final = re.compile(
    r"""[^\n;"'`]{0,80}(?:(?:\\*["'`])[\w.\-]{1,64}(?:\\*["'`])[^\n;"'`]{0,16}(?:,|[)\]][ \t]{0,4}(?:\|\||\bor\b"""
    r"""|\?\?|\?:))"""
    r"""|(?:\|\||\bor\b|\?\?|\?:)|[ \t]=)[ \t]{0,8}[bBrRfFuU]{0,2}(\\*["'`])"""
)
"""Behind an expression, what stands for it: ``getenv("TOKEN", "value")``, ``env.TOKEN || "value"``."""


def literal_end(text: str, end: int, quote: str) -> int:
    r"""Where a text ends that goes on in the next: ``'a' 'b'``, ``"a""b"``, ``'it'\\''s'``.

    :param end: of its first piece, where its quote stands
    """
    for _ in range(8):
        after = end + len(quote)
        if len(quote) > 1 or end >= len(text):  # of JSON in a text, in which nothing is joined
            return end
        joined = _JOINED.match(text, after)
        if joined is None or (following := QUOTE.match(text, joined.end())) is None:
            return end
        if text[following.end() : following.end() + 1] in {"", ",", ")", "]", "}", ":", " ", "\n"}:
            return end
        next_end = quote_end(text, following.end(), following[1])
        if text[next_end + 1 : next_end + 2] == ":" or "\n" in text[following.end() : next_end]:
            return end
        end = next_end
        quote = following[1]
    return end


def literal_in_call(assignment: Assignment) -> Range | None:
    """The first text in a call that makes a secret of it: ``SecretStr("value")``, ``bytes('value', 'utf8')``."""
    text, at = assignment.text, assignment.at
    wrapped = _WRAPPED.match(text, at)
    if wrapped is None:
        return None
    name = text[at : wrapped.start(1)].rstrip("bBrRfFuU \t(").rpartition(" ")[2]
    start = wrapped.end()
    end = quote_end(text, start, wrapped[1])
    value = text[start:end]
    if MARKER.fullmatch(value):
        return assignment.nothing
    if _LOOKUP.search(name) or not _is_literal(value):
        return None
    return (start, end) if _MAKES_SECRET.search(name) or looks_chosen(value) else None


def literal_instead(assignment: Assignment) -> Range | None:
    """The text that is taken where an expression has no value, or that stands behind a type."""
    return _chosen(assignment.text, _INSTEAD.match(assignment.text, assignment.at))


def literal_or(text: str, end: int) -> Range | None:
    """The text that is taken where what ends here has no value: ``env.TOKEN || "value"``."""
    return _chosen(text, _OR.match(text, end))


def literal_typed(text: str, end: int) -> Range | None:
    """The text behind a type, or that a function named by the key gives."""
    return _chosen(text, _TYPED.match(text, end))


def literal_in_brackets(text: str, end: int) -> Range | None:
    """The only text that a method is called with whose name is the key: ``.password("value")``."""
    found = _chosen(text, _BRACKETED.match(text, end))
    return None if found and _REDACTED_NEXT.match(text, found[1]) else found


def _is_literal(value: str) -> bool:
    """Whether a text in code is a value, and no name of one, no label, no prompt."""
    is_name = is_placeholder(value) or is_secret_key(value) or is_prose(value)
    return not is_name and not any(sign in value for sign in " :\t")


def _chosen(text: str, instead: re.Match[str] | None) -> Range | None:
    if instead is None:
        return None
    start, end = instead.end(), quote_end(text, instead.end(), instead[1])
    return (start, end) if _is_literal(text[start:end]) else None
