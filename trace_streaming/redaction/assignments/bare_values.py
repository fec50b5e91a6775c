"""How far an assigned value without quotes reaches: of an environment, a query, YAML, a log line, or code."""

from __future__ import annotations

import re
from typing import Final

from trace_streaming.redaction.judging import is_code, is_placeholder, is_prose, looks_random, looks_secret

from .readers import Assignment, Range

_TIGHT: Final = re.compile(
    r"""(?:[^\s&;,"'`<>\\]|,(?![\w.\-]{1,64}[=:]|\s|$)|\\(?!\\*["'`nrt])"""
    r"""|[;&](?=[^\s;&="'<>]{0,64}[0-9])(?![\w.\-\[\]%]{1,64}=|amp;))+"""
)
_WORD: Final = re.compile(
    r"""(?:[^\s;,"'`<>\\)}\]]|[)}\]](?=[^\s;,.)}\]"'])|[,;](?=[^\s,;"':=]{0,64}[0-9])(?=[^\s,;"':=]+\s*$))+"""
)
_SHORT_WORD: Final = re.compile(_WORD.pattern.removesuffix("+") + "{1,512}")
"""Looked at, and often left: it may not go on to the text's end."""
_LINE_END: Final = re.compile(r"""[ \t]*(?:$|[\r\n,;}\])"'`]|\\[nr"']|#|//)""")
_DOTENV_LINE: Final = re.compile(r"(?:export )?[A-Z][A-Z0-9_]*=")
_NESTED: Final = re.compile(
    r"""[ \t]*\n(?P<indent>[ \t]+)(?:[\w\-]{1,40}:[^\n]{0,200}\n(?P=indent)){0,4}(?:example|default|value|secret"""
    r"""|plaintext):[ \t]*"""
    r"""["']?(?P<value>[^\s"'][^\n"']{0,256})"""
)
"""What a schema or a form says of a key, in lines that are indented more."""
_RESOURCE: Final = re.compile(r"\barn:[\w:\-]*:\Z")
_BRACED: Final = re.compile(r"\{[^{}\n]{1,256}\}(?=;|$)")
_FOLDERS: Final = re.compile(r"(?:\.{1,2}(?:/[\w.\-]+)+|/[a-z]+(?:/[a-z][a-z_.\-]*)+)")
_SIGNS: Final = re.compile(r"\W{1,2}")
"""Of an expression: ``s/password=.*/password=/``."""
_STATE: Final = re.compile(
    r"(?:hover|focus(?:-\w+)?|active|visited|disabled|enabled|checked|(?:in)?valid|required|empty|not|has|is|where"
    r"|(?:first|last|only|nth)(?:-last)?-(?:child|of-type))(?![\w\-])"
)
"""Of an element in CSS."""
_FROM_FILE: Final = "from-file"
_ANOTHER_KEY: Final = re.compile(r"[A-Za-z_][\w.\-]{0,64}[ \t]?[=:](?!=)")
_LEAST_OF_PIN: Final = 3
_LEAST_OF_CODE: Final = 6
"""Digits."""


def read_bare(assignment: Assignment) -> Range | None:
    """A value that ends at a blank, a sign, or its line's end."""
    text, sign, at, blank = assignment.text, assignment.separator["sign"], assignment.at, assignment.separator["blank"]
    if sign == ":" and (
        text.startswith(":", at) or _RESOURCE.search(text, max(0, assignment.start - 120), assignment.start)
    ):
        return None
    if nested := _NESTED.match(text, assignment.separator.start("blank")):
        return None if is_placeholder(nested["value"].strip()) else nested.span("value")
    is_compared = sign == "!" or (sign[0] in "=!" and "=" in sign[1:])
    if is_compared or blank.strip(" \t") or text.startswith("//", at):
        return _whole_line(text, at)
    is_tight = not blank and sign in {"=", "%3D"}
    if is_tight and (several := _words_of_dotenv(text, assignment.start, at) or _braced(text, at)):
        return several
    return _word(assignment, is_tight=is_tight)


def _whole_line(text: str, at: int) -> Range | None:
    """What is compared, or stands on another line: only what looks like a secret, alone in its line."""
    word = _SHORT_WORD.match(text, at)
    if _ANOTHER_KEY.match(text, at):
        return None
    is_alone = word is not None and _LINE_END.match(text, word.end()) is not None
    return word.span() if word and is_alone and looks_random(word[0].strip("/.")) else None


def _word(assignment: Assignment, *, is_tight: bool) -> Range | None:
    text, key, at = assignment.text, assignment.key, assignment.at
    is_spaced = bool(assignment.separator["blank"])
    value = (_TIGHT if is_tight else _WORD).match(text, at)
    assignment.charge(value)
    if value is None or is_code(key, value, is_tight=is_tight, is_spaced=is_spaced):
        return None
    found = value[0][0] + value[0][1:].rstrip(",.)]}")
    if _is_no_value(assignment, value[0], found, is_joined=not is_tight and not is_spaced, is_loose=not is_tight):
        return None
    ended = _LINE_END.match(text, value.end())
    if ended and is_placeholder(text[at : ended.end()].strip()):
        return None
    return (at, at + len(found)) if is_tight or ended or looks_secret(found) else None


def _is_no_value(assignment: Assignment, value: str, found: str, *, is_joined: bool, is_loose: bool) -> bool:
    """A placeholder, a folder, a state in CSS (``.token:hover``), the number of a line or field (``password = 2;``)."""
    if value.endswith(("...", "\u2026")) or is_placeholder(found) or is_prose(found):
        return True
    if _SIGNS.fullmatch(found) or (is_joined and "." in assignment.key and _STATE.match(found)):
        return True
    is_small = is_loose and len(found) < _LEAST_OF_PIN and found.isalpha()  # a name of code that was made so
    if is_small or (found.isdecimal() and len(found) < (_LEAST_OF_CODE if is_joined else _LEAST_OF_PIN)):
        return True
    if _FOLDERS.fullmatch(found) or assignment.text.endswith(_FROM_FILE, 0, max(assignment.start - 1, 0)):
        return True
    is_template = value[0] in "?+" and assignment.text.endswith("{", 0, assignment.start)  # ``${TOKEN:?is missing}``
    return is_template or (assignment.key.lower() in {"pwd", "oldpwd"} and found[0] in "/~")


def _braced(text: str, at: int) -> Range | None:
    """As ODBC writes what holds a semicolon: ``Pwd={a;b}``."""
    braced = _BRACED.match(text, at)
    return braced.span() if braced else None


def _words_of_dotenv(text: str, start: int, at: int) -> Range | None:
    """The rest of its line, where a value has several words and all lines are variables'."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", at)
    if line_end < 0 or not _DOTENV_LINE.match(text, line_start):
        return None
    value = text[at:line_end].rstrip()
    if is_placeholder(value) or " " not in value or value[0] in "\"'$" or "#" in value or "=" in value:
        return None
    before = text.rfind("\n", 0, max(line_start - 1, 0)) + 1
    following = text[line_end + 1 : line_end + 80]
    around = (text[before : before + 80] if before < line_start else "", following)
    return (
        (at, at + len(value))
        if all(not each or each[0] in "#\n" or _DOTENV_LINE.match(each) for each in around)
        else None
    )
