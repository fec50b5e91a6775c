"""Text that comes in pieces, redacted as it comes: what may still become a secret is held back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .assignments.documents import AROUND_CELL, RULE, SEPARATORS
from .judging import looks_chosen, looks_random
from .known.learning import learnt, noting_what_is_hidden
from .known.memory import without_known
from .known.values import KnownValues, masked_text
from .redactor import Redactor, redact
from .secret_keys import is_secret_key
from .spans import TOO_MUCH

MOST_CHARACTERS: Final = 1 << 20
"""Of a stream; what is behind them is not shown."""
_WINDOW: Final = 1_024
"""Characters behind a paragraph with which it is looked at again, each time that a piece comes."""
_CONTEXT: Final = 192
"""As far behind a word it is told whether that was a secret: ``493817 is your code``."""
_BEHIND_KEY: Final = 64
"""Characters behind a key that tell whether its value is one."""
_AROUND: Final = ".,;:!?=\"'`()[]{}<>*"
_WORD: Final = re.compile(r"\S+")
_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_NUMBER: Final = re.compile(
    r"[+(]{0,2}\d[\d\s.+\-()/]*\Z"
    r"|(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:\s?+[A-Z0-9]{1,4}+){0,8}+\s*\Z"  # of a bank's account
)
"""A number, or the first of several groups of it."""
_CODE: Final = re.compile(r"\W*(?:[A-Z]-)?\d{3}[ -]?\d{1,5}\W*|\W*[A-Z0-9]{3,4}-[A-Z0-9]{3,4}\W*")
_ARMOUR: Final = "-----BEGIN"
_DATA: Final = re.compile(r"(?:^|\\n)[ \-]*(?:stringD|d)ata:(?:[ \t\r]*$|\\)", re.MULTILINE)
_DATA_IN_JSON: Final = re.compile(r"""\\*["'](?:stringD|d)ata\\*["']\s*:\s*\{""")
_KIND: Final = re.compile(r"""\bkind\\*["']?\s*:\s*\\*["']?\w""")
_PIPED: Final = re.compile(r"(?:^\W{0,4}|[`$;&|(][ ]?)(?:echo|printf)[ ][^`]{0,400}\Z")
_SPELT: Final = re.compile(
    r"(?<![\w.+\-])[\w.+\-]{1,64} ?[\[(] ?at ?[\])] ?(?:[\w\-]{1,63}(?: ?(?:\.|[\[(] ?dot ?[\])]) ?[\w\-]{1,63}){0,5}"
    r"(?: ?(?:\.|[\[(] ?dot ?[\])]) ?)?)? ?\Z",
    re.IGNORECASE,
)
"""The beginning of an address that is spelt: ``ada [at] example [dot]``."""
_LONGEST_SPELT: Final = 512
_VARIABLE: Final = re.compile(r"(?:export )?([A-Z][A-Z0-9_]*)=")
_WORDS_BEHIND_KEY: Final = re.compile(
    r"""(?:phrase|mnemonic|passwor[dt])s?["'`*]{0,3}(?:[ \t][\w.@]{1,24}){0,4}[ \t]?[:=]"""
    r"""([a-z \t"'*\-]*|[ \t]*\[redacted:key\][ \t]*)\Z""",
    re.IGNORECASE,
)
"""More words may follow those that were hidden."""
_LONGEST_ROW: Final = 2_000
_HIDDEN_CELL: Final = "[redacted:key]"


class StreamedText:
    """One text in pieces.

    A secret that is cut in two is held back until it is whole, and hidden then. Where a later piece shows that
    something before it was one after all, nothing more is shown: the result follows as an event.

    :param trace_id: whose hidden values are hidden here, too
    :param redactor: a project's own is given whole lines
    """

    def __init__(self, trace_id: str, redactor: Redactor = redact) -> None:
        self._trace_id = trace_id
        self._redactor = redactor
        self._raw = ""
        """From the beginning of the window on."""
        self._taken = 0
        """Characters of all pieces."""
        self._shown = ""
        """What was shown of the window."""
        self.offset = 0
        """How many characters were shown, of the redacted text."""
        self._kept = 0
        """Up to where paragraphs stay in the window: rules look from them into what is behind."""
        self._passed = KnownValues()
        """What was hidden before the window."""
        self._is_over = False

    def add(self, pieces: str) -> str:
        """What can be shown now, behind all that was; empty where everything is held back."""
        self._taken += len(pieces)
        if self._is_over or self._taken > MOST_CHARACTERS:
            self._is_over = True
            return ""
        self._raw += pieces
        end = _word_end(self._raw)
        if self._redactor is not redact:
            end = self._raw.rfind("\n", 0, end) + 1
        redacted, _ = self._redacted(self._raw[:end])
        redacted = redacted[: _told_end(redacted)]
        if not redacted.startswith(self._shown) or TOO_MUCH in redacted:
            # It is shorter where nothing is safe that was: a word that was shown begins to look like a secret.
            self._is_over = not self._shown.startswith(redacted)
            return ""
        new = redacted[len(self._shown) :]
        self._shown = redacted
        self.offset += len(new)
        self._move_on()
        return new

    def _redacted(self, text: str, known: Sequence[str] = ()) -> tuple[str, list[str]]:
        """A text as it may be shown, and which values of it are not, wherever else they stand.

        :param known: values of what is before it
        """
        with noting_what_is_hidden() as hidden:
            redacted = self._redactor({"text": text})
        # Not remembered in the trace, nor for the next piece: half a text may seem to hold what the whole does not.
        values, here = list(learnt(hidden)), KnownValues()
        here.add([*known, *values])
        return masked_text(str(without_known(redacted, self._trace_id, [])["text"]), (self._passed, here)), values

    def _move_on(self) -> None:
        """Let go of paragraphs that are shown: no rule looks from one into the next, but for armoured keys."""
        ends = [end.end() for end in _PARAGRAPH.finditer(self._raw, self._kept, max(len(self._raw) - _WINDOW, 0))]
        if not ends or _ARMOUR in self._raw:
            return
        end = ends[-1]
        before, values = self._redacted(self._raw[:end])
        behind, _ = self._redacted(self._raw[end:], values)
        if self._shown == before + behind[: len(self._shown) - len(before)]:
            self._passed.add(values)
            self._raw, self._shown, self._kept = self._raw[end:], self._shown[len(before) :], 0
        else:
            self._kept = end


def _word_end(text: str) -> int:
    """The end of the last word that is whole, and that no number goes on from."""
    end = _blank_before(text, len(text))
    number = _NUMBER.search(text, max(0, end - _CONTEXT), end)
    return end if number is None else _blank_before(text, number.start())


def _blank_before(text: str, end: int) -> int:
    while end and not text[end - 1].isspace():
        end -= 1
    return end


def _told_end(redacted: str) -> int:
    """Up to where no word is left that would be hidden if what follows says that it was a secret."""
    line = redacted.rfind("\n") + 1
    end = min(_manifest_start(redacted), _open_value(redacted, line))
    for word in _WORD.finditer(redacted, max(line, len(redacted) - _CONTEXT), end):
        is_near_key = len(redacted) - word.end() < _BEHIND_KEY and is_secret_key(word[0].strip(_AROUND))
        if is_near_key or _may_be_secret(word[0]):
            return _word_end(redacted[: word.start()])
    return end


def _manifest_start(text: str) -> int:
    """Where the data of a manifest begins whose kind is not told yet; the text's end where there is none."""
    paragraph = max(text.rfind("\n\n"), text.rfind("\n---")) + 1
    item = text.rfind("apiVersion", paragraph)
    begin = max(item, paragraph)
    data = _DATA.search(text, begin) or (_DATA_IN_JSON.search(text, begin) if item >= 0 else None)
    return len(text) if data is None or _KIND.search(text, begin) else data.start()


def _open_value(text: str, line: int) -> int:
    """Where the part of the last line begins that its end has to tell of: a row, what is piped, words behind a key."""
    last = text[line:]
    if last.lstrip().startswith("|") or _is_below_secret(text, line):
        return line
    if piped := _PIPED.search(last):
        return line + piped.start()
    if spelt := _SPELT.search(last, max(0, len(last) - _LONGEST_SPELT)):
        return line + spelt.start()
    variable = _VARIABLE.match(last)
    if variable and is_secret_key(variable[1]):
        return line + variable.end()
    words = _WORDS_BEHIND_KEY.search(last)
    return line + words.start(1) if words else len(text)


def _is_below_secret(text: str, line: int) -> bool:
    """Whether a line stands in a table that has a column of secrets: below its heading, or another row."""
    above = text[max(0, line - _LONGEST_ROW) : max(0, line - 1)].splitlines()
    row = next((each for each in reversed(above) if not RULE.fullmatch(each)), "")
    return any(
        _HIDDEN_CELL in cell or is_secret_key(cell.strip(AROUND_CELL))
        for sign in SEPARATORS
        if sign in row
        for cell in row.split(sign)
    )


def _may_be_secret(word: str) -> bool:
    if "[redacted:" in word:
        return False
    plain = word.strip(_AROUND)
    return _CODE.fullmatch(word) is not None or looks_chosen(plain) or looks_random(plain)
