"""What a model was sent, whole: each call holds what is new, and names the earlier one that has what came before.

The twin in JavaScript is ``static/trace_streaming/client/conversations.js``; both run one table of cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .encoding import possible_ms
from .pairs import id_text

Event = Mapping[str, Any]

INPUT: Final = "gen_ai.input.messages"
MISSING: Final = "missing"
"""The role of what stands for messages that are not there; ``count`` says how many they are."""


class Conversations:
    """The messages of a trace's model calls; fed with its events, in any order."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._told: dict[str, Mapping[str, Any]] = {}
        """Details by call: the first that hold messages."""
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Take an event; those that hold no messages are let go."""
        details = event["details"]
        call_id = id_text(details.get("call_id"))
        if call_id is not None and INPUT in details:
            self._told.setdefault(call_id, details)

    def messages(self, call_id: str) -> list[Any]:
        """All that the call has sent, oldest first; where some are not known, one with the role ``missing``.

        What is not stored any more is missing; so is what would go round in a circle.
        """
        calls: list[Mapping[str, Any]] = []
        missing = 0
        seen: set[str] = set()
        asked: str | None = call_id
        while asked is not None:
            details = self._told.get(asked)
            if details is None or asked in seen:
                missing = _count(calls[-1]) if calls else 0
                break
            seen.add(asked)
            calls.append(details)
            asked = id_text(details.get("history_call_id"))
        messages = [_missing(missing)] if missing else []
        for number, details in enumerate(reversed(calls)):
            if number or missing:
                messages = _first(messages, _count(details))
            told = details[INPUT]
            messages += told if isinstance(told, list) else [told]
        return messages


def _first(messages: list[Any], count: int) -> list[Any]:
    """The first so many; one that stands for others counts as them."""
    kept: list[Any] = []
    for message in messages:
        if count <= 0:
            break
        size = _size(message)
        kept.append(message if size <= count else _missing(count))
        count -= size
    return [*kept, _missing(count)] if count > 0 else kept


def _size(message: Any) -> int:
    is_missing = isinstance(message, Mapping) and message.get("role") == MISSING
    return _whole(message.get("count")) if is_missing else 1


def _count(details: Mapping[str, Any]) -> int:
    return _whole(details.get("history_count"))


def _whole(value: Any) -> int:
    return int(possible_ms(value) or 0)


def _missing(count: int) -> dict[str, Any]:
    return {"role": MISSING, "count": count, "parts": []}
