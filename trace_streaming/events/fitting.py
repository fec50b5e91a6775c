"""Details that fit a frame: their JSON text, and what is shortened where it is too long."""

from __future__ import annotations

from typing import Final

import orjson

from .freezing import IDENTITY, KEPT_CHARACTERS, MAX_BYTES, encode
from .kinds import JSON
from .texts import Numbering, shortened

_MOST_SHORTENED: Final = 100
"""So many of the largest values are; of details that have more of them, the first keys are kept."""
_ROOM: Final = 100
"""Bytes of a marker, and of what is around it."""


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
    details = _first_keys({**{key: details[key] for key in identity}, **details}, MAX_BYTES)
    return details, encode(details)


def _shortened(value: JSON, size: int) -> JSON:
    if isinstance(value, str) and len(value) > KEPT_CHARACTERS:
        return shortened(value, KEPT_CHARACTERS)
    if size <= KEPT_CHARACTERS:
        return value
    if isinstance(value, list):
        return _first_items(value, KEPT_CHARACTERS)
    if isinstance(value, dict):
        return _first_keys(value, KEPT_CHARACTERS)
    return f"[truncated: {size} bytes]"


def _first_items(items: list[JSON], most: int) -> list[JSON]:
    kept: list[JSON] = []
    left = most - _ROOM
    for item in items:
        left -= len(orjson.dumps(item)) + 1
        if left < 0:
            break
        kept.append(item)
    return [*kept, f"[truncated: {len(items) - len(kept)} more values]"]


def _first_keys(details: dict[str, JSON], most: int) -> dict[str, JSON]:
    kept: dict[str, JSON] = {}
    left = most - _ROOM
    for key, value in details.items():
        left -= len(orjson.dumps({key: value}))
        if left < 0:
            break
        kept[key] = value
    kept[Numbering().name("truncated", kept)] = f"[truncated: {len(details) - len(kept)} more values]"
    return kept
