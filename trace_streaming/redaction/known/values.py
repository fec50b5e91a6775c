"""Values that are hidden wherever they stand: whole, in pieces, encoded, escaped."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from threading import RLock
from typing import Final, cast

from trace_streaming.events.kinds import JSON
from trace_streaming.events.texts import Numbering
from trace_streaming.redaction.judging import MARKER as ANY_MARKER
from trace_streaming.redaction.spans import Span, merged, without

from .automaton import RULE, Automaton

MARKER: Final = f"[redacted:{RULE}]"
MOST_VALUES: Final = 256
"""Of a trace; behind these, the one that was named longest ago is forgotten."""
MOST_CHARACTERS: Final = 65_536
"""Of all values of a trace together."""
_RECENT: Final = 8
"""Values for which the smaller automaton is built again; more of them go into the larger one."""

_BREAKS: Final = re.compile(
    r"(?:\x1b|\\{1,4}u001b|\\{1,4}x1b|\\{1,4}033)\[[0-9;?]*[A-Za-z]"
    r"|=?(?:\\{0,4}\r|\\{1,4}r)?\\{0,4}(?:\n|(?<=\\)n)[ \t]*"
    r"""|\\{0,4}["'] ?\+? ?\\{0,4}["']|[\u00ad\u200b-\u200f\u2060\ufeff]"""
)
"""What parts a text that is shown in colours, or in lines."""


_COLOURS: Final = re.compile(r"(?:\x1b|\\+(?:u001b|x1b|033))\[[0-9;?]*[A-Za-z]")
_CONCATENATIONS: Final = ("' '", '" "', '\\" \\"', "' + '", '" + "', '\\" + \\"', "'+'")
_CONCATENATED: Final = re.compile(r"""\\*["'] ?\+? ?\\*["']""")
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


class KnownValues:
    """The values of one trace, or of the project."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._lock = RLock()  # a finalizer, or a signal's handler, may emit while it is held
        self._values: OrderedDict[str, None] = OrderedDict()
        self._characters = 0
        self._recent: list[str] = []
        self._additions = 0
        self._automata: tuple[Automaton, ...] = ()

    def renew_lock(self) -> None:
        """In a forked child."""
        self._lock = RLock()

    def forget(self, values: Iterable[str]) -> None:
        """Hide values no more."""
        with self._lock:
            for value in values:
                if value in self._values:
                    del self._values[value]
                    self._characters -= len(value)
            self._recent = []
            self._automata = (Automaton(self._values),) if self._values else ()

    def __contains__(self, value: str) -> bool:
        return value in self._values

    @property
    def values(self) -> tuple[str, ...]:
        """Those that are hidden, oldest first."""
        return tuple(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, values: Iterable[str]) -> list[str]:
        """Values to hide from now on; returns those that are new."""
        with self._lock:
            joined = ("".join(map(str.strip, value.splitlines())) for value in values)
            new = [value for value in dict.fromkeys(joined) if value not in self._values]
            if new:
                self._values.update(dict.fromkeys(new))
                self._characters += sum(map(len, new))
                self._recent += new
                self._additions += 1
                self._build()
            return new

    def _build(self) -> None:
        built = 0
        while built != self._additions:  # what emits meanwhile in this thread may add others
            built = self._additions
            if not self._recent or len(self._recent) > _RECENT:
                while len(self._values) > self._most or self._characters > MOST_CHARACTERS:
                    self._characters -= len(self._values.popitem(last=False)[0])
                self._recent = []
                self._automata = (Automaton(self._values),)
            else:
                recent = Automaton(self._recent)
                has_old = len(self._values) > len(self._recent)
                self._automata = (self._automata[0], recent) if has_old else (recent,)

    def is_in(self, text: str) -> bool:
        """Whether one of the values is in a text, or would be without the signs that part it."""
        if not self._automata:
            return False
        # What parts a text may be of the value itself: it is looked for with and without, at once.
        joined = _joined_quickly(text)
        if joined != text:
            text = f"{text}\n{joined}"  # no value has two lines
        if ("' " in joined or '" ' in joined or "'+" in joined) and any(sign in joined for sign in _CONCATENATIONS):
            text = f"{text}\n{_CONCATENATED.sub('', joined)}"
        for automaton in self._automata:  # noqa: SIM110  a generator takes a quarter longer
            if automaton.is_in(text):
                return True
        return False

    def spans(self, text: str) -> list[Span]:
        """Where the values are in a text, each place once."""
        found = [span for automaton in self._automata for span in automaton.spans(text)]
        joined, places = _joined(text)
        if places:
            found += (
                Span(_place(places, span.start), _place(places, span.end - 1) + 1, RULE)
                for automaton in self._automata
                for span in automaton.spans(joined)
            )
        markers = [marker.span() for marker in ANY_MARKER.finditer(text)] if found and "[redacted:" in text else []
        return merged(
            span for span in found if not any(start < span.end and span.start < end for start, end in markers)
        )


def _joined_quickly(text: str) -> str:
    """A text, or JSON, without what parts it: each of that has a sign of its own, and is removed only where it is."""
    if "\x1b[" in text or "1b[" in text or "033[" in text:
        text = _COLOURS.sub("", text)
    if "\\n" in text or "\\r" in text:
        text = "".join(map(str.lstrip, _unescaped_ends(text).split("\\n")))
    if "\n" in text:
        text = "".join(map(str.lstrip, text.replace("\r", "").replace("\\\n", "\n").replace("=\n", "\n").split("\n")))
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _unescaped_ends(text: str) -> str:
    r"""With ``\n`` for each line's end, however often it was escaped, or a backslash stands before it."""
    text = text.replace("\\r", "").replace("=\\n", "\\n")
    while "\\\\n" in text:
        text = text.replace("\\\\n", "\\n")
    return text


def _joined(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without what parts it, and where each of its pieces begins: in it, and in the text as it is."""
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    length = at = 0
    for gap in _BREAKS.finditer(text):
        if gap.start() > at or not places:
            places.append((length, at))
            pieces.append(text[at : gap.start()])
            length += gap.start() - at
        at = gap.end()
    if not places:
        return text, []
    places.append((length, at))
    pieces.append(text[at:])
    return "".join(pieces), places


def _place(places: list[tuple[int, int]], at: int) -> int:
    """Where a place of the joined text is in the text as it is."""
    joined, whole = places[bisect_right(places, (at, 1 << 62)) - 1]
    return whole + at - joined


def masked(details: dict[str, JSON], known: tuple[KnownValues, ...]) -> dict[str, JSON]:
    """Details without the values, in texts, in keys and as numbers; lists and objects inside are changed in place."""
    return cast("dict[str, JSON]", _masked(details, known))


def _masked(value: JSON, known: tuple[KnownValues, ...]) -> JSON:
    if isinstance(value, str):
        return masked_text(value, known)
    if isinstance(value, dict):
        another = Numbering()
        kept: dict[str, JSON] = {}
        for key, inside in value.items():
            name = masked_text(key, known)
            kept[name if name == key and name not in kept else another.name(name, kept)] = _masked(inside, known)
        return kept
    if isinstance(value, list):
        return [_masked(item, known) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and any(str(value) in each for each in known):
        return MARKER
    return value


def masked_text(text: str, known: tuple[KnownValues, ...]) -> str:
    """A text without the values."""
    for values in known:
        if values.is_in(text) and (spans := values.spans(text)):
            text = without(text, spans)
    return text
