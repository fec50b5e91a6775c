"""A text without its secrets: the places where one may be are found in one pass, then each rule looks at its own."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from html import unescape
from typing import Final

from trace_streaming.events import CALL_ID_PATTERN, RANDOM_ID_PATTERN

from .assignments import assigned, documents, manifests
from .effort import Effort
from .formats import marked_values
from .formats.addresses import find_addresses
from .formats.personal_numbers import find_numbers
from .formats.tokens import find_tokens
from .hints import Hints, Place
from .judging import MARKER
from .secret_keys import plain_letters
from .spans import TOO_MUCH, Span, merged, without
from .wordings import commands, phrases

_SHORT: Final = 64
_MOST: Final = 8192
innocent_texts: Final[set[str]] = set()
"""Short texts in which nothing was found: most of a trace's come again and again. No secret is kept."""

_CAPITALS: Final = re.compile("[A-Z]+")
_COLOUR_WORDS: Final = ("\x1b[", "\\u001b[", "\\x1b[", "\\033[", "\\e[")
_ENTITY_WORDS: Final = ("&quot;", "&apos;", "&lt;", "&#34;", "&#39;", "&#60;", "&#x22;", "&#x27;", "&#x3c;")
_ENTITY: Final = re.compile(r"&(?:quot|apos|lt|gt|#34|#39|#60|#62|#x22|#x27|#x3c|#x3e);", re.IGNORECASE)
"""Signs of JSON, of code and of elements, as a page has them in its text."""
_DISGUISED: Final = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\uff01-\uff5e]|[\u0370-\u052f]")
"""Invisible signs, wide letters, and letters of alphabets in which some look like Latin ones."""
_CONTROLS: Final = re.compile(r"(?:\x1b|\\u001b|\\x1b|\\033|\\e)\[[0-9;?]*[A-Za-z]")

_RULES: Final = (
    (assigned.WORDS, assigned.find_assigned),
    (commands.WORDS, commands.find_in_commands),
    (marked_values.HEADER_WORDS, marked_values.find_headers),
    (marked_values.KEY_WORDS, marked_values.find_keys),
    (marked_values.URL_WORDS, marked_values.find_in_urls),
    (marked_values.QUERY_WORDS, marked_values.find_in_queries),
    (marked_values.LINK_WORDS, marked_values.find_in_links),
    (marked_values.HASH_WORDS, marked_values.find_hashes),
    (documents.WORDS, documents.find_in_documents),
    (manifests.WORDS, manifests.find_in_manifests),
)
"""What each begins with, in small letters, and what looks there."""
_COLOURS: Final = len(_RULES)
_ENTITIES: Final = _COLOURS + 1
_PHRASES: Final = _ENTITIES + 1
_HINTS: Final = Hints((*(words for words, _ in _RULES), _COLOUR_WORDS, _ENTITY_WORDS, *phrases.FAMILIES))


def redact_text(text: str, effort: Effort | None = None) -> str:
    """Replace what is secret in a text; the rest of it stays readable. What was redacted once is left as it is."""
    if text in innocent_texts:
        return text
    effort = effort or Effort()
    if effort.left > 0:  # as effort.begin, which is called for what is rare
        effort.left -= 2 + (len(text) >> 5)
    elif not effort.begin(len(text)):
        return TOO_MUCH
    places, cut = _HINTS.places(in_small_letters(text))
    spans, cut = _found(text, places, cut, effort)
    if places and places[_ENTITIES]:
        more, seen = _found_in_page(text, effort)
        spans += more
        cut = min((each for each in (cut, seen) if each is not None), default=None)
    redacted = _without(text, spans, cut, effort) if spans or cut is not None else text
    if cut is None and ((places and places[_COLOURS]) or (not text.isascii() and _DISGUISED.search(text))):
        return _as_it_reads(redacted, effort)
    if redacted is text:
        remember(text, innocent_texts)
    return redacted


def redact_id(text: str, effort: Effort) -> str:
    """Like :func:`redact_text`; but what has the form of an id is no number of a person, whatever its digits."""
    if RANDOM_ID_PATTERN.fullmatch(text):
        return text
    if CALL_ID_PATTERN.fullmatch(text) is None or not effort.begin(len(text)):
        return redact_text(text, effort)
    spans, cut = _found(text, *_HINTS.places(in_small_letters(text)), effort, has_numbers=False)
    return _without(text, spans, cut, effort) if spans or cut is not None else text


def _without(text: str, spans: list[Span], cut: int | None, effort: Effort) -> str:
    kept = merged(spans)
    for span in kept:
        effort.hide(text[span.start : span.end], span.rule)
    return without(text, kept, cut)


def _found(
    text: str, places: list[list[Place]] | None, cut: int | None, effort: Effort, *, has_numbers: bool = True
) -> tuple[list[Span], int | None]:
    """What must not be seen, and from where on the text was not looked at."""
    found: list[Span] = []
    if places is not None:
        for (_, find), here in zip(_RULES, places, strict=False):
            if here:
                found += find(text, here, effort)
        if any(phrased := places[_PHRASES:]):
            found += phrases.find_phrases(text, phrased, effort)
    if "//" in text and "@" in text:
        found += marked_values.find_in_shares(text, effort)
    found += find_tokens(text, effort)
    if "@" in text or "%40" in text or "at]" in text or "at)" in text or "&#" in text or "\uff20" in text:
        # Of a URL's password with its host, which looks like an address, the password goes.
        found += [span for span in find_addresses(text, effort) if not any(map(span.overlaps, found))]
    if has_numbers:
        found += find_numbers(text, effort)
    ends = [span.start for span in found if not span.rule]
    if ends:
        cut = min(ends) if cut is None else min(cut, *ends)
        found = [span for span in found if span.rule]
    return (_without_those_of_markers(text, found) if found and "[redacted:" in text else found), cut


def _found_in_page(text: str, effort: Effort) -> tuple[list[Span], int | None]:
    """What is found where entities are read as the signs that they stand for, at its places in the text itself."""
    if not effort.begin(len(text)):
        return [], 0
    pieces: list[str] = []
    behind, shifts = [0], [0]
    at = length = 0
    for entity in _ENTITY.finditer(text):
        pieces += (text[at : entity.start()], unescape(entity[0]))
        length += entity.start() - at + 1
        at = entity.end()
        behind.append(length)
        shifts.append(at - length)
    plain = "".join((*pieces, text[at:]))

    def place(of_plain: int) -> int:
        return of_plain + shifts[bisect_right(behind, of_plain) - 1]

    spans, cut = _found(plain, *_HINTS.places(in_small_letters(plain)), effort, has_numbers=False)
    return [Span(place(span.start), place(span.end), span.rule) for span in spans], None if cut is None else place(cut)


def _without_those_of_markers(text: str, found: list[Span]) -> list[Span]:
    """The spans that are no marker that was there before, and go through none."""
    markers = [marker.span() for marker in MARKER.finditer(text)]
    starts, ends = [start for start, _ in markers], [end for _, end in markers]
    kept = []
    for span in found:
        first, last = bisect_right(ends, span.start), bisect_left(starts, span.end) - 1
        is_around = first <= last and span.start <= starts[first] and ends[last] <= span.end
        if first > last or (is_around and span[:2] != markers[first]):
            kept.append(span)
    return kept


def _as_it_reads(text: str, effort: Effort) -> str:
    """A text without what was found as it is written; and without the signs that nobody sees, if that shows more."""
    plain = plain_letters(_CONTROLS.sub("", text))
    if plain == text or len(plain) > len(text):
        return text
    spans, cut = _found(plain, *_HINTS.places(in_small_letters(plain)), effort)
    return _without(plain, spans, cut, effort) if spans or cut is not None else text


def in_small_letters(text: str) -> str:
    """As long as the text is; some capitals outside of ASCII have longer small letters, and stay."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else _CAPITALS.sub(lambda capitals: capitals[0].lower(), text)


def remember(text: str, innocent: set[str]) -> None:
    """Keep a short text in which nothing was found, among so many that are kept."""
    if len(text) <= _SHORT:
        if len(innocent) >= _MOST:
            innocent.clear()
        innocent.add(text)
