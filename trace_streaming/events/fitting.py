"""Details that fit a frame: their JSON text, and what is shortened where it is too long."""

from __future__ import annotations

from typing import Final

import orjson

from .freezing import IDENTITY, KEPT_CHARACTERS, MAX_BYTES, SHORT_CHARACTERS, encode
from .kinds import JSON
from .texts import Numbering, shortened, without_marker

_MOST_SHORTENED: Final = 100
"""So many of the largest values are; of details that have more of them, the first keys are kept."""
_TRUNCATED: Final = "truncated"
"""The key of a marker."""
_ROOM: Final = 100
"""Bytes of a marker, and of what is around it."""
_WORTH: Final = 512
"""Bytes in which the beginning of a value still says something."""
_LEVELS: Final = 8
"""So deep it is looked for what is large: each level is encoded once more."""


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
    for key in sorted(sizes, key=lambda key: sizes[key], reverse=True)[:_MOST_SHORTENED]:
        details[key] = _shortened(details[key], sizes[key])
        excess -= sizes[key] - len(orjson.dumps(details[key]))
        if excess <= 0:
            return details, encode(details)
    identity = [key for key in IDENTITY if sizes.get(key, MAX_BYTES) <= KEPT_CHARACTERS]
    details = _first_keys({**{key: details[key] for key in identity}, **details}, MAX_BYTES, _LEVELS)
    return details, encode(details)


def _shortened(value: JSON, size: int) -> JSON:
    if isinstance(value, str) and len(value) > KEPT_CHARACTERS:
        return shortened(value, KEPT_CHARACTERS)
    return _beginning(value, size, KEPT_CHARACTERS, _LEVELS)


def _beginning(value: JSON, size: int, most: int, levels: int) -> JSON:
    """What of a value of so many bytes fits into ``most``, which are at least ``_WORTH``, and how much is missing."""
    if size <= most:
        return value
    if levels == 0:
        return f"[truncated: {size} bytes]"
    if isinstance(value, list):
        return _first_items(value, most, levels - 1)
    if isinstance(value, dict):
        return _first_keys(value, most, levels - 1)
    length = most - _ROOM
    while len(orjson.dumps(text := shortened(str(value), length))) > most:
        length = length * most // (len(orjson.dumps(text)) + 1)  # what is no ASCII takes several bytes, "\n" two
    return text


def _first_items(items: list[JSON], most: int, levels: int) -> list[JSON]:
    if missing := _missing(items[-1]):
        items = items[:-1]
    kept: list[JSON] = []
    left = most - _ROOM
    for item in items:
        size = len(orjson.dumps(item)) + 1
        if size > left:
            if left >= _WORTH:
                kept.append(_beginning(item, size, left, levels))
            break
        left -= size
        kept.append(item)
    missing += len(items) - len(kept)
    return [*kept, f"[truncated: {missing} more values]"] if missing else kept


def _first_keys(details: dict[str, JSON], most: int, levels: int) -> dict[str, JSON]:
    """The small ones, wherever they stand, and of the others those that come first."""
    sizes = {key: len(orjson.dumps({key: value})) for key, value in details.items()}
    if missing := _missing(details.get(_TRUNCATED)):
        del sizes[_TRUNCATED]
    fitting: dict[str, JSON] = {}
    left = most - _ROOM
    for key in sorted(sizes, key=lambda key: sizes[key] > SHORT_CHARACTERS and key not in IDENTITY):
        size, value = sizes[key], details[key]
        if size > left:
            around = len(orjson.dumps({key: 0}))
            if left - around < _WORTH:
                break
            value = _beginning(value, size - around, left - around, levels)
            size = len(orjson.dumps({key: value}))
        left -= size
        fitting[key] = value
    kept = {key: fitting[key] for key in details if key in fitting}
    if missing := missing + len(sizes) - len(kept):
        kept[Numbering().name(_TRUNCATED, kept)] = f"[truncated: {missing} more values]"
    return kept


def _missing(last: JSON) -> int:
    """How many values freezing has cut off, where this is what it says of it."""
    rest, missing = without_marker(last) if isinstance(last, str) else ("", 0)
    return 0 if rest else missing
