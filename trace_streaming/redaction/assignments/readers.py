"""How far an assigned value reaches that begins with a sign of its own: a quote, a bracket, a variable, a scheme.

A reader knows what stands behind a key's sign, or does not (None). A range of no length: there is nothing to hide.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from trace_streaming.redaction.effort import ASSIGNMENTS, Effort
from trace_streaming.redaction.judging import (
    MARKER,
    QUOTE,
    are_names,
    balanced_end,
    is_placeholder,
    is_prose,
    is_uuid,
    looks_chosen,
    looks_random,
    quote_end,
)

from .literals import literal_end

Range = tuple[int, int]

SEPARATOR: Final = re.compile(
    r"""(?:\*{1,3}|__|</\w{1,10}>)?(?P<quote>\\*["'`])?(?:\]|%5D)?(?:[ \t]\#?\d{1,2}|[ \t]\[[\w=:\-]{1,24}\])?"""
    r"""(?:\n[ \t]{0,16}(?=:[ \n]))?(?:[ \t]{0,8}(?:\.{2,40}[ \t]?)?(?P<sign>=>|:=|<-|(?:\|\||\?\?|\?|\+)=|[=!]={0,2}"""
    r"""|%3D|%3A|:|\uff1a)"""
    r"""|(?P<element>(?:[ \t][^<>\n]{0,200})?>(?:\s{0,64}<!\[CDATA\[)?))"""
    r"""(?:(?:\*\*|__)(?=[ \t]{0,4}[^\s*_])"""
    r"""|(?:</\w{1,10}>){1,3})?(?:\\\r?\n)?(?P<blank>\s{0,64})"""
    r"""(?:(?:&[\w\-]{1,32}|!!\w{1,16}|!(?:unsafe|binary|str))[ \t]{1,8}(?!=))?"""
)
_HIDDEN: Final = re.compile(rf"(?:[A-Za-z]{{1,16}} )?{MARKER.pattern}")
"""Also as ``Bearer [redacted:bearer header]``."""
_PSQL_VARIABLE: Final = re.compile(r" :'[a-z_]+'")
_AFTER_PROMPT: Final = re.compile(r"[),;\]}]|\s*$|\s*[\r\n]")
_REDACTED: Final = re.compile(MARKER.pattern + r"(?!\w)")
_TEMPLATES: Final = ("$(", "{{", "<%", "%(", "!Ref", "!Sub", "!GetAtt", "!Join", "{%")
_VARIABLE: Final = re.compile(r"\$\{[\w.\-]*(?::?[-=+](?P<default>[^{}\"'\\]{0,256})|:?\?[^{}]{0,256})?\}")
_JSON_SCHEMA: Final = re.compile(
    r"""\{\s{0,64}(?:\\*["'](?:title|description|format|default)\\*["']\s{0,8}:\s{0,8}"""
    r"""(?:\\*["'][^"'\\]{0,400}\\*["']|null)\s{0,8},\s{0,64}){0,4}"""
    r"""\\*["'](?:type\\*["']\s{0,8}:\s{0,8}\\*["'](?:string|object|integer|number|boolean|array|null)\\*["']"""
    r"""|(?:type|anyOf|oneOf|allOf)\\*["']\s{0,8}:\s{0,8}\[|\$ref\\*["']\s{0,8}:\s{0,8}\\*["']\#/)"""
)
_LONG_BRACKET: Final = re.compile(r"\[\[([^\[\]\"'\n,]{3,512})\]\]")
"""Of Lua."""
_LONGEST_LIST: Final = 2_000
_OF_TEXTS: Final = re.compile(r"""[\[{]\s{0,16}\\*["']""")

# How far a value without quotes reaches, by what stands before it.
_TIGHT: Final = re.compile(
    r"""(?:[^\s&;,"'`<>\\]|,(?![\w.\-]{1,64}[=:]|\s|$)|\\(?![nrt"'])"""
    r"""|[;&](?=[^\s;&="'<>]{0,64}[0-9])(?![\w.\-\[\]%]{1,64}=|amp;))+"""
)
_JOINED: Final = re.compile(r"[^\s&;,\"'`<>\\]+")
_EXPRESSION: Final = re.compile(r"\{[\w.()\[\] ]{1,80}\}(?=[\s>/])")
"""Of a component, in place of an attribute's value: ``token={index}``."""
_INSIDE: Final = re.compile(r"\s{0,16}(?:<\w{1,16}>\s{0,16}){1,2}([^<]{1,4096})</")
_CONTENT: Final = re.compile(r"[^<\]]*")
_HEADER_LINE: Final = re.compile(r"""(?:[^\r\n"'`\\]|(?<==)\\{0,3}"[^"\r\n\\]*\\{0,3}")+""")
_COOKIE: Final = re.compile(r"[\w!#$%&*+.^|~\-]{1,128}=", re.ASCII)
_SCHEME: Final = re.compile(
    r"(?:Bearer|Basic|Token|Digest|Api-?Key|Negotiate|NTLM|Hawk|GoogleLogin|SSWS|AWS4-HMAC-SHA256|JWT|DPoP|Key)[ \t]+",
    re.IGNORECASE,
)
_OTHER_SCHEME: Final = re.compile(r"[A-Za-z][\w\-]{1,31}[ \t]{1,4}([^\s,;\"'`<>\\]{8,512})")
SEED: Final = re.compile(r"(?:[a-z]{3,8} ){11,23}[a-z]{3,8}")
_BLOCK: Final = re.compile(
    r"[|>][+\-]?\d?(?:\r?\n|\\+n)[ \t]+([^\n\\]{1,4096}(?:(?:\n|\\+n)[ \t]+[^\s:\\][^:\n\\]{0,4096}(?=\n|\\|$))*)"
)
"""A scalar of YAML that goes over indented lines."""
_OPENED: Final = re.compile(r"""(?:\(\s{1,64}|string\(\d{1,6}\) )(?=[bBrRfFuU]{0,2}["'])""")
"""Before a text: a bracket in code, or its type and length as PHP shows them."""
_WORD_BEHIND: Final = re.compile(r"\[[^\]]*\][ \t]+(?!HTTP/\d|[\w.\-]{1,64}=)([^\s,;\"'<>]{6,256})")


class Assignment(NamedTuple):
    """A key in a text, and the sign behind it."""

    text: str
    start: int
    end: int
    """Of the key."""
    separator: re.Match[str]
    is_sure: bool
    """Whether the key names a secret, and may not as well name something else."""
    effort: Effort

    @property
    def key(self) -> str:
        """As it is written."""
        return self.text[self.start : self.end]

    @property
    def at(self) -> int:
        """Where the value begins."""
        return self.separator.end()

    @property
    def nothing(self) -> Range:
        """That there is nothing to hide."""
        return self.at, self.at

    def charge(self, value: re.Match[str] | None) -> None:
        """Count what it takes to judge a value as long as this: where it stays, the next key's may be its rest."""
        if value:
            self.effort.count(ASSIGNMENTS, (value.end() - value.start()) >> 4)


def read_block(assignment: Assignment) -> Range | None:
    """A scalar of YAML in indented lines."""
    block = _BLOCK.match(assignment.text, assignment.at)
    return _unless_placeholder(assignment, block.span(1)) if block else None


def read_quoted(assignment: Assignment) -> Range | None:
    """A text in quotes, and those that it goes on in; not the end of a prompt."""
    text, at = assignment.text, assignment.at
    if opened := _OPENED.match(text, at):
        at = opened.end()
    if (quote := QUOTE.match(text, at)) is None:
        return None
    if _ends_prompt(assignment, quote):
        return assignment.nothing
    first_end = quote_end(text, quote.end(), quote[1])
    end = literal_end(text, first_end, quote[1])
    if _PSQL_VARIABLE.fullmatch(text, assignment.end, first_end + 1):
        return assignment.nothing
    if variable := _VARIABLE.fullmatch(text, quote.end(), end):
        is_chosen = bool(variable["default"]) and looks_chosen(variable["default"])
        return variable.span("default") if is_chosen else assignment.nothing
    is_hidden = _HIDDEN.fullmatch(text, quote.end(), end) is not None
    value = text[quote.end() : end]
    is_plain = end == first_end and (is_placeholder(value) or is_prose(value))
    return assignment.nothing if is_hidden or is_plain else (quote.end(), end)


def _ends_prompt(assignment: Assignment, quote: re.Match[str]) -> bool:
    """Whether a quote opens nothing: ``input("Password: ")``."""
    text = assignment.text
    if assignment.separator["quote"]:
        return False
    before = text[assignment.start - 1 : assignment.start]
    is_same = before == quote[1] and not text[quote.end() : quote.end() + 1].isalnum()
    return is_same or _AFTER_PROMPT.match(text, quote.end()) is not None


def read_behind_marker(assignment: Assignment) -> Range | None:
    """What looks like a secret behind a marker, which anybody may have written."""
    if not _REDACTED.match(assignment.text, assignment.at):
        return None
    word = _WORD_BEHIND.match(assignment.text, assignment.at)
    return word.span(1) if word and looks_random(word[1]) else assignment.nothing


def read_variable(assignment: Assignment) -> Range | None:
    """A shell's variable: its default, or what is joined to it: ``${TOKEN:-value}``, ``${X}value``; a template."""
    text, at = assignment.text, assignment.at
    if variable := _VARIABLE.match(text, at):
        if variable["default"]:
            return variable.span("default") if looks_chosen(variable["default"]) else assignment.nothing
        rest = _JOINED.match(text, variable.end())
        assignment.charge(rest)
        return rest.span() if rest and looks_random(rest[0]) else assignment.nothing
    return assignment.nothing if text.startswith(_TEMPLATES, at) or _EXPRESSION.match(text, at) else None


def read_container(assignment: Assignment) -> Range | None:
    """An object or a list of secrets; in code, only of texts."""
    text, at, separator = assignment.text, assignment.at, assignment.separator
    if long := _LONG_BRACKET.match(text, at):
        return long.span(1)
    if not assignment.is_sure or text[at : at + 1] not in {"{", "["} or text.startswith("[]", at):
        return None
    is_of_texts = _OF_TEXTS.match(text, at) is not None
    if not (separator["quote"] or separator["blank"] or is_of_texts):
        return None
    if _JSON_SCHEMA.match(text, at) or not (separator["quote"] or is_of_texts):
        return assignment.nothing
    end = balanced_end(text, at)
    return assignment.nothing if _are_names(assignment.key, text[at:end]) else (at, end)


def _are_names(key: str, container: str) -> bool:
    """Whether a list in a text, however often it is escaped, has names alone."""
    if len(container) > _LONGEST_LIST or container[0] != "[":
        return False
    try:
        return are_names(key, json.loads(container.replace("\\", "").replace("'", '"')))
    except (ValueError, RecursionError):
        return False


def read_header(assignment: Assignment) -> Range | None:
    """A value of several words: behind the scheme of an authorization, of a cookie, or of a wallet."""
    text, key, at = assignment.text, assignment.key.lower(), assignment.at
    is_authorization = key.endswith("authorization")
    if is_authorization and (scheme := _SCHEME.match(text, at)):
        at = scheme.end()
    elif is_authorization and (other := _OTHER_SCHEME.match(text, at)) and _is_random(other[1]):
        at = other.start(1)
    elif key.endswith(("phrase", "mnemonic")) and (seed := SEED.match(text, at)):
        return seed.span()
    elif not key.endswith("cookie") or not _COOKIE.match(text, at):
        return None
    line = _HEADER_LINE.match(text, at)
    assignment.charge(line)
    value = line[0].rstrip() if line else ""
    if MARKER.match(value):
        return assignment.nothing
    return None if not value or is_placeholder(value.rstrip(".")) else (at, at + len(value))


def _is_random(credentials: str) -> bool:
    return looks_random(credentials) or is_uuid(credentials)


def read_element(assignment: Assignment) -> Range | None:
    """``<password>value</password>``."""
    text, at = assignment.text, assignment.at - len(assignment.separator["blank"])
    if inside := _INSIDE.match(text, at):
        return None if is_placeholder(inside[1].strip()) else inside.span(1)
    content = _CONTENT.match(text, at)
    if content is None or not text.startswith(("</", "]]>"), content.end()):
        return None
    value = content[0].strip()
    if not value or MARKER.match(value) or is_placeholder(value):
        return None
    start = at + content[0].index(value)
    return start, start + len(value)


def _unless_placeholder(assignment: Assignment, found: Range) -> Range:
    return assignment.nothing if is_placeholder(assignment.text[slice(*found)].strip()) else found
