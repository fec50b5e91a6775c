"""What a human decides of what an agent asks: plain data, for programs without Django, too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from trace_streaming.events import TraceEvent
from trace_streaming.events.freezing import JSON, freeze_details

DECISIONS: Final = ("approved", "rejected", "edited", "responded")
ALLOWED: Final = ("approved", "rejected", "edited")
"""Where an agent says nothing else: it has to know what to do with a text."""
TIMEOUT: Final = "timeout"
WITHDRAWN: Final = "withdrawn"
"""By whoever has asked; no human's decision."""
RISK_LEVELS: Final = ("low", "medium", "high", "critical")
MAX_ACTION_LENGTH: Final = 200
MAX_ID_LENGTH: Final = 64
MARKERS: Final = ("[redacted:", "[truncated: ")
"""What stands for something that is not shown begins with one of these."""
_LEFT_OUT: Final = re.compile(r"\[truncated: \d+ more values\]")
"""At the end of a list or of an object that is not shown as a whole."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of an approval."""

    approval_id: str
    decision: str
    """``approved``, ``rejected``, ``edited`` or ``responded``; ``timeout``: nobody was in time; or ``withdrawn``."""
    arguments: Mapping[str, Any]
    """With what to go on: the arguments that were asked for, or, where a human edited them, his."""
    comment: str = ""
    """What the human says of it; with ``responded``, his answer, in place of what was asked for."""
    decided_by: str = ""
    """User name; empty for a timeout."""
    decided_at: datetime | None = None
    event: TraceEvent | None = field(default=None, repr=False)
    """What was recorded of it."""

    @property
    def is_approved(self) -> bool:
        """Whether to go on, with ``arguments``. A timeout is a no, and so is an answer in place of it."""
        return self.decision in ("approved", "edited")


def with_originals(edited: JSON, shown: JSON, original: Any) -> Any:
    """What a human has edited, with what he was not shown: where he left a redacted value as it was, it is put back.

    :param original: as the agent has it, whatever its types and its size; what no JSON is like is taken as it is shown
    """
    if _is_same(edited, shown):
        return original
    if not isinstance(original, Mapping | list | tuple):
        original = freeze_details({"value": original})["value"]
    if isinstance(edited, dict) and isinstance(shown, dict) and isinstance(original, Mapping):
        both = shown.keys() & original.keys()
        return {k: with_originals(v, shown[k], original[k]) if k in both else v for k, v in edited.items()}
    if (
        isinstance(edited, list)
        and isinstance(shown, list)
        and isinstance(original, list | tuple)
        and len(edited) == len(shown) == len(original)
    ):
        return [with_originals(*each) for each in zip(edited, shown, original, strict=True)]
    return edited


def is_marked(text: str) -> bool:
    """Whether something of it is not shown."""
    return any(marker in text for marker in MARKERS)


def moved_marker(edited: JSON, shown: JSON) -> str | None:
    """What stands for something that is not shown, and is not where it was; None where all of them are.

    Nobody knows what to put back. Of a list whose length has changed nobody can say which of its redacted values is
    which; and of what is shown in part, all that was changed is the rest.
    """
    if _is_same(edited, shown):
        return None
    if isinstance(edited, str):
        return edited if is_marked(edited) else None
    if isinstance(edited, dict | list):
        parts = edited.values() if isinstance(edited, dict) else edited
        left_out = (part for part in parts if isinstance(part, str) and _LEFT_OUT.fullmatch(part))
        if (marker := next(left_out, None)) is not None:
            return marker
    if isinstance(edited, dict):
        pairs = ((value, shown.get(key) if isinstance(shown, dict) else None) for key, value in edited.items())
    elif isinstance(edited, list):
        has_same_length = isinstance(shown, list) and len(shown) == len(edited)
        pairs = ((value, shown[i] if has_same_length else None) for i, value in enumerate(edited))  # type: ignore[index]
    else:
        return None
    return next((marker for pair in pairs if (marker := moved_marker(*pair)) is not None), None)


def _is_same(one: JSON, other: JSON) -> bool:
    """As JSON: 1, 1.0 and true are three values."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
