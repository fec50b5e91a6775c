"""Where in a file something would be hidden, and by which rule: what went into the redactor and what came out."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from trace_streaming.events.freezing import JSON, freeze_details
from trace_streaming.redaction import Redactor, redact
from trace_streaming.redaction.known.learning import Hidden, learnt, noting_what_is_hidden
from trace_streaming.redaction.known.memory import project
from trace_streaming.redaction.known.values import KnownValues, masked
from trace_streaming.redaction.spans import Span

TOO_MUCH: Final = "too much to look at"
OWN: Final = "own redactor"
"""The rule of what a project's own redactor has changed without a marker."""
_MARKER: Final = re.compile(r"\[redacted:([a-z ]{2,30})\]")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TRIED: Final = 64
"""Places at which a hidden value may end: what stands behind it may stand in it, too."""
_PIECE: Final = 65_536
"""Characters of a text that are looked at together; fewer where that is too much for one event."""
_LEAST: Final = 1_024
_ENDS: Final = ("\n\n", "\n", " ")
"""Where a text is parted, the best first."""
_ARMOUR: Final = ("-----BEGIN ", "-----END ")


class Place(NamedTuple):
    """Something that would be hidden."""

    path: str
    """In JSON, as jq takes it; empty in a text."""
    line: int
    """In the text there, from 1; 0 where the whole value is hidden."""
    column: int
    """In characters, from 1."""
    rule: str
    secret: str


class RedactorFailedError(Exception):
    """Of a project's own; what it failed on is not told."""


class Check:
    """Of one file, as if it were one trace: what was hidden once is hidden from there on.

    :param redactor: the project's; what it raises becomes a :class:`RedactorFailedError`
    """

    def __init__(self, redactor: Redactor = redact) -> None:
        self._redactor = redactor
        self._known = KnownValues()

    def details(self, value: JSON, path: str = "") -> tuple[JSON, list[Place]]:
        """A value as an event's details would be shown, and what of it is hidden.

        :param path: of the value
        """
        frozen, redacted, hidden = self._redacted(value)
        shown = self._without_known(redacted, hidden)
        before, after = (frozen, shown) if isinstance(value, dict) else (frozen["value"], shown.get("value"))
        return after, [*_places(before, after, path, _texts(hidden))]

    def text(self, text: str) -> tuple[str, list[Place]]:
        """A text without what is hidden, and that; looked at in pieces, which end where a line does."""
        kept: list[str] = []
        places: list[Place] = []
        line = column = 1
        for piece in _pieces(text, _PIECE):
            for part, redacted, spans in self._parts(piece):
                kept.append(redacted)
                places += _with_lines(part, spans, line, column)
                line, column = _behind(part, line, column)
        return "".join(kept), places

    def _parts(self, text: str) -> Iterator[tuple[str, str, list[Span]]]:
        """The text and what becomes of it, in smaller pieces where it is too much for one event."""
        frozen, redacted, hidden = self._redacted({"text": text})
        if f"[redacted:{TOO_MUCH}]" in str(redacted.get("text")) and len(text) > _LEAST:
            for piece in _pieces(text, len(text) // 2 + 1):
                yield from self._parts(piece)
            return
        after = str(self._without_known(redacted, hidden).get("text"))
        yield text, after, hidden_spans(str(frozen["text"]), after, _texts(hidden))

    def _redacted(self, value: JSON) -> tuple[dict[str, JSON], dict[str, JSON], list[Hidden]]:
        """A value as details, what the redactor makes of them, and what that has hidden."""
        frozen = freeze_details(value)
        with noting_what_is_hidden() as hidden:
            try:
                redacted = self._redactor(copy.deepcopy(frozen))
            except Exception as error:
                raise RedactorFailedError(f"the redactor fails ({type(error).__name__})") from None
        return frozen, redacted if self._redactor is redact else freeze_details(dict(redacted)), hidden

    def _without_known(self, redacted: dict[str, JSON], hidden: list[Hidden]) -> dict[str, JSON]:
        self._known.add(learnt(hidden))
        return masked(redacted, (project, self._known))


def _texts(hidden: list[Hidden]) -> set[str]:
    return {text for text, _ in hidden if isinstance(text, str)}


def hidden_spans(before: str, after: str, noted: Collection[str] = ()) -> list[Span]:
    """Where in a text is what the markers of another stand for.

    :param noted: values that are known to be hidden; they tell how far one reaches where that is not sure
    """
    if before == after:
        return []
    if (found := _exact(before, after, noted)) is not None:
        return found
    lines, shown = before.split("\n"), after.split("\n")
    if len(lines) == len(shown) > 1:  # one without its colours, or its invisible signs
        at, found = 0, []
        for line, other in zip(lines, shown, strict=True):
            found += (
                span._replace(start=span.start + at, end=span.end + at) for span in hidden_spans(line, other, noted)
            )
            at += len(line) + 1
        return found
    return [Span(0, len(before), rule) for rule in dict.fromkeys(_MARKER.findall(after) or [OWN])]


def _exact(before: str, after: str, noted: Collection[str]) -> list[Span] | None:
    """None where the texts differ in more than markers."""
    first, *parts = _MARKER.split(after)
    if not before.startswith(first):
        return None
    markers = list(zip(parts[::2], parts[1::2], strict=True))
    found: list[Span] = []
    choices: list[Iterator[int]] = []
    at, tries = len(first), len(markers) + _TRIED * _TRIED
    while len(found) < len(markers):
        rule, literal = markers[len(found)]
        if rule == TOO_MUCH:
            found.append(Span(at, len(before), rule))
            break
        if len(choices) == len(found):
            is_last = len(found) == len(markers) - 1
            choices.append(_ends(before, at, f"[redacted:{rule}]", literal, noted, is_last=is_last))
        end, tries = next(choices[-1], -1), tries - 1
        if end >= 0:
            found.append(Span(at, end, rule))
            at = end + len(literal)
        elif len(choices) == 1 or tries < 0:
            return None
        else:  # the one before reaches further
            choices.pop()
            at = found.pop().start
    if not markers and at != len(before):
        return None
    return [span for span in found if before[span.start : span.end] != f"[redacted:{span.rule}]"]


def _ends(
    before: str, start: int, marker: str, literal: str, noted: Collection[str], *, is_last: bool
) -> Iterator[int]:
    """Where what a marker stands for may end, the likeliest first."""
    if is_last:
        end = len(before) - len(literal)
        if before.endswith(literal) and end > start:
            yield end
        return
    ends: list[int] = []
    if before.startswith(marker + literal, start):  # it was there
        ends.append(start + len(marker))
    end = before.find(literal, start + 1)
    while end >= 0 and len(ends) < _TRIED:
        ends.append(end)
        end = before.find(literal, end + 1)
    yield from sorted(
        dict.fromkeys(ends), key=lambda end: before[start:end] != marker and before[start:end] not in noted
    )


def _places(before: JSON, after: JSON, path: str, noted: Collection[str]) -> Iterator[Place]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _in_object(before, after, path, noted)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (item, other) in enumerate(zip(before, after, strict=True)):
            yield from _places(item, other, f"{path or '.'}[{index}]", noted)
    elif isinstance(before, str) and isinstance(after, str):
        for span in hidden_spans(before, after, noted):
            secret = before[span.start : span.end]
            line, column = (0, 0) if secret == before else _behind(before[: span.start], 1, 1)
            yield Place(path or ".", line, column, span.rule, secret)
    else:
        marker = _MARKER.fullmatch(after) if isinstance(after, str) else None
        yield Place(path or ".", 0, 0, marker[1] if marker else OWN, str(before))


def _in_object(before: dict[str, JSON], after: dict[str, JSON], path: str, noted: Collection[str]) -> Iterator[Place]:
    """Keys stay in their order; one that holds a secret has another name, and one that was too much is gone."""
    shown = iter(after.items())
    name, other = next(shown, (None, None))
    for key, value in before.items():
        spans = [] if name is None or name == key else hidden_spans(key, re.sub(r" \(\d+\)\Z", "", name))
        if name is None or (name != key and not (spans and f"[redacted:{spans[0].rule}]" in name)):
            yield Place(f"{path}{_step(key if key == name else '…')}", 0, 0, TOO_MUCH, str(value))
            continue
        inside = path + _step(name)
        for span in spans:
            line, column = _behind(key[: span.start], 1, 1)
            yield Place(inside, line, column, span.rule, key[span.start : span.end])
        yield from _places(value, other, inside, noted)
        name, other = next(shown, (None, None))


def _step(key: str) -> str:
    return f".{key}" if _NAME.fullmatch(key) else '["{}"]'.format(key.replace("\\", "\\\\").replace('"', '\\"'))


def _pieces(text: str, length: int) -> Iterator[str]:
    """A text in pieces of at most so many characters; no armour of a key is parted that fits into one."""
    at = 0
    while len(text) - at > length:
        until = at + length
        end = next(
            (found + len(sign) for sign in _ENDS if (found := text.rfind(sign, at + length // 2, until)) >= 0), until
        )
        begin = text.rfind(_ARMOUR[0], at, end)
        if begin > at and text.find(_ARMOUR[1], begin, end) < 0:
            end = begin
        yield text[at:end]
        at = end
    yield text[at:]


def _with_lines(text: str, spans: list[Span], line: int, column: int) -> Iterator[Place]:
    at = 0
    for span in spans:
        line, column = _behind(text[at : span.start], line, column)
        yield Place("", line, column, span.rule, text[span.start : span.end])
        at = span.start


def _behind(text: str, line: int, column: int) -> tuple[int, int]:
    """Where a text ends that begins there."""
    lines = text.count("\n")
    return line + lines, len(text) - text.rfind("\n") if lines else column + len(text)
