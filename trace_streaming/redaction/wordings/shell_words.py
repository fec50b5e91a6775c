"""A line of a shell as the words that it would be split into, with their places; tolerant of what is cut or escaped."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MOST_WORDS: Final = 64
_BLANKS: Final = re.compile(r"(?:[ \t]|\\\\?\r?\n|\\\\n)*")
_END: Final = re.compile(r"[\n;|&<>)]|\\n|$")
_PLAIN: Final = re.compile(r"""(?:[^\s"'`;|&<>\\)]|&(?!&|\s|$)|\\(?!\\*["'`]|[nrt\s]).|\\[ ])+""")
_QUOTE: Final = re.compile(r"""\\*["'`]""")


class Word(NamedTuple):
    """One argument of a command."""

    text: str
    start: int
    end: int


def words(text: str, at: int) -> list[Word]:
    """The words from ``at`` to the end of the command: a line's end, a pipe, a semicolon."""
    found: list[Word] = []
    while len(found) < _MOST_WORDS:
        blanks = _BLANKS.match(text, at)
        at = blanks.end() if blanks else at
        if at >= len(text) or _END.match(text, at):
            break
        word = _word(text, at)
        if word is None:
            break
        found.append(word)
        at = word.end + _quote_length(text, word.end)
    return found


def _word(text: str, at: int) -> Word | None:
    """One word; of one that is quoted as a whole, what is between the quotes."""
    if quote := _QUOTE.match(text, at):
        end = text.find(quote[0], quote.end(), quote.end() + 1_000)
        if end < 0:
            line = text.find("\n", quote.end())
            end = len(text) if line < 0 else line
        return Word(text[quote.end() : end], quote.end(), end)
    start = at
    while plain := _PLAIN.match(text, at):
        at = plain.end()
        if (quote := _QUOTE.match(text, at)) and text[at - 1] in "=:p@,":  # --password="…", -p'…'
            end = text.find(quote[0], quote.end(), quote.end() + 1_000)
            if end < 0:
                break
            at = end + len(quote[0])
    return Word(text[start:at], start, at) if at > start else None


def _quote_length(text: str, at: int) -> int:
    quote = _QUOTE.match(text, at)
    return len(quote[0]) if quote else 0
