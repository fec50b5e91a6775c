"""How each kind of value is shown in details: as JSON's own types, by what is there already.

Whatever is lazy is named and not asked: a query set, a page of one, a generator, a mapping or sequence of a class that
is not known here. Their iteration may read a database, a file or the network, in the middle of an emit.
"""

from __future__ import annotations

import base64
import codecs
import dataclasses
import enum
import math
import numbers
from array import array
from collections import ChainMap, OrderedDict, UserDict, UserList, UserString, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import singledispatch
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import orjson

from .strangers import JSON, Freezer, frozen_stranger, without_addresses

__all__ = ["CIRCULAR", "JSON", "MAX_INTEGER", "Freezer", "exact_as_numbers", "frozen_as"]

MAX_INTEGER: Final = 2**63 - 1
CIRCULAR: Final = "[circular]"
KEPT_BYTES: Final = 6 * 1024
"""Of bytes that are more than ``WHOLE_BYTES``; in base64 they are 8 KiB."""
WHOLE_BYTES: Final = 128 * 1024
_MOST_BITS: Final = 14_000
"""Of an integer; Python itself writes no more than 4,300 digits."""
_EXACT_KEYS: Final = ("used", "spent", "total", "limit", "ceiling", "utilization", "duration_ms", "waited_ms")
"""What is reckoned with of details."""
_IN_MEMORY: Final = (
    *("collections", "os", "types", "email.", "http.", "requests.", "httpx.", "urllib3.", "multidict", "starlette."),
    *("werkzeug.", "frozendict", "immutabledict", "immutables", "pyrsistent", "django.http.", "rest_framework.utils"),
    *("django.utils.datastructures", "weakref"),
)
"""Modules whose mappings and sequences hold what they show."""


Frozen: TypeAlias = Callable[[Any, Freezer, int], JSON]

_frozen = singledispatch(frozen_stranger)


def frozen_as(kind: type) -> Frozen:
    """What freezes values of this kind; it may raise what a stranger's method raises."""
    return _frozen.dispatch(kind)


def exact_as_numbers(details: dict[Any, Any], frozen: dict[str, JSON]) -> None:
    """Make JSON's numbers of decimals and the like, where they are reckoned with; milliseconds of a ``timedelta``."""
    for key in _EXACT_KEYS:
        value = dict.get(details, key) if type(frozen.get(key)) is str else None
        if isinstance(value, timedelta) and key.endswith("_ms"):
            frozen[key] = value / timedelta(milliseconds=1)
        elif isinstance(value, Decimal | Fraction) and math.isfinite(number := _as_float(value)):
            frozen[key] = number


def _as_float(value: Decimal | Fraction) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan


@_frozen.register(int)
def _int(value: int, freezer: Freezer, depth: int) -> JSON:
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return int(value)
    return freezer.text(str(int(value))) if value.bit_length() <= _MOST_BITS else "[unserialisable int]"


@_frozen.register(numbers.Integral)
def _integral(value: Any, freezer: Freezer, depth: int) -> JSON:
    return _int(int(value), freezer, depth)


@_frozen.register(numbers.Real)
def _real(value: Any, freezer: Freezer, depth: int) -> JSON:
    number = float(value)
    return number if math.isfinite(number) else None


@_frozen.register(Decimal)
@_frozen.register(Fraction)
@_frozen.register(timedelta)
def _exact(value: Any, freezer: Freezer, depth: int) -> JSON:
    freezer.has_exact = True
    return freezer.text(str(value))


@_frozen.register(str)
def _str(value: str, freezer: Freezer, depth: int) -> JSON:
    return freezer.text(str.__str__(value))


@_frozen.register(UserString)
def _user_string(value: UserString, freezer: Freezer, depth: int) -> JSON:
    return freezer.text(str.__str__(value.data))


@_frozen.register(bytes)
@_frozen.register(bytearray)
def _bytes(value: bytes | bytearray, freezer: Freezer, depth: int) -> JSON:
    """UTF-8 text when it is that, otherwise base64."""
    rest = len(value) - KEPT_BYTES if len(value) > WHOLE_BYTES else 0
    kept = bytes(value[:KEPT_BYTES]) if rest else bytes(value)
    try:
        text, end = codecs.utf_8_decode(kept, "strict", not rest)
        rest += (len(kept) - end) if rest else 0
    except UnicodeDecodeError:
        text = base64.b64encode(kept).decode()
    return freezer.text(f"{text}[truncated: {rest} more bytes]" if rest else text)


@_frozen.register(memoryview)
def _memoryview(value: memoryview, freezer: Freezer, depth: int) -> JSON:
    if value.nbytes <= WHOLE_BYTES:
        return _bytes(value.tobytes(), freezer, depth)
    return f"[truncated: {value.nbytes} bytes]"


@_frozen.register(enum.Enum)
def _enum(value: enum.Enum, freezer: Freezer, depth: int) -> JSON:
    return freezer.freeze(value.value, depth + 1)


@_frozen.register(date)  # and datetime
@_frozen.register(time)
def _time(value: date | time, freezer: Freezer, depth: int) -> JSON:
    return value.isoformat()


@_frozen.register(BaseException)
def _exception(value: BaseException, freezer: Freezer, depth: int) -> JSON:
    return freezer.text(without_addresses(f"{type(value).__name__}: {value}"))


@_frozen.register(type)
def _type(value: type, freezer: Freezer, depth: int) -> JSON:
    return f"{value.__module__}.{value.__qualname__}"


@_frozen.register(dict)
def _dict(value: dict[Any, Any], freezer: Freezer, depth: int) -> JSON:
    """By the dictionary's own method: a class may overload it, or show one of several, as Django's ``QueryDict``."""
    return freezer.mapping(value, depth, dict.items(value), dict.__len__(value))


@_frozen.register(OrderedDict)
def _ordered(value: OrderedDict[Any, Any], freezer: Freezer, depth: int) -> JSON:
    return freezer.mapping(value, depth, OrderedDict.items(value), len(value))


@_frozen.register(UserDict)
@_frozen.register(UserList)
def _user_container(value: Any, freezer: Freezer, depth: int) -> JSON:
    return freezer.freeze(value.data, depth + 1)


@_frozen.register(MappingProxyType)
@_frozen.register(ChainMap)
def _known_mapping(value: Mapping[Any, Any], freezer: Freezer, depth: int) -> JSON:
    return freezer.mapping(value, depth, value.items(), len(value))


@_frozen.register(tuple)
def _tuple(value: tuple[Any, ...], freezer: Freezer, depth: int) -> JSON:
    """A named one with its names, by which it is redacted, too."""
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple) and len(names) == len(value):
        return freezer.mapping(value, depth, zip(names, tuple.__iter__(value), strict=True), len(value))
    return freezer.array(value, depth, len(value))


@_frozen.register(list)
@_frozen.register(deque)
@_frozen.register(range)
@_frozen.register(array)
def _known_items(value: Any, freezer: Freezer, depth: int) -> JSON:
    return freezer.array(value, depth, len(value))


@_frozen.register(set)
@_frozen.register(frozenset)
@_frozen.register(type({}.keys()))
@_frozen.register(type({}.items()))
def _set(value: Any, freezer: Freezer, depth: int) -> JSON:
    frozen = freezer.array(value, depth, len(value))
    if not isinstance(frozen, list):
        return frozen
    if frozen and isinstance(frozen[-1], str) and frozen[-1].startswith("[truncated: "):
        return [*_in_order(frozen[:-1]), frozen[-1]]
    return _in_order(frozen)


def _in_order(items: list[JSON]) -> list[JSON]:
    kinds = set(map(type, items))
    if len(kinds) == 1 and kinds <= {str, int}:
        return sorted(items)  # type: ignore[type-var]
    return sorted(items, key=orjson.dumps)


@_frozen.register(Mapping)
def _mapping(value: Mapping[Any, Any], freezer: Freezer, depth: int) -> JSON:
    if type(value).__module__.startswith(_IN_MEMORY):
        return freezer.mapping(value, depth, value.items(), len(value))
    return _unless_described(value, freezer, depth)


@_frozen.register(Sequence)
@_frozen.register(AbstractSet)
def _sequence(value: Any, freezer: Freezer, depth: int) -> JSON:
    if type(value).__module__.startswith(_IN_MEMORY):
        return freezer.array(value, depth, len(value))
    return _unless_described(value, freezer, depth)


def _unless_described(value: Any, freezer: Freezer, depth: int) -> JSON:
    """A stranger's container: by its fields, where it says which they are, otherwise by its name."""
    kind = type(value)
    if dataclasses.is_dataclass(value) or hasattr(kind, "__pydantic_fields__") or hasattr(kind, "__attrs_attrs__"):
        return frozen_stranger(value, freezer, depth)
    return f"[unevaluated {kind.__name__}]"
