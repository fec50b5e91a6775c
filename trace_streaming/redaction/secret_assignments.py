"""Secrets behind their key inside a text: JSON, queries, ``KEY=value``, ``--option value``, headers, YAML, prose."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from .assigned_values import (
    MARKER,
    QUOTE,
    balanced_end,
    is_algorithm,
    is_code,
    is_pass,
    is_placeholder,
    looks_secret,
    quote_end,
)
from .effort import ASSIGNMENTS, Effort, ended
from .secret_keys import is_secret_key
from .setters import is_behind_env, is_set, search_before

REDACTED_BY_KEY: Final = "[redacted:key]"
Span = tuple[int, int]

_WORDS: Final = (
    *("pass|pwd|phrase", "ken|key|kie|kennw", "cret|cred|cvv|cvc|connect.sid", "uth", "jwt", "gnature", "mnem"),
    *("ssn|ssid|sshp|sessionid", "otp", "_code|_pin"),
)
"""What every secret key has in it, beginning with its rare letters: the engine finds a first letter at once, and in
turn those of many words only slowly. Searched in the text in small letters."""
_WORD_PATTERNS: Final = tuple(map(re.compile, _WORDS))
_WORD_PARTS: Final = tuple(part for words in _WORDS for part in words.replace(".", "|").split("|"))
"""A text without any of them, as most are, needs no pattern."""
_MOST_PLACES: Final = 4_000
"""Of a word in a text: more than effort is there for."""
_CAPITALS: Final = re.compile("[A-Z]+")
_KEY_PART: Final = re.compile(r"[\w.\-]{0,64}", re.ASCII)
_WORD_BEFORE: Final = re.compile(r"[A-Za-z]{2,14} \Z")
_IN_MARKER: Final = re.compile(r"\[redacted:[a-z ]{0,30}\Z")
_SEPARATOR: Final = re.compile(
    r"""(?P<quote>\\*["'`])?(?:\]|%5D)?"""
    r"""(?:[ \t]{0,8}(?P<sign>=>|:=|[=!]={0,2}|%3D|:)|(?P<element>>))(?P<blank>\s{0,8})"""
)
_AFTER_PROMPT: Final = re.compile(r"[),;\]}]|\s*$|\s*[\r\n]")
_REDACTED: Final = re.compile(MARKER.pattern + r"(?!\w)")
_TEMPLATES: Final = ("${", "$(", "{{", "<%", "%(", "!Ref", "!Sub", "!GetAtt")
_JSON_SCHEMA: Final = re.compile(
    r"""\{\s{0,16}\\*["']type\\*["']\s{0,8}:\s{0,8}\\*["'](?:string|object|integer|number|boolean|array|null)\\*["']"""
)
_OF_TEXTS: Final = re.compile(r"""[\[{]\s{0,16}\\*["']""")

# How far a value without quotes reaches, by what stands before it.
_TIGHT: Final = re.compile(r"""(?:[^\s&;,"'`<>\\]|,(?![\w.\-]{1,64}[=:]|\s|$)|\\(?![nrt"']))+""")
_WORD: Final = re.compile(r"""(?:[^\s;,"'`<>\\)}\]]|[)}\]](?=[^\s;,.)}\]]))+""")
_LINE_END: Final = re.compile(r"""[ \t]*(?:$|[\r\n,;}\])"'`]|\\[nr"']|#|//)""")
_OPTION: Final = re.compile(r"""[^\s"'`;|&<>-][^\s"'`;|<>]*""")
_CONTENT: Final = re.compile(r"[^<]*")
_HEADER_LINE: Final = re.compile(r"""[^\r\n"'`\\]+""")
_COOKIE: Final = re.compile(r"[\w!#$%&*+.^|~\-]{1,128}=", re.ASCII)
_SCHEME: Final = re.compile(
    r"(?:Bearer|Basic|Token|Digest|Api-?Key|Negotiate|NTLM|Hawk|GoogleLogin|SSWS|AWS4-HMAC-SHA256|JWT)[ \t]+",
    re.IGNORECASE,
)
_SEED: Final = re.compile(r"(?:[a-z]{3,8} ){11,23}[a-z]{3,8}")
_SPOKEN: Final = re.compile(r"[ \t]+(?:is|was)[ \t]*:?[ \t]+")
_NAMED: Final = re.compile(r"""\b(?:name|key|id)=\\*["'](?:[\w\-]{1,64}[.:]){0,4}\Z""")
_ATTRIBUTE: Final = re.compile(
    r"""\\*["'](?:\s{1,8}[\w:\-]{1,32}=\\*["'][^"'<>\\]{0,64}\\*["']){0,3}?\s{1,8}(?:value|content)=(\\*["'])"""
)
"""Behind a name in a tag: ``name="password" value="…"``."""
_AFTER_OPTION: Final = frozenset(
    "flag flags option options argument arguments parameter value values is and or to for with from as in on if when "
    "was does must should can has the a an".split()
)


def in_small_letters(text: str) -> str:
    """As long as the text is; some capitals outside of ASCII have longer small letters, and stay."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else _CAPITALS.sub(lambda capitals: capitals[0].lower(), text)


def redact_assignments(text: str, lowered: str, effort: Effort) -> str:
    """Replace what is assigned to a secret key; the key, and all else, stays readable.

    :param lowered: the text in small letters
    """
    if not any(map(lowered.__contains__, _WORD_PARTS)):
        return text
    kept: list[str] = []
    done = at = 0
    places, end_of_places = _places(lowered)
    for place in places:
        if place < at:
            continue
        if place >= end_of_places or not effort.spend(ASSIGNMENTS, 3):
            return ended(kept, text, done, place)
        start, end = _key_around(text, place, done)
        at = end
        if not _is_secret(text, start, end, done):
            continue
        if not effort.spend(ASSIGNMENTS, 16):
            return ended(kept, text, done, place)
        if not (span := _value(text, start, end)):
            continue
        if is_pass(text[start:end]) and not looks_secret(text[slice(*span)]):
            continue
        kept += (text[done : span[0]], REDACTED_BY_KEY)
        done = at = span[1]
    return "".join((*kept, text[done:])) if kept else text


def _places(lowered: str) -> tuple[list[int], int]:
    """Where a key may be, in order, and how far all of these places are known."""
    places: list[int] = []
    end = len(lowered)
    for words in _WORD_PATTERNS:
        found = [word.start() for word in islice(words.finditer(lowered), _MOST_PLACES)]
        if len(found) == _MOST_PLACES:
            end = min(end, found[-1])
        places += found
    return sorted(places), end


def _is_secret(text: str, start: int, end: int, done: int) -> bool:
    """Whether the key at ``start:end`` is; of ``api key`` and ``recovery code`` the word before it belongs to it."""
    key = text[start:end]
    if is_secret_key(key):
        return text[end : end + 1] != "]" or _IN_MARKER.search(text, max(0, start - 40), start) is None
    if is_pass(key):
        return True
    if key.lower() in {"key", "keys", "code", "phrase"}:
        words = _WORD_BEFORE.search(text, max(done, start - 16), start)
        return words is not None and is_secret_key(words[0] + key)
    return False


def _key_around(text: str, place: int, done: int) -> tuple[int, int]:
    start, following = place, _KEY_PART.match(text, place)
    end = following.end() if following else place
    if before := _KEY_PART.match(text[max(done, start - 64) : start][::-1]):
        start -= before.end()
    # In JSON, the letter behind a backslash belongs to that.
    return (start + 1 if start and text[start - 1] == "\\" and text[start] in "nrt" else start), end


def _value(text: str, start: int, end: int) -> Span | None:
    """The span of the value that is assigned to the key at ``start:end``; None where there is none to hide."""
    separator = _SEPARATOR.match(text, end)
    if separator is None:
        return _without_separator(text, start, end)
    at = separator.end()
    if quote := QUOTE.match(text, at):
        return None if _ends_prompt(text, start, separator, quote) else _quoted(text, quote)
    if _REDACTED.match(text, at) or text.startswith(_TEMPLATES, at):
        return None
    if text[at : at + 1] in {"{", "["} and (separator["quote"] or separator["blank"] or _OF_TEXTS.match(text, at)):
        return _container(text, separator)
    if separator["element"]:
        return _element(text, start, at)
    return _header(text, text[start:end].lower(), at) or _bare(text, text[start:end], separator)


def _container(text: str, separator: re.Match[str]) -> Span | None:
    """An object or a list of secrets; in code, only of texts."""
    at = separator.end()
    if _JSON_SCHEMA.match(text, at) or not (separator["quote"] or _OF_TEXTS.match(text, at)):
        return None
    return at, balanced_end(text, at)


def _ends_prompt(text: str, start: int, separator: re.Match[str], quote: re.Match[str]) -> bool:
    """Whether a quote opens nothing: ``input("Password: ")``."""
    if separator["quote"]:
        return False
    is_same = text[start - 1 : start] == quote[1] and not text[quote.end() : quote.end() + 1].isalnum()
    return is_same or _AFTER_PROMPT.match(text, quote.end()) is not None


def _quoted(text: str, quote: re.Match[str]) -> Span | None:
    start, end = quote.end(), quote_end(text, quote.end(), quote[1])
    value = text[start:end]
    return None if is_placeholder(value) or MARKER.fullmatch(value) else (start, end)


def _header(text: str, key: str, at: int) -> Span | None:
    """A value of several words: behind the scheme of an authorization, of a cookie, or of a wallet."""
    if key.endswith("authorization") and (scheme := _SCHEME.match(text, at)):
        at = scheme.end()
    elif key.endswith(("phrase", "mnemonic")) and (seed := _SEED.match(text, at)):
        return seed.span()
    elif not key.endswith("cookie") or not _COOKIE.match(text, at):
        return None
    line = _HEADER_LINE.match(text, at)
    return line and _unless_redacted(line)


def _bare(text: str, key: str, separator: re.Match[str]) -> Span | None:
    """A value without quotes: of an environment, a query, YAML, a log line, or code."""
    sign, at = separator["sign"], separator.end()
    if separator["blank"].strip(" \t"):  # on another line
        return None
    if (sign[0] in "=!" and "=" in sign[1:]) or sign == "!" or text.startswith(("//", ":"), at):
        return None
    is_tight = not separator["blank"] and sign in {"=", "%3D"}
    value = (_TIGHT if is_tight else _WORD).match(text, at)
    if value is None or is_code(key, value, is_tight=is_tight, is_spaced=bool(separator["blank"])):
        return None
    found = value[0][0] + value[0][1:].rstrip(",.)]}")
    if is_placeholder(found) or (key.lower() in {"pwd", "oldpwd"} and found[0] in "/~"):
        return None
    is_value = is_tight or _LINE_END.match(text, value.end()) or looks_secret(found)
    return (at, at + len(found)) if is_value else None


def _without_separator(text: str, start: int, end: int) -> Span | None:
    if text[start] == "-" or is_set(text, start):
        return _option(text, start, end)
    if is_behind_env(text, start):
        option = _option(text, start, end)
        return option if option and _is_value_of_env(text, start, end, option) else None
    return _spoken(text, end) or _named(text, start, end)


def _is_value_of_env(text: str, start: int, end: int, value: Span) -> bool:
    """Whether it is, and no word of a sentence: a variable is written in capitals, or its value like a password."""
    return (text[start:end].isupper() and not text[slice(*value)].islower()) or looks_secret(text[slice(*value)])


def _option(text: str, start: int, end: int) -> Span | None:
    """``--password value``, and not the flag in a sentence."""
    at = end
    while at < len(text) and at - end < 8 and text[at] in " \t":
        at += 1
    if at == end or text[end - 1] == "." or text[start:end].strip("-") == "":
        return None
    if quote := QUOTE.match(text, at):
        return _quoted(text, quote)
    value = _OPTION.match(text, at)
    return value and (None if value[0].lower().rstrip(".,") in _AFTER_OPTION else _unless_redacted(value))


def _spoken(text: str, end: int) -> Span | None:
    """``the password is hunter2``: only what looks like one."""
    if (spoken := _SPOKEN.match(text, end)) is None:
        return None
    if quote := QUOTE.match(text, spoken.end()):
        return _quoted(text, quote)
    value = _WORD.match(text, spoken.end())
    if value is None or MARKER.match(value[0]) or is_algorithm(value[0]):
        return None
    found = value[0].rstrip(".!?")
    return (value.start(), value.start() + len(found)) if looks_secret(found) else None


def _named(text: str, start: int, end: int) -> Span | None:
    """``<property name="password" value="…"/>``."""
    if (attribute := _ATTRIBUTE.match(text, end)) and search_before(_NAMED, text, start, 64):
        return _quoted(text, attribute)
    return None


def _element(text: str, start: int, at: int) -> Span | None:
    """``<password>value</password>``."""
    content = _CONTENT.match(text, at)
    if content is None or text[start - 1 : start] != "<" or not text.startswith("</", content.end()):
        return None
    return _unless_redacted(content)


def _unless_redacted(match: re.Match[str]) -> Span | None:
    value = match[0].rstrip()
    if not value or MARKER.match(value) or is_placeholder(value):
        return None
    return match.start(), match.start() + len(value)
