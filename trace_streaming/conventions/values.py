"""Values of attributes: what is JSON in a text, and lists that are spread over many keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

Attributes = Mapping[str, Any]

_MOST_DIGITS: Final = 5
"""Of the place of an item in a list that is spread over keys."""
_DEEPEST: Final = 16
"""Parts of such a key."""


def parsed(value: Any) -> Any:
    """What a text holds, if that is an object or a list of JSON; anything else as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return list(value) if isinstance(value, tuple) else value


def unquoted(value: Any) -> Any:
    """The same, and the text of a text in quotes."""
    if isinstance(value, str) and value[:1] == '"':
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return parsed(value)


def first(attributes: Attributes, *keys: str) -> Any:
    """The value of the first of these keys that has one, and not an empty text; else None."""
    for key in keys:  # a generator takes twice as long; each span is asked a dozen times
        value = attributes.get(key)
        if value is not None and value != "":
            return value
    return None


def text(attributes: Attributes, *keys: str) -> str:
    """The first of these that is a text, and not empty."""
    for key in keys:
        value = attributes.get(key)
        if value and isinstance(value, str):
            return value
    return ""


def listed(value: Any) -> list[Any]:
    """The items of a list; none of what is no list."""
    return list(value) if isinstance(value, list | tuple) else []


def known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {key: value for key, value in told.items() if value is not None}


def spread(attributes: Attributes, prefix: str) -> list[Any]:
    """The list that keys like ``PREFIX.0.role`` hold, with objects and lists inside; other keys are none of it."""
    found: dict[str, Any] = {}
    start = f"{prefix}."
    for key, value in attributes.items():
        if key.startswith(start):
            *path, last = key[len(start) :].split(".", _DEEPEST)
            place = found
            for part in path:
                inner = place.get(part)
                if not isinstance(inner, dict):
                    inner = place[part] = {}
                place = inner
            place[last] = value
    return [_with_lists(found[key]) for key in sorted(filter(_is_place, found), key=int)]


def _with_lists(value: Any) -> Any:
    """Objects whose keys are numbers become lists, in their order."""
    if not isinstance(value, dict):
        return value
    if value and all(map(_is_place, value)):
        return [_with_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _with_lists(item) for key, item in value.items()}


def _is_place(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) <= _MOST_DIGITS
