"""Manifests of Kubernetes' secrets in texts, as YAML and as JSON, also in JSON: all that they hold goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from trace_streaming.redaction.effort import WORDING, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import is_placeholder, quote_end
from trace_streaming.redaction.spans import Span

Range = tuple[int, int]

WORDS: Final = ("kind:", 'kind"', "kind'", "kind\\")
"""What tells the kind of a manifest, in YAML and in JSON."""
_KIND: Final = re.compile(
    r"""kind(?P<quote>\\*["'])?(?:\s|\\+n){0,32}:(?:\s|\\+n){0,32}\\*["']?secret(?:list)?(?!\w)""", re.IGNORECASE
)
_DOCUMENT_END: Final = re.compile(r"^---", re.MULTILINE)
_LINE_END: Final = re.compile(r"(\\+)n")
"""In a text in JSON."""
_DATA: Final = re.compile(
    r"^(?P<indent>[ ]*)(?:string)?[dD]ata:[ ]*(?:#[^\n]*)?\r?\n"
    r"(?P<lines>(?:(?P=indent)[ ]+[^\n]*(?:\n|\Z)|[ \t\r]*\n)+)",
    re.MULTILINE,
)
_ENTRY: Final = re.compile(
    r"""^(?P<indent>[ ]+)(?:\\*["'])?[\w.\-]+(?:\\*["'])?:[ \t]*(?:[|>][+\-]?\d?[ \t\r]*\n)?"""
    r"""(?P<value>[^\n]*(?:\n(?:(?P=indent)[ ]+[^\n]*|[ \t\r]*(?=\n)))*)""",
    re.MULTILINE,
)
"""A key, and what is indented more below it."""
_QUOTED: Final = re.compile(r"""(\\*["'])(.*)\1""", re.DOTALL)

_SIGN: Final = re.compile(r"""[{}\[\]]|\\*["']""")
_COLON: Final = re.compile(r"(?:\s|\\+[nr]){0,64}:(?:\s|\\+[nr]){0,64}")
_HOLDS: Final = frozenset({"data", "stringData"})


def find_in_manifests(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """The values of each secret, wherever in its manifest the kind stands."""
    done = 0
    is_read = False
    for start, _ in places:
        if start < done:
            continue
        if not effort.spend(WORDING, 1):
            yield Span(start, start, "")
            return
        if (kind := _KIND.match(text, start)) is None:
            continue
        if kind["quote"] is None:
            begin, done = _document(text, kind, done)
            yield from _in_yaml(text, begin, done, effort)
        elif not is_read:
            is_read = True
            yield from _in_json(text, 0, len(text), effort)


def _document(text: str, kind: re.Match[str], done: int) -> Range:
    """Where the document in YAML begins and ends; also of one that is a text in JSON, with escaped line ends."""
    begin = max(done, text.rfind("\n---", done, kind.start()) + 1)
    following = _DOCUMENT_END.search(text, kind.end())
    end = following.start() if following else len(text)
    line_end = _LINE_END.match(text, kind.end()) or _LINE_END.search(text, max(begin, kind.start() - 16), kind.start())
    if line_end:
        end = min(end, quote_end(text, kind.end(), "\\" * (len(line_end[1]) - 1) + '"'))
    return begin, end


def _in_yaml(text: str, begin: int, end: int, effort: Effort) -> Iterator[Span]:
    # In as many characters, so that places stay what they are.
    lines = _LINE_END.sub(lambda escaped: "\n".rjust(len(escaped[0])), text[begin:end])
    for data in _DATA.finditer(lines):
        for entry in _ENTRY.finditer(lines, *data.span("lines")):
            start = begin + entry.start("value")
            if not effort.spend(WORDING, 1):
                yield Span(start, start, "")
                return
            value = entry["value"].strip()
            if not value:
                continue
            start += entry["value"].index(value)
            if quoted := _QUOTED.fullmatch(value):
                value = quoted[2]
                start += len(quoted[1])
            if value and not is_placeholder(value):
                yield Span(start, start + len(value), "key")


@dataclass(slots=True)
class _Object:
    """An object or a list in JSON, while it is read."""

    owner: _Object | None
    """Whose data it is, or is in."""
    kind: str = ""
    values: list[Range] = field(default_factory=list)
    """Of its data."""
    inside: list[Range] = field(default_factory=list)
    """Those of the objects in it that are no secrets by themselves, as the items of a list are none."""

    def takes(self, key: str, text: str, place: Range) -> bool:
        """Whether a text is its kind, or in its data, and is noted."""
        if key == "kind":
            self.kind = text[slice(*place)]
        elif self.owner is not None:
            self.owner.values.append(place)
        return key == "kind" or self.owner is not None


def _in_json(text: str, at: int, end: int, effort: Effort) -> Iterator[Span]:
    """What secrets hold in the objects of a text, and of the texts in them."""
    stack: list[_Object] = []
    key = ""
    while sign := _SIGN.search(text, at, end):
        if not effort.spend(WORDING, 1):
            cut = min([sign.start(), *(start for each in stack for start, _ in (*each.values, *each.inside))])
            yield Span(cut, cut, "")
            return
        at = sign.end()
        if sign[0] in {"{", "["}:
            above = stack[-1] if stack else None
            stack.append(_Object(above if above is None or key in _HOLDS else above.owner))
        elif stack and sign[0] in {"}", "]"}:
            yield from _closed(stack, text)
        elif stack:
            found = at, min(quote_end(text, at, sign[0]), end)
            at = found[1] + len(sign[0])
            if colon := _COLON.match(text, at, end):
                key, at = text[slice(*found)], colon.end()
                continue
            if not stack[-1].takes(key, text, found) and text.find("ecret", *found) >= 0:
                yield from _in_json(text, *found, effort)
        key = ""
    while stack:
        yield from _closed(stack, text)


def _closed(stack: list[_Object], text: str) -> Iterator[Span]:
    """What the object that ends holds, if it is a secret; else it may be an item of a list of secrets."""
    closed = stack.pop()
    if closed.kind == "Secret":
        values = closed.values
    elif closed.kind == "SecretList":
        values = closed.values + closed.inside
    else:
        if stack and not closed.kind:
            stack[-1].inside += closed.values + closed.inside
        return
    yield from (Span(*value, "key") for value in values if not is_placeholder(text[slice(*value)]))
