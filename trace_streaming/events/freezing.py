"""Details as they were when emitted: a copy that JSON can carry, whatever was handed in, and never an error."""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
import re
from collections import UserString, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time
from functools import singledispatchmethod
from itertools import islice
from typing import Any, Final, TypeAlias, cast

import orjson

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

MAX_DEPTH: Final = 64
"""Levels of nesting; what lies deeper is replaced by a marker."""
MAX_VALUES: Final = 50_000
"""Values in one event's details; what comes after them is replaced by a marker."""
MAX_BYTES: Final = 240 * 1024
"""Encoded size of one event's details: an event must fit a frame of 256 KiB."""
KEPT_CHARACTERS: Final = 8 * 1024
"""How much is kept of a string that has to be shortened."""
MAX_CHARACTERS: Final = 8 * MAX_BYTES
"""Characters in one event's details before they are encoded; the strings after them are replaced by a marker."""

_IDENTITY: Final = ("tool", "tool_name", "call_id", "parent_call_id", "approval_id", "duration_ms")
"""What is kept of details that cannot be shortened enough: it pairs the event with others."""
_TOO_DEEP: Final = f"[truncated: deeper than {MAX_DEPTH} levels]"
_TOO_LONG: Final = f"[truncated: more than {MAX_CHARACTERS} characters]"
_TOO_MANY: Final = f"[truncated: more than {MAX_VALUES} values]"
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+| id='[0-9]+'")
_EDGES: Final = " \n\t,;&\"'<>()[]{}|"
"""What no token, address or password is expected to go over."""
_OF_NUMBERS: Final = "0123456789 .-+()/"
"""Cards, accounts and telephones are written in groups."""
_MAX_INTEGER: Final = 2**63 - 1


def freeze(value: object) -> JSON:
    """Copy a value into plain JSON types.

    NaN and infinities become null, keys become strings, and what JSON has no type for becomes text that does not
    change from run to run. Reads no database: a model instance is named by its label and key, a query set by its
    model. Deeper than ``MAX_DEPTH`` or more than ``MAX_VALUES`` is replaced by a marker that says so.
    """
    return _Freezer().freeze(value, 0)


def freeze_details(details: object) -> dict[str, JSON]:
    """Like :func:`freeze`, but always an object: nothing is ``{}``, and what is no mapping becomes its ``value``."""
    if details is None:
        return {}
    frozen = freeze(details)
    return frozen if isinstance(frozen, dict) else {"value": frozen}


def encode(frozen: JSON) -> str:
    """The JSON text of a frozen value."""
    return orjson.dumps(frozen).decode()


def encode_details(details: dict[str, JSON]) -> tuple[dict[str, JSON], str]:
    """Encode frozen details, shortening the largest of their values first when they exceed ``MAX_BYTES``.

    Returns the details as they are encoded, and their text.
    """
    encoded = orjson.dumps(details)
    if len(encoded) <= MAX_BYTES:
        return details, encoded.decode()
    details = dict(details)
    sizes = {key: len(orjson.dumps(value)) for key, value in details.items()}
    excess = len(encoded) - MAX_BYTES
    for key in sorted(sizes, key=lambda key: sizes[key], reverse=True):
        details[key] = _shortened(details[key], sizes[key])
        excess -= sizes[key] - len(orjson.dumps(details[key]))
        if excess <= 0:
            return details, encode(details)
    identity = {key: details[key] for key in _IDENTITY if sizes.get(key, MAX_BYTES) <= KEPT_CHARACTERS}
    details = {**identity, "truncated": f"[truncated: {len(encoded)} bytes in {len(sizes)} keys]"}
    return details, encode(details)


def _shortened(value: JSON, size: int) -> JSON:
    if isinstance(value, str) and len(value) > KEPT_CHARACTERS:
        return _shortened_text(value)
    marker = f"[truncated: {size} bytes]"
    return marker if len(marker) < size else value


def _shortened_text(text: str) -> str:
    """The beginning, cut where a word ends, and not in a number: half a secret is none that a redactor knows."""
    kept = text[:KEPT_CHARACTERS]
    end = max(kept.rfind(edge, KEPT_CHARACTERS // 2) for edge in _EDGES) + 1
    kept = kept[:end].rstrip(_OF_NUMBERS) or kept
    return f"{kept}[truncated: {len(text) - len(kept)} more characters]"


class _Freezer:
    """One walk over one value, with the number of values it may still visit and characters it may still keep."""

    def __init__(self) -> None:
        self._left = MAX_VALUES
        self._characters_left = MAX_CHARACTERS

    def freeze(self, value: Any, depth: int) -> JSON:
        self._left -= 1
        kind = type(value)
        # The types of almost all values, before the dispatch that all others take.
        if kind is str:
            return self._text(value)
        if value is None or kind is bool or (kind is int and -_MAX_INTEGER <= value <= _MAX_INTEGER):
            return cast("JSON", value)
        try:
            if (quick := _QUICK.get(kind)) is not None:
                return quick(self, value, depth)
            if _is_unevaluated(value):
                return f"[unevaluated {kind.__name__}]"
            return self._other(value, depth)
        except Exception:  # whatever a stranger's __str__, __iter__ or __getattr__ raises
            return f"[unserialisable {kind.__name__}]"

    @singledispatchmethod
    def _other(self, value: Any, depth: int) -> JSON:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        if dataclasses.is_dataclass(value):
            return self._mapping({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, depth)
        if callable(getattr(type(value), "model_dump", None)):  # pydantic
            return self.freeze(value.model_dump(), depth + 1)
        return self._text(_object_text(value))

    @_other.register(int)
    def _int(self, value: int, depth: int) -> JSON:
        return int(value) if -_MAX_INTEGER <= value <= _MAX_INTEGER else str(int(value))

    @_other.register(float)
    def _float(self, value: float, depth: int) -> JSON:
        return float(value) if math.isfinite(value) else None

    @_other.register(str)
    def _str(self, value: str, depth: int) -> JSON:
        return self._text(str.__str__(value))

    @_other.register(UserString)
    def _user_string(self, value: UserString, depth: int) -> JSON:
        return self._text(value.data)

    @_other.register(bytes)
    @_other.register(bytearray)
    @_other.register(memoryview)
    def _bytes(self, value: bytes | bytearray | memoryview, depth: int) -> JSON:
        return self._text(_bytes_text(bytes(value)))

    @_other.register(enum.Enum)
    def _enum(self, value: enum.Enum, depth: int) -> JSON:
        return self.freeze(value.value, depth + 1)

    @_other.register(date)  # and datetime
    @_other.register(time)
    def _time(self, value: date | time, depth: int) -> JSON:
        return value.isoformat()

    @_other.register(BaseException)
    def _exception(self, value: BaseException, depth: int) -> JSON:
        return self._text(_ADDRESS.sub("", f"{type(value).__name__}: {value}"))

    @_other.register(type)
    def _type(self, value: type, depth: int) -> JSON:
        return f"{value.__module__}.{value.__qualname__}"

    @_other.register(Mapping)
    def _mapping(self, value: Mapping[Any, Any], depth: int) -> JSON:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        frozen: dict[str, JSON] = {}
        for key, item in list(islice(value.items(), self._left + 1)):
            if self._left <= 0:
                frozen["truncated"] = _TOO_MANY
                break
            frozen[self._text(key) if type(key) is str else self._key(key)] = self.freeze(item, depth + 1)
        return frozen

    @_other.register(Sequence)
    @_other.register(deque)
    def _items(self, value: Iterable[Any], depth: int) -> JSON:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        frozen: list[JSON] = []
        for item in list(islice(value, self._left + 1)):
            if self._left <= 0:
                frozen.append(_TOO_MANY)
                break
            frozen.append(self.freeze(item, depth + 1))
        return frozen

    @_other.register(AbstractSet)
    def _set(self, value: AbstractSet[Any], depth: int) -> JSON:
        frozen = self._items(value, depth)
        return sorted(frozen, key=encode) if isinstance(frozen, list) else frozen

    def _text(self, text: str) -> str:
        if len(text) > MAX_BYTES:
            text = _shortened_text(text)
        self._characters_left -= len(text)
        if self._characters_left < 0:
            return _TOO_LONG
        if text.isascii():
            return text
        # Lone surrogates, which UTF-8 cannot carry, become U+FFFD.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _key(self, key: object) -> str:
        frozen = self.freeze(key, MAX_DEPTH)
        return frozen if isinstance(frozen, str) else encode(frozen)


_QUICK: Final[dict[type, Callable[[_Freezer, Any, int], JSON]]] = {
    dict: _Freezer._mapping,
    list: _Freezer._items,
    float: _Freezer._float,
}


def _is_unevaluated(value: Any) -> bool:
    """Whether this is a Django ``LazyObject``, such as ``request.user``, whose evaluation may query the database."""
    return hasattr(type(value), "_setup") and type(vars(value).get("_wrapped")) is object


def _bytes_text(data: bytes) -> str:
    """UTF-8 text when it is that, otherwise base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _object_text(value: Any) -> str:
    kind = value.__class__  # of a lazy object, the class of what it wraps
    meta = getattr(kind, "_meta", None)  # Django's, public by its documentation
    if meta is not None and hasattr(meta, "label") and hasattr(value, "pk"):  # a Django model instance
        return f"{meta.label}:{value.pk}"
    if hasattr(kind, "as_manager"):  # a Django query set: its text would run the query
        return f"[{kind.__name__} of {value.model.__name__}]"
    return _ADDRESS.sub("", str(value))
