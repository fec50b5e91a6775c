"""Texts of strangers, as humans are to read them."""

from __future__ import annotations

import re
from typing import Final

_REORDERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


def in_order(text: str) -> str:
    """The same text, in which what would have it shown in another order is seen, as on the app's own pages."""
    return _REORDERING.sub(lambda sign: f"\\u{ord(sign[0]):x}", text)
