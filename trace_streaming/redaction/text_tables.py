"""Tables in texts: the cells below a heading, of CSV, of Markdown, of what a database's shell prints."""

from __future__ import annotations

import re
from typing import Final

Range = tuple[int, int]

_HEADING: Final = re.compile(r"[\w .\-/()\"'#*]{0,40}")
_RULE: Final = re.compile(r"[\s|:+\-=]*")
_SEPARATORS: Final = ("|", "\t", ",", ";")


def column_below(text: str, start: int, end: int, most: int) -> list[Range]:
    """The cells below a heading, as far as the lines have as many as the first."""
    line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    if line_end < 0 or line_end - line_start > 2_000:
        return []
    line = text[line_start:line_end]
    separator = next((each for each in _SEPARATORS if each in line), None)
    if separator is None:
        return []
    headings = line.split(separator)
    if not all(map(_HEADING.fullmatch, map(str.strip, headings))):
        return []
    column = line.count(separator, 0, start - line_start)
    if headings[column].strip(" \"'*") != text[start:end]:
        return []
    cells: list[Range] = []
    at = line_end + 1
    while at < len(text) and len(cells) < most:
        until = text.find("\n", at)
        until = len(text) if until < 0 else until
        row = text[at:until]
        if not _RULE.fullmatch(row):
            parts = row.split(separator)
            if len(parts) != len(headings):
                break
            begin = at + sum(map(len, parts[:column])) + column
            cell = parts[column]
            value = cell.strip(" \r\"'`")
            if value:
                begin += cell.index(value)
                cells.append((begin, begin + len(value)))
        at = until + 1
    return cells
