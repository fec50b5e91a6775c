"""What is hidden: every event passes here once, in the emitter, before anything else can see it.

By its key (``secret_keys``), by what it is assigned to in a text (``secret_assignments``), by the command that takes it
(``secret_commands``), by its own shape (``secret_values``), or as a number of a person (``personal_numbers``). A marker
names the rule: ``[redacted:email]``.
"""

from __future__ import annotations

from collections import ChainMap
from typing import Final, Protocol, cast

from trace_streaming.events import CALL_ID_KEYS, CALL_ID_PATTERN, RANDOM_ID_PATTERN
from trace_streaming.events.freezing import IDENTITY
from trace_streaming.events.kinds import JSON
from trace_streaming.events.texts import Numbering

from .assigned_values import MARKER, is_pass, is_placeholder, looks_secret
from .effort import NUMBERS, TOO_MUCH, Effort
from .personal_numbers import is_card_number, redact_numbers
from .secret_assignments import REDACTED_BY_KEY, in_small_letters, redact_assignments
from .secret_commands import redact_commands
from .secret_keys import is_phone_key, is_secret_key
from .secret_values import redact_values

REDACTION_FAILED: Final = "[redacted:redactor failed]"
_CARD: Final = "[redacted:card]"
_PHONE: Final = "[redacted:phone]"

_SMALLEST_CARD: Final = 10**12
_SHORT: Final = 64
_MOST: Final = 8192
_MAX_PASSES: Final = 4
_PAIRING_KEYS: Final = frozenset(IDENTITY)
_NO_IDS: Final[frozenset[str]] = frozenset()
_MANY: Final = 64
"""Keys; most events have a handful."""
_JUDGED: Final = 96
"""What it takes to judge a key, as that of a text of that length."""
_ANOTHER_PASS: Final = 384
"""What another look at a short text takes, as that of a text so much longer."""
_innocent_keys: Final[set[str]] = set()
_innocent_texts: Final[set[str]] = set()
"""Short keys and texts in which nothing was found: most of a trace's come again and again. No secret is kept."""

_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SCHEMA_TYPES: Final = frozenset({"string", "object", "integer", "number", "boolean", "array", "null"})
_SCHEMA_WORDS: Final = frozenset(
    "type title description format minLength maxLength pattern nullable writeOnly readOnly items properties required "
    "additionalProperties".split()
)


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
        ids = CALL_ID_KEYS
        has_many = len(details) > _MANY
        if has_many:
            _redact_pairing(details, effort)
    renamed: dict[str, str] | None = None
    left_out: list[str] | None = None
    inside: list[JSON] | None = None
    if "value" in details and _is_secret_named_by_value(details):
        details["value"] = REDACTED_BY_KEY
    for key, value in details.items():
        if key not in _innocent_keys and key not in _PAIRING_KEYS:
            name = redact_text(key, effort) if effort.begin(_JUDGED if key not in _innocent_texts else 0) else TOO_MUCH
            if name is TOO_MUCH:  # the key may name a secret
                left_out = left_out or []
                left_out.append(key)
                continue
            if name != key:
                renamed = renamed or {}
                renamed[key] = name
            if marker := _marker_by_key(name, value):
                details[key] = marker
                continue
        # The types of almost all values, in the order of their number.
        kind = type(value)
        if kind is str:
            if value not in _innocent_texts:
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


def redact_id(text: str, effort: Effort) -> str:
    """Like :func:`redact_text`; but what has the form of an id is no number of a person, whatever its digits."""
    if RANDOM_ID_PATTERN.fullmatch(text):
        return text
    if CALL_ID_PATTERN.fullmatch(text) and effort.begin(len(text)):
        lowered = in_small_letters(text)
        if redact_values(redact_commands(redact_assignments(text, lowered, effort), effort), lowered, effort) == text:
            return text
    return redact_text(text, effort)


def redact_text(text: str, effort: Effort | None = None) -> str:
    """Replace what is secret in a text; the rest of it stays readable. What was redacted once is left as it is."""
    if text in _innocent_texts:
        return text
    effort = effort or Effort()
    if effort.left > 0:  # as effort.begin, which is called for what is rare
        effort.left -= 2 + (len(text) >> 5)
    elif not effort.begin(len(text)):
        return TOO_MUCH
    redacted = _pass(text, effort)
    if redacted == text:
        _remember(text, _innocent_texts)
    passes = 1
    while redacted != text and passes < _MAX_PASSES:  # what was replaced may have hidden where something else begins
        effort.begin(len(redacted) + _ANOTHER_PASS)
        text, redacted = redacted, _pass(redacted, effort)
        passes += 1
    return redacted


def _pass(text: str, effort: Effort) -> str:
    lowered = in_small_letters(text)
    text = redact_commands(redact_assignments(text, lowered, effort), effort)
    return redact_numbers(redact_values(text, lowered, effort), effort)


def _marker_by_key(key: str, value: JSON) -> str | None:
    """What replaces a value because of its key, whatever it is. What was redacted in the key itself names nothing."""
    named = MARKER.sub("", key)
    if is_secret_key(named):
        return None if value is None or _tells_no_secret(key, value) else REDACTED_BY_KEY
    if is_phone_key(named):
        return _PHONE if _is_phone(value) else None
    if is_pass(named):
        return REDACTED_BY_KEY if isinstance(value, str) and not MARKER.search(value) and looks_secret(value) else None
    if named == key:
        _remember(key, _innocent_keys)
    return None


def _redact_inside(value: JSON, effort: Effort) -> None:
    if type(value) is dict:
        redacted = redact(value, effort)
        if redacted is not value:
            value.clear()
            value.update(redacted)
    else:
        _redact_items(cast("list[JSON]", value), effort)


def _redact_items(items: list[JSON], effort: Effort) -> None:
    names_next = False
    for index, item in enumerate(items):
        kind = type(item)
        if kind is str:
            text = cast("str", item)
            items[index] = REDACTED_BY_KEY if names_next else redact_text(text, effort)
            names_next = not names_next and _names_next(text, index, len(items))
            continue
        if kind is dict or kind is list:
            _redact_inside(item, effort)
        elif kind is int and _is_card(cast("int", item), effort):
            items[index] = _CARD
        names_next = False


def _names_next(text: str, index: int, count: int) -> bool:
    """An option of a command, ``["--password", …]``, or a header as ASGI and HTTP clients write it."""
    if text.startswith("-"):
        return len(text) <= _SHORT and "=" not in text and " " not in text and is_secret_key(text)
    return index == 0 and count == 2 and text.lower() in _HEADERS


def _with_keys_redacted(details: dict[str, JSON], renamed: dict[str, str]) -> dict[str, JSON]:
    """Keys may hold secrets, too; those that become the same are numbered."""
    redacted: dict[str, JSON] = {}
    another = Numbering()
    taken = ChainMap(redacted, details)
    for key, value in details.items():
        name = renamed.get(key, key)
        redacted[another.name(name, redacted if name == key else taken)] = value
    return redacted


def _is_secret_named_by_value(details: dict[str, JSON]) -> bool:
    """``{"name": "Authorization", "value": …}``: how headers, forms and environments are listed."""
    name = details.get("name") or details.get("key")
    return isinstance(name, str) and is_secret_key(name) and details["value"] is not None


def _tells_no_secret(key: str, value: JSON) -> bool:
    """A working directory, a placeholder, or the JSON schema of a tool's argument."""
    if isinstance(value, str):
        return (key.lower() == "pwd" and value.startswith(("/", "~"))) or (value != "" and is_placeholder(value))
    return isinstance(value, dict) and value.get("type") in _SCHEMA_TYPES and _SCHEMA_WORDS.issuperset(value)


def _is_card(number: int, effort: Effort) -> bool:
    """Whether it is one; or may be, where it is not looked at any more."""
    return number >= _SMALLEST_CARD and (not effort.spend(NUMBERS, 4) or is_card_number(str(number)))


def _is_phone(value: JSON) -> bool:
    text = str(value) if type(value) is int else value
    return isinstance(text, str) and sum(map(str.isdigit, text[:32])) >= 7 and not any(map(str.isalpha, text))


def _remember(text: str, innocent: set[str]) -> None:
    if len(text) <= _SHORT:
        if len(innocent) >= _MOST:
            innocent.clear()
        innocent.add(text)
