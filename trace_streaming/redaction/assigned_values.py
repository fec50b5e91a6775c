"""What stands where a text assigns something: how far it reaches, and whether it is a value at all, or code."""

from __future__ import annotations

import re
from typing import Final

from .secret_keys import is_secret_key

MARKER: Final = re.compile(r"\[redacted:[a-z ]{2,30}\]")
QUOTE: Final = re.compile(r"""[bBrRfFuU]{0,2}(\\*["'`])""")

_PLACEHOLDER: Final = re.compile(
    r"(?:(?:bearer|basic|token)\s+)?(?:\$\{[^{}]*\}|\$[A-Z_]+|\{+[^{}]*\}+|<[^<>]*>|%(?:\(\w*\))?s|%[A-Z_]+%|\*+|x{3,}"
    r"|\.{3}|\u2026|null|none|nil|true|false|undefined|required|optional|\[?redacted\]?)?",
    re.IGNORECASE,
)
_CALL: Final = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*[(\[](?:[^\n]{0,200}[)\]]|\s*$|\s*\n)")
_CHAIN: Final = re.compile(
    r"(?:self|cls|this|os|settings|config|conf|request|req|response|resp|args|options|env|process|user|data|ctx)"
    r"(?:\.[A-Za-z_]\w*)+"
)
_IDENTIFIER: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)")
_WORDS_AS_ONE: Final = re.compile(r"[a-z]+(?:_[a-z]+)+|[a-z]+(?:[A-Z][a-z]+)+")
_TYPE: Final = re.compile(
    r"(?:str|string|int|integer|bytes|bool|boolean|any|object|number|dict|list|tuple|char|float|text|varchar|await|new"
    r"|lambda|not|if|else|in|is|and|or|for|return|type|Token|\w*(?:Str|String|Type|Optional|Field))\??"
)
_STRONG: Final = re.compile(r"\S{24,}|(?=\S*[0-9])(?=\S*[A-Za-z])\S{6,}|\S*[!@#$%^&*]\S*[A-Za-z0-9]\S*")
_ALGORITHM: Final = re.compile(r"(?i:base64|sha\d*|md5|utf|oauth|bcrypt|argon2|pbkdf2|hs256|rs256|\d+[- ]?\w+$)")
_BRACKETS: Final = re.compile(r"""[\[\]{}]|\\*["']""")


def is_placeholder(value: str) -> bool:
    """Whether this only stands where a secret would: ``${TOKEN}``, ``<password>``, ``****``, ``null``, or nothing."""
    return _PLACEHOLDER.fullmatch(value) is not None


def is_code(key: str, value: re.Match[str], *, is_tight: bool, is_spaced: bool) -> bool:
    """Whether a value without quotes is an expression or a type, and no secret: ``get_password()``, ``str``.

    :param is_tight: as in ``KEY=value``
    :param is_spaced: whether there is a blank before it
    """
    found = value[0].rstrip(",.)]}:")
    if _CALL.match(value.string, value.start()) or _CHAIN.fullmatch(found):
        return True
    if not is_tight and _TYPE.fullmatch(found):
        return True
    if (identifier := _IDENTIFIER.fullmatch(found)) is None:
        return False
    last = identifier[1].strip("_").lower()
    if last == key.strip("-_").rpartition(".")[2].strip("_").lower().replace("-", "_"):
        return True
    if is_spaced and _WORDS_AS_ONE.fullmatch(identifier[1]):
        return True
    return "_" in last and not any(map(str.isdigit, last)) and is_secret_key(last)


def is_pass(key: str) -> bool:
    """Whether a key may name a password, or as well a round, or what was passed: its value tells."""
    return key.lower() == "pass"


def looks_secret(value: str) -> bool:
    """Whether a word in a sentence is a password rather than a word."""
    return _STRONG.fullmatch(value) is not None


def is_algorithm(value: str) -> bool:
    """Whether a word of letters and digits says how a secret is kept: ``base64-encoded``."""
    return _ALGORITHM.match(value) is not None


def quote_end(text: str, at: int, quote: str) -> int:
    """Where a quoted text ends; at the text's end where it is cut.

    JSON in JSON doubles the backslashes before a quote and adds one: the number in front of the opening quote tells the
    level, and how many there are before a quote that does not close it.
    """
    unit = len(quote)
    while (found := text.find(quote[-1], at)) >= 0:
        slashes = found
        while slashes > at and text[slashes - 1] == "\\":
            slashes -= 1
        more = found - slashes - (unit - 1)
        if more < 0 or more // unit % 2 == 0:
            return max(found - (unit - 1), slashes)
        at = found + 1
    return len(text)


def balanced_end(text: str, at: int) -> int:
    """Behind the bracket that closes the one here; the text's end where it is cut."""
    depth = 0
    while bracket := _BRACKETS.search(text, at):
        at = bracket.end()
        if bracket[0] in {"{", "["}:
            depth += 1
        elif bracket[0] in {"}", "]"}:
            depth -= 1
            if not depth:
                return at
        else:
            at = min(quote_end(text, at, bracket[0]) + len(bracket[0]), len(text))
    return len(text)
