"""Documents in texts, where what is a secret stands far from what names it: tables, rows of SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from trace_streaming.redaction.effort import WORDING, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import QUOTE, is_placeholder, quote_end
from trace_streaming.redaction.secret_keys import is_secret_key
from trace_streaming.redaction.spans import Span

Range = tuple[int, int]

WORDS: Final = ("insert into", "replace into")
"""What begins a document that is read as a whole."""
_INSERT: Final = re.compile(r"\w+\s+into\s+[\w.\"`\[\]]{1,128}\s*\(([^()]{1,2000})\)\s*values\s*", re.IGNORECASE)
_ROW: Final = re.compile(r"[\s,]*\(")
_VALUE: Final = re.compile(r"[^,()'\"]*")
_MOST_ROWS: Final = 1_000
_HEADING: Final = re.compile(r"[\w .\-/()\"'#*]{0,40}")
RULE: Final = re.compile(r"[\s|:+\-=]*")
_CROSSING: Final = re.compile(r"-[+|]-")
_HTML_ROW: Final = re.compile(r"<tr[^>]{0,200}>(?:(?!</?tr|</table).){0,4000}", re.DOTALL)
_HTML_CELL: Final = re.compile(r"<td[^>]{0,200}>(?:<\w{1,8}>)?([^<]{0,1000})")
_MOST_OF_TABLE: Final = 65_536
_QUOTED_CELL: Final = re.compile(r'[ \t]*"(?:[^"\n]|"")*"')
AROUND_CELL: Final = " \r\"'`*"
_LONGEST_LINE: Final = 2_000
_MOST_CELLS: Final = 200
SEPARATORS: Final = ("|", "\t", ",", ";")


def column_below(text: str, start: int, end: int, most: int) -> list[Range]:
    """The cells below a heading, as far as the lines have as many as the first."""
    if text.startswith("</th>", end):
        return list(_below_th(text, start, end))[:most]
    line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    if line_end < 0 or line_end - line_start > _LONGEST_LINE:
        return []
    separator = next((each for each in SEPARATORS if text.find(each, line_start, line_end) >= 0), None)
    if separator is None or _is_row(text, line_start, line_end, separator):
        return []
    headings = _cells(text, line_start, line_end, separator)
    if not all(_HEADING.fullmatch(text, *cell) for cell in headings):
        return []
    column = next((index for index, cell in enumerate(headings) if cell[0] <= start and end <= cell[1]), None)
    if column is None or text[slice(*headings[column])].strip(AROUND_CELL) != text[start:end]:
        return []
    return list(_below(text, line_end + 1, separator, column, len(headings)))[:most]


def _below_th(text: str, start: int, end: int) -> Iterator[Range]:
    """In HTML: of each row that follows, the cell under the heading."""
    row_start = text.rfind("<tr", max(0, start - _LONGEST_LINE), start)
    table_end = text.find("</table", end, end + _MOST_OF_TABLE)
    if row_start < 0:
        return
    column = text.count("</th>", row_start, start)
    for row in _HTML_ROW.finditer(text, end, table_end if table_end >= 0 else end + _MOST_OF_TABLE):
        cells = list(_HTML_CELL.finditer(text, *row.span()))
        if column < len(cells) and cells[column][1].strip():
            yield cells[column].span(1)


def _is_row(text: str, line_start: int, line_end: int, separator: str) -> bool:
    """Whether a line is a row itself, and no heading: it stands below another, or below a rule and above none."""
    before_start = text.rfind("\n", 0, max(line_start - 1, 0)) + 1
    before = text[before_start : max(line_start - 1, 0)]
    if before.count(separator) == text.count(separator, line_start, line_end):
        return True
    following = text[line_end + 1 : line_end + 1 + line_end - line_start]
    return _CROSSING.search(before) is not None and RULE.fullmatch(following) is None


def _below(text: str, at: int, separator: str, column: int, width: int) -> Iterator[Range]:
    while at < len(text):
        until = text.find("\n", at)
        until = len(text) if until < 0 else until
        if not RULE.fullmatch(text, at, until):
            cells = _cells(text, at, until, separator)
            if len(cells) != width:
                return
            start, end = cells[column]
            if value := text[start:end].strip(AROUND_CELL):
                start = text.index(value, start)
                yield start, start + len(value)
        at = until + 1


def _cells(text: str, start: int, end: int, separator: str) -> list[Range]:
    """The cells of a line; a separator between quotes parts nothing."""
    cells: list[Range] = []
    while True:
        quoted = _QUOTED_CELL.match(text, start, end)
        until = text.find(separator, quoted.end() if quoted else start, end)
        cells.append((start, end if until < 0 else until))
        if until < 0 or len(cells) > _MOST_CELLS:
            return cells
        start = until + 1


def find_in_documents(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """The secrets in rows of SQL, by their columns."""
    for start, _ in places:
        if not effort.spend(WORDING, 16):
            yield Span(start, start, "")
            return
        if insert := _INSERT.match(text, start):
            yield from _in_rows(text, insert)


def _in_rows(text: str, insert: re.Match[str]) -> Iterator[Span]:
    columns = [name.strip(" \t\n\"`[]'") for name in insert[1].split(",")]
    secret = {index for index, name in enumerate(columns) if is_secret_key(name)}
    at = insert.end()
    for _ in range(_MOST_ROWS if secret else 0):
        row = _ROW.match(text, at)
        if row is None:
            return
        at = row.end()
        for index in range(len(columns)):
            start, end, at = _next_value(text, at)
            is_call = text[end : end + 1] == "("
            if index in secret and end > start and not is_call and not is_placeholder(text[start:end]):
                yield Span(start, end, "key")
            if text[at : at + 1] != ",":
                break
            at += 1
        if text[at : at + 1] != ")":
            return
        at += 1


def _next_value(text: str, at: int) -> tuple[int, int, int]:
    """Where a value begins and ends, and where what follows it is."""
    while text[at : at + 1].isspace():
        at += 1
    if quote := QUOTE.match(text, at):
        end = quote_end(text, quote.end(), quote[1])
        rest = _VALUE.match(text, end + len(quote[1]))
        return quote.end(), end, rest.end() if rest else end
    plain = _VALUE.match(text, at)
    end = plain.end() if plain else at
    return at, end, end
