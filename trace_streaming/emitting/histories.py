"""What a model was sent already is not stored again: a call holds what is new, and says what came before.

Agents send a model all of their conversation with every call. ``history_call_id`` names an earlier call of the trace
that had the same beginning, ``history_count`` how many of its messages it is;
:mod:`trace_streaming.events.conversations` puts them together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import orjson

from trace_streaming.events.conversations import INPUT, MISSING
from trace_streaming.events.freezing import KEPT_CHARACTERS, freeze
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.pairs import id_text
from trace_streaming.events.texts import shortened

from .messages import as_message, as_messages

REMEMBERED: Final = 16
"""Calls of a trace that others may go on from: as many agents may talk at the same time."""
MAX_BYTES: Final = 212 * 1024
"""Of the new messages of one call, encoded; beside them there is room for all else."""
_MAX_MESSAGE: Final = 40 * 1024
"""Of one message, where all are too long."""
_KEPT: Final = 32 * 1024
"""Characters of one text of such a message; where they take too many bytes, ``KEPT_CHARACTERS``."""
_FIRST: Final = frozenset({"system", "developer"})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_MAX_NODES: Final = 10_000


class _Sent(NamedTuple):
    call_id: str
    messages: list[_Copy]


class _Copy(NamedTuple):
    """A message as it was: whoever has sent it may have changed it since."""

    message: Any
    is_frozen: bool
    """Whether it is not of plain types, and is compared by what it looks like."""


class _SharedError(Exception):
    """A part of a message is there twice, or there is too much of it."""


class Histories:
    """What the calls of one trace have sent; any thread may ask."""

    def __init__(self) -> None:
        # Without a lock: a finalizer may emit while a message is compared, and a forked child inherits none.
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)

    def without_known(self, details: Mapping[str, Any]) -> Mapping[str, Any]:
        """The details of a call's start, without the messages that an earlier call has."""
        messages = details.get(INPUT)
        if not isinstance(messages, list | tuple) or not messages or "history_call_id" in details:
            return details if messages is None else {**details, INPUT: as_messages(messages)}
        call_id = id_text(details.get("call_id"))
        before, count = self._longest(messages)
        new = messages[count:]
        if call_id is not None:
            known = [] if before is None else before.messages[:count]
            sent = _Sent(call_id, [*known, *map(_copy, new)])
            if before is not None and count == len(before.messages):
                with suppress(ValueError):  # another thread's call has gone on from it, too
                    self._sent.remove(before)
            self._sent.append(sent)
        told = {**details, INPUT: fitting([as_message(message) for message in new])}
        return told if before is None else {**told, "history_call_id": before.call_id, "history_count": count}

    def _longest(self, messages: Sequence[Any]) -> tuple[_Sent | None, int]:
        """The call with the most of the same messages at its beginning; the newest of several."""
        found: _Sent | None = None
        most = 0
        for sent in reversed(list(self._sent)):
            if len(sent.messages) > most and (count := _same(sent.messages, messages)) > most:
                found, most = sent, count
                if most == len(messages):
                    break
        return found, most


def _same(copies: Sequence[_Copy], messages: Sequence[Any]) -> int:
    count = 0
    for copy, message in zip(copies, messages, strict=False):
        try:
            if copy.message != (freeze(message) if copy.is_frozen else message):
                break
        except Exception as error:  # a stranger's comparison, or what is nested too deep for any
            if is_for_the_process(error):
                raise
            break
        count += 1
    return count


def _copy(message: Any) -> _Copy:
    try:
        return _Copy(_copied(message, set()), is_frozen=False)
    except Exception as error:  # what is there twice, nested too deep, or changed meanwhile by another thread
        if is_for_the_process(error):
            raise
        return _Copy(freeze(message), is_frozen=True)


def _copied(value: Any, seen: set[int]) -> Any:
    """Containers anew, with the texts as they are: to compare these takes no time."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind not in {dict, list, tuple} or id(value) in seen or len(seen) > _MAX_NODES:
        raise _SharedError
    seen.add(id(value))
    if kind is dict:
        return {key: _copied(item, seen) for key, item in value.items()}
    items = (_copied(item, seen) for item in value)
    return tuple(items) if kind is tuple else list(items)


def fitting(messages: list[Any]) -> list[Any]:
    """Of messages that are too long together the first, from the system, and the last; the others are counted."""
    sizes = [_size(message) for message in messages]
    if sum(sizes) <= MAX_BYTES:
        return messages
    messages = [_cut(one) if size > _MAX_MESSAGE else one for one, size in zip(messages, sizes, strict=True)]
    sizes = [_size(one) if size > _MAX_MESSAGE else size for one, size in zip(messages, sizes, strict=True)]
    left = MAX_BYTES - sizes[-1]
    first = 0
    while first < len(messages) - 1 and _is_first(messages[first]) and sizes[first] <= left - MAX_BYTES // 4:
        left -= sizes[first]
        first += 1
    last = len(messages) - 1
    while last > first and sizes[last - 1] <= left:
        left -= sizes[last - 1]
        last -= 1
    missing = [{"role": MISSING, "count": last - first, "parts": []}] if last > first else []
    return [*messages[:first], *missing, *messages[last:]]


def _is_first(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("role") in _FIRST


def _size(message: Any) -> int:
    """Bytes of its JSON."""
    try:
        return len(orjson.dumps(message))
    except (TypeError, ValueError, RecursionError):  # not of JSON's types
        return len(orjson.dumps(freeze(message)))


def _cut(message: Any) -> Any:
    """A message with its long texts shortened."""
    cut = _with_texts_cut(message, _KEPT)
    return cut if _size(cut) <= MAX_BYTES // 3 else _with_texts_cut(message, KEPT_CHARACTERS)


def _with_texts_cut(message: Any, length: int) -> Any:
    frozen = freeze(message)
    waiting: list[Any] = [frozen]
    while waiting:
        value = waiting.pop()
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if isinstance(item, str) and len(item) > length:
                value[key] = shortened(item, length)
            elif isinstance(item, dict | list):
                waiting.append(item)
    return frozen
