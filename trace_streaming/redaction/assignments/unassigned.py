"""Secrets that stand near their key without a sign between them: options, setters, pairs, calls, tables, prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trace_streaming.redaction.judging import (
    MARKER,
    QUOTE,
    is_algorithm,
    is_attribute,
    is_placeholder,
    is_uuid,
    looks_chosen,
    looks_random,
    looks_secret,
    quote_end,
)
from trace_streaming.redaction.secret_keys import is_secret_key

from .literals import literal_in_brackets, literal_or, literal_typed
from .readers import SEED
from .setters import before, is_behind_env, is_set, search_before

Range = tuple[int, int]

_PASSWORDS: Final = ("password", "passwort", "passcode")
"""Ends of keys whose values people choose."""
_IN_BOOKS: Final = re.compile(
    "[^\n\u201c\u201d\u201e\u00ab\u00bb]{0,24}[\u201c\u201d\u201e\u00ab\u00bb]\\s?([^\n\u201c\u201d\u201e\u00ab\u00bb]{4,64}?)\\s?"
    "[\u201c\u201d\u201e\u00ab\u00bb]"
)
_CELL: Final = re.compile(
    r"[ \t]*(?:[|\t]|,(?=[^\n,]+(?:\n|$)))[ \t]*[`\"']?([^\s|`\"',]{6,256})[`\"']?[ \t]*(?:\||\n|$)"
)
_REJECTED: Final = re.compile(r"""(?:\n|\\+n)[ \t]+[^\n]{0,200}?\binput_value=(\\*["'])""")
_NEXT_ELEMENT: Final = re.compile(
    r"(?:</\w{1,12}>\s{0,16}){1,3}(?:<\w{1,12}[^<>]{0,100}>\s{0,16}){1,4}([^\s<>]{6,256})</"
)
_TOLD_LATER: Final = re.compile(
    r"""[ \t][^\n:;.!?"'`|{}\[\]=,<>]{1,60}[^\n;!?"'`|{}\[\]=,<>:](?::|[ \t]?=)[ \t]+([^\s"'`,<>]{6,128})(?=\s|$|\\n)"""
)
_SAID: Final = re.compile(r"(?i)(?:\w{0,24}[_\-])?(?:pass|pw|pin|pat|mdp)")
"""Keys that may name something else, and that people say what they are."""
_MANY_WORDS: Final = re.compile(r"[a-z]{2,12}(?:[ \-][a-z]{2,12}){2,11}(?=[.\s\"'!]*(?:\n|$))")
_OPTION: Final = re.compile(r"""[^\s"'`;|&<>-][^\s"'`;|<>]*""")
_DESCRIPTION: Final = re.compile(r"(?:[A-Z][a-z]+ [a-z]| {2,}(?:\S+ )+\S| {2,}\S+(?:\n|$))")
"""Of an option in a program's help: behind two blanks, or in place of a value."""
_AFTER_OPTION: Final = frozenset(
    "flag flags option options argument arguments parameter value values is and or to for with from as in on if when "
    "was does must should can has the a an".split()
)
_SPOKEN: Final = re.compile(
    r"(?:[ \t]\([^()\n]{1,40}\)|[ \t]+(?:for|of|to|on|f\u00fcr|pour|para"
    r"|de|du|des|del|der|vom|von)[ \t]+[\w@.\-]{1,40}(?:[ \t]+[\w@.\-]{1,40}){0,2})?(?:[ \t]+|(?=:))"
    r"(?:(?:should|must|has to|needs to|will) be(?: set to)?|(?:is|was|has been|have been)(?: now)?(?: changed"
    r"| set| reset| updated)? to|set to|changed to|reset to"
    r"|provided"
    r"|is|was|are|to|as|ist|war|lautet|hei\u00dft|est|c'est|era|es"
    r"|este|je|jest|er|\u00e4r|adalah|l\u00e0|\u00e8|\u00e9|(?=:))(?:[ \t]+now)?[ \t]*:?[ \t\n]+"
)
_COMPOUND: Final = re.compile(r"(?=\w*[A-Z])[^\W\d_]{3,20}(?:_[^\W\d_]{3,20}){1,3}")
_SPOKEN_WORD: Final = re.compile(r"""(?:[^\s;,"'`<>\\)}\]]|[)}\]](?=[^\s;,.)}\]]))+""")
_NAMED_BACKWARDS: Final = re.compile(
    r"""[\w\-#\[\]=*.:]{0,40}(?:["'`]\\*)?[\s]{0,16}(?:["'`]\\*)?(?:>?=|:|>|,"""
    r"""|(?=\s))[ \t]{0,8}(?:["'`]\\*)?([A-Za-z_]{2,40})"""
)
"""What stands before a key, from its end: ``"name": "``, ``name="``, ``- name: ``, ``<name>``, ``variable "``."""
_NAMING: Final = re.compile(
    r"""\w{0,24}(?:name|key|field|id|label|variable|var|header|param|parameter|property|selector|element|target|placeholder"""
    r"""|prompt|title|type|env|option|setting|resource|output)s?""",
    re.IGNORECASE,
)
_PAIRED: Final = re.compile(
    r"""(?:\\++|[\]"' :]){0,16}+\{?(?:[^{}]{0,160}?[\s,;{"'\\<?&(])??(?:\w{0,16}value|val|default|text|content"""
    r"""|input|answer|data|string|plaintext"""
    r"""|secret\w{0,8})(?:\\*["'])?(?:[ \t]{0,8}(?::|=>?)|>)[ \t]{0,8}""",
    re.IGNORECASE,
)
_VALUE_BEFORE: Final = re.compile(r"""\bvalue=\\*["']([^"'<>\\]{1,256})\\*["'][^<>]{0,80}\btype=(?:\\*["'])?\Z""")
_MULTIPART: Final = re.compile(
    r"""\\*["'](?:;[^\r\n]{0,200})?(?:\r?\n|\\+r\\+n)(?:[\w\-]{1,40}:[^\r\n]{0,200}(?:\r?\n|\\+r\\+n)){0,4}(?:\r?\n|\\+r\\+n)"""
    r"""([^\r\n\\]{1,4096})(?:\r?\n|\\+r\\+n)"""
)
"""A part of a form's body: behind its name a line without anything, then the value."""
_WITHOUT_QUOTES: Final = re.compile(r"[^\s<>,;{}\"'\\]{2,256}")
_NAMED_AGAIN: Final = re.compile(r"\b(?:name|key|variable|field)\b", re.IGNORECASE)
_ARGUMENT: Final = re.compile(
    r"""(?:\]?\\*["'`]\]?){1,2}[\])]{0,2}(?:[ \t\n]{0,8},[ \t\n]{0,16}(?:\w{1,16}[ \t]?[:=]>?[ \t]?)?"""
    r"""|\)?\s{0,8}\.(?:send_keys|type|fill|press_sequentially|sendKeys"""
    r"""|setValue|set_value|val|input|clear_and_type)\()[bBrRfFuU]{0,2}(\\*["'`])"""
)
"""From a text that names a secret to the one that comes next in a call, a pair or a tuple."""
_SETTING_CALL: Final = re.compile(
    r"\b(?:set\w*|put|add\w*|append|header|cookie|fill|type\w*|setdefault|getenv|store|save|write|insert|register|update|env|get|environ)"
    r"\((?:[^()\n]{0,80}[, ])?[ \t]*(?:\\*[\"'`])[#\w\[\]=.\-*]{0,16}\Z",
    re.IGNORECASE,
)
_DEFINING: Final = re.compile(r"\b(?:define|putenv|set_password)\(\s{0,4}\\*[\"']\Z")
_BEHIND_DASH: Final = re.compile(
    r"""[*_`"']{0,3}[ \t]{1,4}(?:\u2014|\u2013|-|->|\u2192|\\+u2(?:014|013|192)|\\+xe2\\+x8[06]\\+x9[234])[ \t]{1,4}"""
    r"""\\*[*`"']{0,3}([^\s"'`,;<>*\\]{6,256})(?=[\s"'`,;.*\\]|$)"""
)
_TOLD_BEFORE: Final = re.compile(
    r"""(?:(?<![^\s"'`(*])|(?<=\\n))([^\s"'`*\\]{6,128})\\*["'`*]{0,3}"""
    r"""[ ](?:is|ist)[ ](?:the|my|your|our|das|mein|dein|unser)"""
    r"""(?:[ ][\w\-]{1,24}){0,3}[ ]\\*["'`*]{0,3}\Z"""
)
_END_OF_CLAUSE: Final = re.compile(
    r"""(?:\\*["'`*]){0,8}(?:[.,;:!?)}\]]|\\+n|[ \t]*\n|\Z|[ ](?:for|of|to|on|and|but|f\u00fcr|von|zu[mr]?)\b)"""
)
_CHANGED: Final = re.compile(
    r"""(?:[ ](?:for|of|f\u00fcr)[ ][\w@.\-]{1,40})?(?:[ ](?:was|wurde))?(?:[ ]changed)?[ ](?:from|von)[ ]"""
    r"""(?:\\*["'`])?([^\s"'`,;\\]{6,128})(?:\\*["'`])?[ ](?:to|auf|zu)\b(?:[ ](?:\\*["'`])?([^\s"'`,;\\]{6,128}))?"""
)
_BLANK: Final = re.compile(r"(?:\\t|[ \t]{1,16})")
_QUOTED_NEXT: Final = re.compile(r"""[ \t]{0,8}(?:to|TO|=)?[ \t]{0,8}(\\*["'`])""")
_PLAIN: Final = re.compile(r"""[^\s"'`<>,;(){}\\]{6,256}(?=[,;]?(?:\s|$)|\\[nr"'])""")
_BRACKETED: Final = re.compile(r"[ \t]\[([^\[\]\s]{6,256})\]")


def value_without_sign(text: str, start: int, end: int, *, is_secret: bool) -> Range | None:
    """The range of the value that belongs to the key at ``start:end``; None where there is none to hide."""
    if not is_secret:
        named = _next_argument(text, start, end) or _paired(text, start, end)
        if named is None and _SAID.fullmatch(text, start, end):
            return _spoken(text, end) or _behind_blank(text, start, end)
        return named
    if text[start] == "-" or is_set(text, start):
        return _option(text, start, end) or _next_argument(text, start, end)
    if is_behind_env(text, start):
        option = _option(text, start, end)
        return option if option and _is_value_of_env(text, start, end, option) else None
    return (
        _quoted_as_in_books(text, end)
        or _phrase(text, start, end)
        or _spoken(text, end)
        or _next_argument(text, start, end)
        or _paired(text, start, end)
        or _rejected(text, end)
        or literal_in_brackets(text, end)
        or literal_or(text, end)
        or literal_typed(text, end)
        or _next_cell(text, end)
        or _next_element(text, end)
        or _told_later(text, end)
        or _behind_dash(text, end)
        or _behind_blank(text, start, end)
    )


def _is_value_of_env(text: str, start: int, end: int, value: Range) -> bool:
    """Whether it is, and no word of a sentence: a variable is written in capitals, or its value like a password."""
    return (text[start:end].isupper() and not text[slice(*value)].islower()) or looks_secret(text[slice(*value)])


def _option(text: str, start: int, end: int) -> Range | None:
    """``--password value``, and not the flag in a sentence."""
    at = end
    while at < len(text) and at - end < 8 and text[at] in " \t\n":
        at += 1
    if at == end or text[end - 1] == "." or text[start:end].strip("-") == "":
        return None
    if quote := QUOTE.match(text, at):
        return _quoted(text, quote)
    value = _OPTION.match(text, at)
    if value is None or value[0].lower().rstrip(".,") in _AFTER_OPTION or is_placeholder(value[0].rstrip("])")):
        return None
    if _DESCRIPTION.match(text, end if at - end > 1 else value.end()) or (
        "\n" in text[end:at] and not looks_random(value[0])
    ):
        return None
    return _unless_hidden(value.start(), value.end(), text)


def _spoken(text: str, end: int) -> Range | None:
    """``the password is hunter2``: only what looks like one."""
    if (spoken := _SPOKEN.match(text, end)) is None:
        return None
    if quote := QUOTE.match(text, spoken.end()):
        return _quoted(text, quote)
    value = _SPOKEN_WORD.match(text, spoken.end())
    if value is None or MARKER.match(value[0]) or is_algorithm(value[0]):
        return None
    found = value[0].rstrip(".!?")
    is_one = (
        looks_secret(found)
        or _COMPOUND.fullmatch(found) is not None
        or (":" in spoken[0] and len(found) >= 6 and not found.isalpha())
    )
    return (value.start(), value.start() + len(found)) if is_one else None


def _quoted_as_in_books(text: str, end: int) -> Range | None:
    """Behind a key in a sentence: \u201evalue\u201c, \u00ab value \u00bb."""
    found = _IN_BOOKS.match(text, end)
    return _unless_hidden(*found.span(1), text) if found else None


def _next_cell(text: str, end: int) -> Range | None:
    """The cell beside a key, in a row of a table: ``| TOKEN | value |``, ``TOKEN,value``."""
    cell = _CELL.match(text, end)
    return cell.span(1) if cell and looks_chosen(cell[1]) else None


def _rejected(text: str, end: int) -> Range | None:
    """As pydantic tells of a field that has another value than it should: ``[…, input_value='value', …]``."""
    rejected = _REJECTED.match(text, end)
    return _quoted(text, rejected) if rejected else None


def _next_element(text: str, end: int) -> Range | None:
    """``<dt>API key</dt><dd><code>value</code></dd>``."""
    element = _NEXT_ELEMENT.match(text, end)
    return element.span(1) if element and looks_chosen(element[1]) else None


def _told_later(text: str, end: int) -> Range | None:
    """``the password that was generated for root: value``."""
    told = _TOLD_LATER.match(text, end)
    if told is None:
        return None
    is_phrase = text[:end].lower().endswith("phrase") and looks_secret(told[1])
    return told.span(1) if is_phrase or looks_random(told[1]) or is_uuid(told[1]) else None


def _behind_dash(text: str, end: int) -> Range | None:
    """``- **Password** — value``, ``password → value``."""
    value = _BEHIND_DASH.match(text, end)
    if value is None or is_algorithm(value[1]):
        return None
    is_type = value[0].strip(" \t*_`\"'").startswith("-") and not looks_random(value[1])  # what a function returns
    return value.span(1) if looks_chosen(value[1]) and not is_type else None


def told_before(text: str, start: int, end: int) -> Range | None:
    """``value is the admin password``."""
    if not any(text.find(verb, max(0, start - 80), start) >= 0 for verb in (" is ", " ist ")):
        return None
    told = _TOLD_BEFORE.search(text, max(0, start - 240), start)
    if told is None or not _END_OF_CLAUSE.match(text, end):
        return None
    return told.span(1) if looks_random(told[1]) and not is_algorithm(told[1]) else None


def changed_values(text: str, end: int) -> Iterator[Range]:
    """Both of ``the passphrase was changed from value to value``."""
    if changed := _CHANGED.match(text, end):
        looks = looks_chosen if text[max(0, end - 8) : end].lower().endswith(_PASSWORDS) else looks_random
        for group in (1, 2):
            if changed[group] and looks(changed[group].rstrip(".!?")):
                yield changed.start(group), changed.start(group) + len(changed[group].rstrip(".!?"))


def _phrase(text: str, start: int, end: int) -> Range | None:
    """``the passphrase is three foxes hum softly``: all its words."""
    if not text[start:end].lower().endswith(("phrase", "mnemonic", "password", "passwort")):
        return None
    spoken = _SPOKEN.match(text, end)
    if spoken is None or ":" not in spoken[0]:
        return None
    words = _MANY_WORDS.match(text, spoken.end()) or SEED.match(text, spoken.end())
    return words.span() if words else None


def _paired(text: str, start: int, end: int) -> Range | None:
    """``{"name": "password", "value": "…"}`` in all its spellings: JSON, YAML, XML, HCL, a form's fields."""
    naming = _NAMED_BACKWARDS.match(before(text, start, 96)[::-1])
    if naming is None or not _NAMING.fullmatch(naming[1][::-1]) or is_secret_key(naming[1][::-1]):
        return None
    if before_it := _VALUE_BEFORE.search(text, max(0, start - 200), start):
        return _unless_hidden(*before_it.span(1), text)
    if part := _MULTIPART.match(text, end):
        return _unless_hidden(*part.span(1), text)
    paired = _PAIRED.match(text, end)
    is_of_type = naming[1][::-1].lower() == "type" and paired is not None and "\n" in paired[0]
    is_of_selector = paired is not None and ")" in paired[0]
    if (
        paired is None
        or is_of_type
        or is_of_selector
        or _NAMED_AGAIN.search(paired[0], paired[0].find("\n") + 1 or len(paired[0]))
    ):
        return None
    at = paired.end()
    if quote := QUOTE.match(text, at):
        return _quoted(text, quote)
    value = _WITHOUT_QUOTES.match(text, at)
    return _unless_hidden(value.start(), value.end(), text) if value and not is_attribute(value[0]) else None


def _next_argument(text: str, start: int, end: int) -> Range | None:
    """``set("password", "value")``, ``("X-Auth-Token", "value")``, ``fill("#password", "value")``."""
    argument = _ARGUMENT.match(text, end)
    if argument is None:
        return None
    value = _quoted(text, argument)
    if value is None or is_secret_key(text[slice(*value)]):
        return None
    if "." in argument[0] or search_before(_DEFINING, text, start, 40):  # a method types it
        return value
    is_set_here = search_before(_SETTING_CALL, text, start, 120) is not None
    found = text[slice(*value)]
    return value if looks_chosen(found) or (is_set_here and looks_secret(found)) else None


def _behind_blank(text: str, start: int, end: int) -> Range | None:
    """``password 'value'``, ``#define TOKEN "value"``, ``bindpw value``: in files and SQL, not in a sentence."""
    if bracketed := _BRACKETED.match(text, end):
        return bracketed.span(1) if looks_chosen(bracketed[1]) else None
    quote = _QUOTED_NEXT.match(text, end)
    if quote and quote.start(1) > end:
        value = _quoted(text, quote)
        return value if value and (looks_chosen(text[slice(*value)]) or text[start:end].isupper()) else None
    blank = _BLANK.match(text, end)
    if blank is None:
        return None
    plain = _PLAIN.match(text, blank.end())
    if plain is None:
        return None
    found = plain[0].rstrip(".!?:")
    is_in_list = text.startswith((",", ";"), plain.end())
    is_at_end = re.compile(r"\s*(?:[\r\n]|\\n|$)").match(text, plain.end()) is not None
    is_password = text[start:end].lower().endswith(_PASSWORDS)
    is_word = is_algorithm(found) or (is_in_list and not looks_random(found))
    if (
        (looks_random(found) and not (is_in_list and is_word))
        or is_uuid(found)
        or ((is_at_end or is_password) and looks_chosen(found) and not is_word)
    ):
        return _unless_hidden(plain.start(), plain.start() + len(found), text)
    return None


def _quoted(text: str, quote: re.Match[str]) -> Range | None:
    start, end = quote.end(), quote_end(text, quote.end(), quote[1])
    return _unless_hidden(start, end, text)


def _unless_hidden(start: int, end: int, text: str) -> Range | None:
    value = text[start:end]
    return None if not value or is_placeholder(value) or MARKER.match(value) else (start, end)
