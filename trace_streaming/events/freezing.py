"""Details as they were when emitted: a copy that JSON can carry, whatever was handed in, and never an error.

What it takes is bounded by the limits here, not by what is handed in: it stops where they are reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, cast

import orjson

from .copying import ROOM, copy_plain
from .interruptions import is_for_the_process
from .kinds import CIRCULAR, JSON, MAX_INTEGER, Freezer, exact_as_numbers, frozen_as
from .texts import Numbering, shortened

__all__ = ["JSON", "KEPT_CHARACTERS", "MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "encode", "freeze", "freeze_details"]

MAX_DEPTH: Final = 64
"""Levels of nesting; what lies deeper is replaced by a marker."""
MAX_VALUES: Final = 20_000
"""Values in one event's details; what comes after them is replaced by a marker."""
MAX_BYTES: Final = 240 * 1024
"""Encoded size of one event's details: an event must fit a frame of 256 KiB."""
KEPT_CHARACTERS: Final = 8 * 1024
"""How much is kept of a value that has to be shortened."""
MAX_CHARACTERS: Final = MAX_BYTES
"""Characters in one event's details; a text that goes beyond them is shortened."""
SHORT_CHARACTERS: Final = 256
RESERVE_CHARACTERS: Final = 16 * 1024
"""For texts of up to ``SHORT_CHARACTERS`` where ``MAX_CHARACTERS`` are used up: one huge text hides no small one."""

IDENTITY: Final = (
    "tool",
    "tool_name",
    "call_id",
    "parent_call_id",
    "approval_id",
    "duration_ms",
    "history_call_id",
    "history_count",
)
"""What is kept of details that cannot be shortened enough: it pairs the event with others."""

_TOO_DEEP: Final = f"[truncated: deeper than {MAX_DEPTH} levels]"
_PLAIN: Final = frozenset({int, float, bool, type(None)})
_MARKER_VALUES: Final = 20
"""What a marker counts for: where texts have no room any more, there is none for thousands of markers."""
_SMALL: Final = 100
"""Keys whose small values are kept of details that have too many."""


def freeze(value: object) -> JSON:
    """Copy a value into plain JSON types.

    NaN and infinities become null, keys become strings, and what JSON has no type for becomes text that does not
    change from run to run. Reads no database and asks nothing lazy: see :mod:`.kinds`. What contains itself is
    ``[circular]`` there, and from then on. Deeper than ``MAX_DEPTH``, more than ``MAX_VALUES`` or ``MAX_CHARACTERS`` is
    replaced by a marker that says how much is missing.
    """
    return _Freezer().freeze(value, 0)


def freeze_details(details: object) -> dict[str, JSON]:
    """Like :func:`freeze`, but always an object: nothing is ``{}``, and what is no mapping becomes its ``value``.

    Decimals and other exact numbers under the keys of durations (milliseconds; a ``timedelta`` is, too) and budgets
    become JSON's numbers, as these are reckoned with.
    """
    if details is None:
        return {}
    if type(details) is dict and (copied := copy_plain(details, [ROOM])) is not None:
        return cast("dict[str, JSON]", copied)
    freezer = _Freezer()
    frozen = freezer.freeze(details, 0)
    if not isinstance(frozen, dict):
        return {"value": frozen}
    if freezer.has_exact and isinstance(details, dict):
        exact_as_numbers(details, frozen)
    if freezer.left <= 0 and isinstance(details, dict):
        _keep_small(details, frozen)
    return frozen


def _keep_small(details: dict[Any, Any], frozen: dict[str, JSON]) -> None:
    """Of details that have too many values, the small ones of their own: what pairs an event with others."""
    for key in (*IDENTITY, *list(islice(dict.keys(details), _SMALL))):
        if type(key) is str and key not in frozen and key in details and _is_small(dict.get(details, key)):
            frozen[key] = freeze(dict.get(details, key))


def _is_small(value: object) -> bool:
    return type(value) in _PLAIN or (type(value) is str and len(value) <= SHORT_CHARACTERS)


def encode(frozen: JSON) -> str:
    """The JSON text of a frozen value."""
    return orjson.dumps(frozen).decode()


class _Freezer(Freezer):
    """One walk over one value, with the number of values it may still visit and characters it may still keep."""

    __slots__ = ("_characters_left", "_circles", "_circular", "_path", "_reserve", "has_exact", "left")

    def __init__(self) -> None:
        self.left = MAX_VALUES
        self.has_exact = False
        self._characters_left = MAX_CHARACTERS
        self._reserve = RESERVE_CHARACTERS
        self._path: set[int] = set()
        """Ids of the containers around the one that is walked."""
        self._circles = 0
        """How often something was found inside of itself."""
        self._circular: dict[int, Any] = {}
        """What has such inside, by its id: it is walked once, however many ways lead to it."""

    def freeze(self, value: Any, depth: int) -> JSON:  # noqa: PLR0911  the quick kinds first
        self.left -= 1
        kind = type(value)
        # The types of almost all values, before the dispatch that all others take.
        if kind is str:
            return self.text(value)
        if value is None or kind is bool or (kind is int and -MAX_INTEGER <= value <= MAX_INTEGER):
            return cast("JSON", value)
        try:
            if kind is dict:
                return self.mapping(value, depth, value.items(), len(value))
            if kind is list:
                return self.array(value, depth, len(value))
            if kind is float:
                return value if math.isfinite(value) else None
            return frozen_as(kind)(value, self, depth)
        except BaseException as error:  # whatever a stranger's __str__ or __getattr__ raises
            if is_for_the_process(error):
                raise
            return f"[unserialisable {kind.__name__}]"

    def mapping(self, value: Any, depth: int, items: Iterable[tuple[Any, Any]], size: int) -> JSON:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        me = id(value)
        path = self._path
        if me in path or me in self._circular:
            self._circles += 1
            return CIRCULAR
        circles = self._circles
        path.add(me)
        depth += 1
        frozen: dict[str, JSON] = {}
        another: Numbering | None = None
        freeze, text = self.freeze, self.text
        # Copied at once: another thread may change it.
        for key, item in list(items) if size <= self.left else list(islice(items, max(self.left, 0) + 1)):
            if self.left <= 0:
                frozen[Numbering().name("truncated", frozen)] = f"[truncated: {size - len(frozen)} more values]"
                break
            name = text(key) if type(key) is str else self._key(key)
            if name in frozen:  # of 1 and "1"
                another = another or Numbering()
                name = another.name(name, frozen)
            frozen[name] = freeze(item, depth)
        path.discard(me)
        if circles != self._circles:
            self._circular[me] = value
        return frozen

    def array(self, value: Any, depth: int, size: int) -> JSON:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        me = id(value)
        if me in self._path or me in self._circular:
            self._circles += 1
            return CIRCULAR
        circles = self._circles
        items = list(value) if size <= self.left else list(islice(value, max(self.left, 0) + 1))
        if size > _SMALL and _PLAIN.issuperset(map(type, items)):
            return self._plain(items, size)
        self._path.add(me)
        frozen: list[JSON] = []
        freeze = self.freeze
        depth += 1
        for item in items:
            if self.left <= 0:
                frozen.append(f"[truncated: {size - len(frozen)} more values]")
                break
            frozen.append(freeze(item, depth))
        self._path.discard(me)
        if circles != self._circles:
            self._circular[me] = value
        return frozen

    def text(self, text: str) -> str:
        length = len(text)
        if length > self._characters_left:
            text = self._too_long(text)
        else:
            self._characters_left -= length
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
        # Lone surrogates, which UTF-8 cannot carry, become U+FFFD.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _too_long(self, text: str) -> str:
        length = len(text)
        if length <= min(SHORT_CHARACTERS, self._reserve):
            self._reserve -= length
            return text
        if self._characters_left >= KEPT_CHARACTERS and length > KEPT_CHARACTERS:
            text = shortened(text, KEPT_CHARACTERS)
            self._characters_left -= min(len(text), KEPT_CHARACTERS)
            return text
        self.left -= _MARKER_VALUES
        return f"[truncated: {length} characters]"

    def _plain(self, items: list[Any], size: int) -> JSON:
        """Numbers, of which a list may have thousands."""
        kept = items[: max(self.left, 0)]
        self.left -= len(kept)
        frozen: list[JSON] = [
            item if item is None or -MAX_INTEGER <= item <= MAX_INTEGER else self.freeze(item, MAX_DEPTH)
            for item in kept
        ]
        if len(kept) < size:
            frozen.append(f"[truncated: {size - len(kept)} more values]")
        return frozen

    def _key(self, key: object) -> str:
        frozen = self.freeze(key, MAX_DEPTH)
        return frozen if isinstance(frozen, str) else encode(frozen)
