"""What a JSON column of any database takes: PostgreSQL's jsonb refuses NUL, even escaped."""

from __future__ import annotations

import json
from typing import Any


def storable(text: str) -> dict[str, Any]:
    """The JSON object of a text."""
    stored: dict[str, Any] = json.loads(text)
    return without_nul(stored) if "\\u0000" in text else stored


def without_nul(value: Any) -> Any:
    """The same with U+FFFD for each NUL; a text that only writes about its escape stays as it is."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    return value
