"""What is hidden: every event passes here once, in the emitter, before anything else can see it.

By its key (``secret_keys``), by the pair or table it stands in (``pairs``), or by a rule for texts (``texts``).
A marker names the rule: ``[redacted:email]``.
"""

from __future__ import annotations

import re
from collections import ChainMap
from typing import Final, Protocol, cast

from trace_streaming.events import CALL_ID_KEYS
from trace_streaming.events.freezing import IDENTITY
from trace_streaming.events.kinds import JSON
from trace_streaming.events.texts import Numbering

from .effort import NUMBERS, Effort
from .formats.personal_numbers import is_card_number
from .judging import (
    MARKER,
    are_names,
    fits_weak_key,
    is_algorithm,
    is_piece_of_text,
    is_placeholder,
    is_prose,
    looks_chosen,
    looks_random,
)
from .known.learning import noting
from .pairs import hidden_items, hidden_values
from .schemas import is_about_secrets
from .secret_keys import is_phone_key, is_secret_key, may_be_secret_key
from .spans import TOO_MUCH
from .texts import innocent_texts, redact_id, redact_text, remember

__all__ = ["REDACTED_BY_KEY", "REDACTION_FAILED", "Redactor", "redact", "redact_text"]

REDACTED_BY_KEY: Final = "[redacted:key]"
REDACTION_FAILED: Final = "[redacted:redactor failed]"
_CARD: Final = "[redacted:card]"
_PHONE: Final = "[redacted:phone]"

_SMALLEST_CARD: Final = 10**12
_PAIRING_KEYS: Final = frozenset(IDENTITY)
_NO_IDS: Final[frozenset[str]] = frozenset()
_MANY: Final = 64
"""Keys; most events have a handful."""
_JUDGED: Final = 96
"""What it takes to judge a key, as that of a text of that length."""
_innocent_keys: Final[set[str]] = set()
"""Short keys in which nothing was found: most of a trace's come again and again. No secret is kept."""

_KEY_FILE: Final = re.compile(
    r"(?:[~.]{0,2}/|[A-Za-z]:\\)[\w./\\ \-]{1,250}\.(?:json|pem|key|crt|cer|p12|pfx|jks|txt|ya?ml|env|cfg|ini"
    r"|conf|kdbx?)"
)
_ACCOUNTS: Final = re.compile(r"[\w\-]+:[x*!]?:\d+:\d+:")
"""As ``/etc/passwd`` has them, without any password."""
_EMPTY_COOKIE: Final = re.compile(r"[\w.\-]+=(?:\"\"|deleted)?(?:;.*)?")


class Redactor(Protocol):
    """Replaces what must not be seen in frozen details; ``TRACE_STREAMING_REDACTOR`` names one by dotted path."""

    def __call__(self, details: dict[str, JSON], /) -> dict[str, JSON]:
        """Return the details to keep: others, or the same, changed in place; they are a copy. Called on every emit."""


def redact(  # noqa: C901, PLR0912  every value of every event: a call for each would take as long again
    details: dict[str, JSON], effort: Effort | None = None
) -> dict[str, JSON]:
    """The default redactor: secrets and the data of persons are replaced at any depth, in keys and in texts.

    What it takes is bounded (:mod:`.effort`): what is not looked at any more is replaced, too.

    :param effort: what is left, where the details are a part of others
    """
    ids, has_many = _NO_IDS, False
    if effort is None:
        effort = Effort()
        effort.hidden = noting.hidden
        ids = CALL_ID_KEYS
        has_many = len(details) > _MANY
        if has_many:
            _redact_pairing(details, effort)
    renamed: dict[str, str] | None = None
    left_out: list[str] | None = None
    inside: list[JSON] | None = None
    for holder, name in hidden_values(details):
        effort.hide(holder[name], "key")
        holder[name] = REDACTED_BY_KEY
    for key, value in details.items():
        if key not in _innocent_keys and key not in _PAIRING_KEYS:
            name = redact_text(key, effort) if effort.begin(_JUDGED if key not in innocent_texts else 0) else TOO_MUCH
            if name is TOO_MUCH:  # the key may name a secret
                left_out = left_out or []
                left_out.append(key)
                continue
            if name != key:
                renamed = renamed or {}
                renamed[key] = name
            if marker := _marker_by_key(name, value):
                effort.hide(value, "key")
                details[key] = marker
                continue
        # The types of almost all values, in the order of their number.
        kind = type(value)
        if kind is str:
            if value not in innocent_texts:
                text = cast("str", value)
                if key not in ids:
                    details[key] = redact_text(text, effort)
                elif not has_many:
                    details[key] = redact_id(text, effort)
        elif kind is dict or kind is list:
            if inside is None:
                inside = [value]
            else:
                inside.append(value)
        elif kind is int and value >= _SMALLEST_CARD and key not in ids and _is_card(value, effort):  # type: ignore[operator, arg-type]
            details[key] = _CARD
    if inside is not None:
        for value in inside:  # behind the object's own texts: they go first where there is too much
            _redact_inside(value, effort)
    if left_out is not None:
        for key in left_out:
            del details[key]
        details[TOO_MUCH] = f"[truncated: {len(left_out)} more values]"
    return details if renamed is None else _with_keys_redacted(details, renamed)


def _redact_pairing(details: dict[str, JSON], effort: Effort) -> None:
    """First, while there is effort left: what pairs the event with others."""
    for key in IDENTITY:
        if isinstance(value := details.get(key), str):
            details[key] = redact_id(value, effort) if key in CALL_ID_KEYS else redact_text(value, effort)


def _marker_by_key(key: str, value: JSON) -> str | None:
    """What replaces a value because of its key, whatever it is. What was redacted in the key itself names nothing."""
    named = MARKER.sub("", key)
    if is_secret_key(named):
        is_plain = value is None or _tells_no_secret(key, value)
        return None if is_plain or (isinstance(value, str) and is_piece_of_text(named, value)) else REDACTED_BY_KEY
    if is_phone_key(named):
        return _PHONE if _is_phone(value) else None
    if may_be_secret_key(named):
        return REDACTED_BY_KEY if _is_random(named, value) else None
    if named == key:
        remember(key, _innocent_keys)
    return None


def _is_random(key: str, value: JSON) -> bool:
    """Whether the value of a key that may name a secret is one."""
    if isinstance(value, str):
        if MARKER.search(value):
            return False
        name, _, secret = value.partition(":")
        is_pair = key.lower().endswith("auth") and name.isalnum() and looks_random(secret)
        return is_pair or fits_weak_key(key, value)
    if isinstance(value, list) and value:
        if len(value) == 2 and key.lower().endswith("auth") and isinstance(value[1], str):
            return (
                not MARKER.search(value[1]) and looks_chosen(value[1]) and not is_algorithm(value[1])
            )  # behind a user's name
        return all(isinstance(item, str) and len(item) >= 12 and looks_random(item) for item in value)
    return False


def _redact_inside(value: JSON, effort: Effort) -> None:
    if type(value) is dict:
        redacted = redact(value, effort)
        if redacted is not value:
            value.clear()
            value.update(redacted)
    else:
        _redact_items(cast("list[JSON]", value), effort)


def _redact_items(items: list[JSON], effort: Effort) -> None:
    for holder, place in hidden_items(items):
        effort.hide(holder[place], "key")
        holder[place] = REDACTED_BY_KEY
    for index, item in enumerate(items):
        kind = type(item)
        if kind is str:
            items[index] = redact_text(cast("str", item), effort)
        elif kind is dict or kind is list:
            _redact_inside(item, effort)
        elif kind is int and _is_card(cast("int", item), effort):
            items[index] = _CARD


def _with_keys_redacted(details: dict[str, JSON], renamed: dict[str, str]) -> dict[str, JSON]:
    """Keys may hold secrets, too; those that become the same are numbered."""
    redacted: dict[str, JSON] = {}
    another = Numbering()
    taken = ChainMap(redacted, details)
    for key, value in details.items():
        name = renamed.get(key, key)
        redacted[another.name(name, redacted if name == key else taken)] = value
    return redacted


def _tells_no_secret(key: str, value: JSON) -> bool:
    """A working directory, a placeholder, nothing, a switch, or the JSON schema of a tool's argument."""
    if isinstance(value, str):
        return (
            (key.lower() == "pwd" and value.startswith(("/", "~")))
            or is_placeholder(value)
            or is_prose(value)
            or _KEY_FILE.fullmatch(value) is not None
            or _ACCOUNTS.match(value) is not None
            or ("ookie" in key and _EMPTY_COOKIE.fullmatch(value) is not None)
        )
    if isinstance(value, bool | float) or value in ([], {}):
        return True
    if isinstance(value, int):
        return key.lower().endswith(("token", "tokens"))
    if isinstance(value, list):
        return are_names(key, value) or all(isinstance(item, str) and is_prose(item) for item in value)
    return isinstance(value, dict) and is_about_secrets(value)


def _is_card(number: int, effort: Effort) -> bool:
    """Whether it is one; or may be, where it is not looked at any more."""
    return number >= _SMALLEST_CARD and (not effort.spend(NUMBERS, 4) or is_card_number(str(number)))


def _is_phone(value: JSON) -> bool:
    text = str(value) if type(value) is int else value
    return isinstance(text, str) and sum(map(str.isdigit, text[:32])) >= 7 and not any(map(str.isalpha, text))
