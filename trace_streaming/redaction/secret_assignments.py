"""Secrets behind their key inside a text: JSON, queries, ``KEY=value``, ``--option value``, headers, YAML, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from .assigned_values import (
    MARKER,
    QUOTE,
    balanced_end,
    fits_weak_key,
    is_code,
    is_piece_of_text,
    is_placeholder,
    looks_chosen,
    looks_random,
    looks_secret,
    quote_end,
)
from .effort import ASSIGNMENTS, Effort
from .hints import Place
from .literals import literal_end, literal_in_call, literal_instead
from .secret_keys import WORDS, is_secret_key, may_be_secret_key
from .spans import Span
from .text_tables import column_below
from .unassigned_values import value_without_sign

__all__ = ["WORDS", "find_assigned"]

BY_KEY: Final = "key"
Range = tuple[int, int]
_MOST_ROWS: Final = 1_000

_KEY_PART: Final = re.compile(r"[\w.\-]{0,64}")
_IN_MARKER: Final = re.compile(r"\[redacted:[a-z ]{0,30}\Z")
_SEPARATOR: Final = re.compile(
    r"""(?:\*{1,3}|__|</\w{1,10}>)?(?P<quote>\\*["'`])?(?:\]|%5D)?(?:[ \t]\#?\d{1,2})?"""
    r"""(?:\n[ \t]{0,16}(?=: ))?(?:[ \t]{0,8}(?:\.{2,40}[ \t]?)?(?P<sign>=>|:=|(?:\|\||\?\?|\?|\+)=|[=!]={0,2}|%3D|%3A|:|\uff1a)"""
    r"""|(?P<element>(?:[ \t][^<>\n]{0,200})?>(?:\s{0,64}<!\[CDATA\[)?))"""
    r"""(?:\*{1,3}|__|(?:</\w{1,10}>){1,3})?(?:\\\r?\n)?(?P<blank>\s{0,64})(?:(?:&[\w\-]{1,32}|!!\w{1,16})[ \t]{1,8}(?!=))?"""
)
_AFTER_PROMPT: Final = re.compile(r"[),;\]}]|\s*$|\s*[\r\n]")
_REDACTED: Final = re.compile(MARKER.pattern + r"(?!\w)")
_TEMPLATES: Final = ("$(", "{{", "<%", "%(", "!Ref", "!Sub", "!GetAtt", "!Join", "{%")
_VARIABLE: Final = re.compile(r"\$\{[\w.\-]*(?::?[-=?](?P<default>[^{}\s\"'\\]{1,256}))?\}")
_JSON_SCHEMA: Final = re.compile(
    r"""\{\s{0,16}\\*["']type\\*["']\s{0,8}:\s{0,8}\\*["'](?:string|object|integer|number|boolean|array|null)\\*["']"""
)
_OF_TEXTS: Final = re.compile(r"""[\[{]\s{0,16}\\*["']""")

# How far a value without quotes reaches, by what stands before it.
_TIGHT: Final = re.compile(
    r"""(?:[^\s&;,"'`<>\\]|,(?![\w.\-]{1,64}[=:]|\s|$)|\\(?![nrt"'])"""
    r"""|[;&](?=[^\s;&="'<>]{0,64}[0-9])(?![\w.\-\[\]%]{1,64}=|amp;))+"""
)
_WORD: Final = re.compile(
    r"""(?:[^\s;,"'`<>\\)}\]]|[)}\]](?=[^\s;,.)}\]"'])|[,;](?=[^\s,;"':=]{0,64}[0-9])(?=[^\s,;"':=]+\s*$))+"""
)
_LINE_END: Final = re.compile(r"""[ \t]*(?:$|[\r\n,;}\])"'`]|\\[nr"']|#|//)""")
_CONTENT: Final = re.compile(r"[^<\]]*")
_HEADER_LINE: Final = re.compile(r"""(?:[^\r\n"'`\\]|(?<==)\\{0,3}"[^"\r\n\\]*\\{0,3}")+""")
_COOKIE: Final = re.compile(r"[\w!#$%&*+.^|~\-]{1,128}=", re.ASCII)
_SCHEME: Final = re.compile(
    r"(?:Bearer|Basic|Token|Digest|Api-?Key|Negotiate|NTLM|Hawk|GoogleLogin|SSWS|AWS4-HMAC-SHA256|JWT|DPoP|Key)[ \t]+",
    re.IGNORECASE,
)
_SEED: Final = re.compile(r"(?:[a-z]{3,8} ){11,23}[a-z]{3,8}")
_DOTENV_LINE: Final = re.compile(r"(?:export )?[A-Z][A-Z0-9_]*=")
_BLOCK: Final = re.compile(
    r"[|>][+\-]?\d?(?:\r?\n|\\+n)[ \t]+([^\n\\]{1,4096}(?:(?:\n|\\+n)[ \t]+[^\s:\\][^:\n\\]{0,4096})*)"
)
"""A scalar of YAML that goes over indented lines."""
_NESTED: Final = re.compile(
    r"""[ \t]*\n(?P<indent>[ \t]+)(?:[\w\-]{1,40}:[^\n]{0,200}\n(?P=indent)){0,4}(?:example|default|value|secret|plaintext):[ \t]*"""
    r"""["']?(?P<value>[^\s"'][^\n"']{0,256})"""
)
"""What a schema or a form says of a key, in lines that are indented more."""
_RESOURCE: Final = re.compile(r"\barn:[\w:\-]*:\Z")
_IN_PARENTHESES: Final = re.compile(r"""\(\s{1,64}(?=[bBrRfFuU]{0,2}["'])""")
_NAMES_IT: Final = re.compile(r"""\b(?:name|key|id)=\\*["'][\w.:\-]{0,64}\Z""")
_BRACED: Final = re.compile(r"\{[^{}\n]{1,256}\}(?=;|$)")


def find_assigned(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """What is assigned to a secret key; the key, and all else, stays readable."""
    at = 0
    for place in sorted(places):
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
        span = _value(text, start, end, is_secret=is_secret)
        if span is None:
            for cell in column_below(text, start, end, _MOST_ROWS):
                value = text[slice(*cell)]
                if not is_placeholder(value) and (is_secret or looks_random(value)):
                    yield Span(*cell, BY_KEY)
        elif is_piece_of_text(text[start:end], text[slice(*span)]):
            continue
        elif is_secret or fits_weak_key(text[start:end], text[slice(*span)]):
            yield Span(*span, BY_KEY)
            at = max(at, span[1])


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
    # In JSON, the letter behind a backslash belongs to that.
    return (start + 1 if start and text[start - 1] == "\\" and text[start] in "nrt" else start), end


def _value(text: str, start: int, end: int, *, is_secret: bool) -> Range | None:
    """The range of the value that is assigned to the key at ``start:end``; None where there is none to hide."""
    separator = _SEPARATOR.match(text, end)
    if separator is None or (separator["element"] and not _is_tag(text, start, separator)):
        return value_without_sign(text, start, end, is_secret=is_secret)
    at = separator.end()
    if separator["element"]:
        attribute = value_without_sign(text, start, end, is_secret=is_secret) if separator["quote"] else None
        return attribute or _element(text, at - len(separator["blank"]))
    if block := _BLOCK.match(text, at):
        return _unless(block.span(1), text)
    if opened := _IN_PARENTHESES.match(text, at):
        at = opened.end()
    if quote := QUOTE.match(text, at):
        return None if _ends_prompt(text, start, separator, quote) else _quoted(text, quote)
    if _REDACTED.match(text, at):
        return _behind_marker(text, at)
    if variable := _VARIABLE.match(text, at):
        return _behind_variable(text, variable)
    if text.startswith(_TEMPLATES, at):
        return None
    if (
        text[at : at + 1] in {"{", "["}
        and not text.startswith("[]", at)
        and (separator["quote"] or separator["blank"] or _OF_TEXTS.match(text, at))
    ):
        return _container(text, separator)
    return (
        _header(text, text[start:end].lower(), at)
        or literal_in_call(text, at)
        or literal_instead(text, at)
        or _bare(text, start, end, separator)
    )


def _is_tag(text: str, start: int, separator: re.Match[str]) -> bool:
    """Whether the key is an element's, or that which an attribute names: ``<string name="token">``."""
    before = text[start - 1 : start]
    return before in {"<", ":"} or (
        separator["quote"] is not None and _NAMES_IT.search(text, max(0, start - 80), start) is not None
    )


def _behind_marker(text: str, at: int) -> Range | None:
    """What looks like a secret behind a marker: that may have been written by anybody."""
    word = re.compile(r"\[[^\]]*\][ \t]+([^\s,;\"'<>]{6,256})").match(text, at)
    return word.span(1) if word and looks_random(word[1]) else None


def _behind_variable(text: str, variable: re.Match[str]) -> Range | None:
    """The default of a shell's variable, or what is joined to it: ``${TOKEN:-value}``, ``${X}value``."""
    if variable["default"]:
        return variable.span("default") if looks_chosen(variable["default"]) else None
    rest = _TIGHT.match(text, variable.end())
    return rest.span() if rest and looks_random(rest[0]) else None


def _container(text: str, separator: re.Match[str]) -> Range | None:
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


def _quoted(text: str, quote: re.Match[str]) -> Range | None:
    start = quote.end()
    first_end = quote_end(text, start, quote[1])
    end = literal_end(text, first_end, quote[1])
    if is_placeholder(text[start:first_end]) and end == first_end:
        return None
    return None if MARKER.fullmatch(text, start, end) else (start, end)


def _header(text: str, key: str, at: int) -> Range | None:
    """A value of several words: behind the scheme of an authorization, of a cookie, or of a wallet."""
    if key.endswith("authorization") and (scheme := _SCHEME.match(text, at)):
        at = scheme.end()
    elif key.endswith(("phrase", "mnemonic")) and (seed := _SEED.match(text, at)):
        return seed.span()
    elif not key.endswith("cookie") or not _COOKIE.match(text, at):
        return None
    line = _HEADER_LINE.match(text, at)
    return line and unless_redacted(line)


def _bare(text: str, start: int, end: int, separator: re.Match[str]) -> Range | None:
    """A value without quotes: of an environment, a query, YAML, a log line, or code."""
    key, sign, at = text[start:end], separator["sign"], separator.end()
    if sign == ":" and (text.startswith(":", at) or _RESOURCE.search(text, max(0, start - 120), start)):
        return None
    if nested := _NESTED.match(text, separator.start("blank")):
        return _unless(nested.span("value"), text)
    is_compared = sign == "!" or (sign[0] in "=!" and "=" in sign[1:])
    if is_compared or separator["blank"].strip(" \t") or text.startswith("//", at):  # on another line
        word = _WORD.match(text, at)
        is_whole = word and _LINE_END.match(text, word.end())
        return word.span() if word and is_whole and looks_random(word[0].strip("/.")) else None
    is_tight = not separator["blank"] and sign in {"=", "%3D"}
    if is_tight and (line := _dotenv(text, start, at)):
        return line
    if braced := _BRACED.match(text, at):
        return braced.span()
    value = (_TIGHT if is_tight else _WORD).match(text, at)
    if value is None or is_code(key, value, is_tight=is_tight, is_spaced=bool(separator["blank"])):
        return None
    found = value[0][0] + value[0][1:].rstrip(",.)]}")
    if found.isdecimal() and len(found) < 6 and sign == ":" and not separator["blank"]:  # the number of a line
        return None
    if is_placeholder(found) or (key.lower() in {"pwd", "oldpwd"} and found[0] in "/~"):
        return None
    ended = _LINE_END.match(text, value.end())
    if ended and is_placeholder(text[at : value.end()].strip() + text[value.end() : ended.end()].strip()):
        return None
    is_value = is_tight or ended or looks_secret(found)
    return (at, at + len(found)) if is_value else None


def _dotenv(text: str, start: int, at: int) -> Range | None:
    """The rest of its line, where a value has several words and all lines are variables'."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", at)
    if line_end < 0 or not _DOTENV_LINE.match(text, line_start):
        return None
    value = text[at:line_end].rstrip()
    if " " not in value or value[0] in "\"'$" or "#" in value or "=" in value:
        return None
    before = text.rfind("\n", 0, max(line_start - 1, 0)) + 1
    following = text[line_end + 1 : line_end + 80]
    around = (text[before : before + 80] if before < line_start else "", following)
    return (
        (at, at + len(value))
        if all(not each or each[0] in "#\n" or _DOTENV_LINE.match(each) for each in around)
        else None
    )


def _element(text: str, at: int) -> Range | None:
    """``<password>value</password>``."""
    content = _CONTENT.match(text, at)
    if content is None or not text.startswith(("</", "]]>"), content.end()):
        return None
    stripped = len(content[0]) - len(content[0].lstrip())
    value = content[0].strip()
    if not value or MARKER.match(value) or is_placeholder(value):
        return None
    return at + stripped, at + stripped + len(value)


def _unless(span: Range, text: str) -> Range | None:
    return None if is_placeholder(text[slice(*span)].strip()) else span


def unless_redacted(match: re.Match[str]) -> Range | None:
    """The range of a match, unless it is nothing, a marker or a placeholder."""
    value = match[0].rstrip()
    if not value or MARKER.match(value) or is_placeholder(value):
        return None
    return match.start(), match.start() + len(value)
