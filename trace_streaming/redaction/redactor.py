"""What is hidden: every event passes here once, in the emitter, before anything else can see it.

By its key (``secret_keys``), by what it is assigned to in a text (``secret_assignments``), by the command that takes it
(``secret_commands``), by its own shape (``secret_values``), or as a number of a person (``personal_numbers``). A marker
names the rule: ``[redacted:email]``.
"""

from __future__ import annotations

from typing import Final, Protocol, cast

from trace_streaming.events.freezing import JSON

from .assigned_values import MARKER, is_pass, is_placeholder, looks_secret
from .personal_numbers import is_card_number, redact_numbers
from .secret_assignments import REDACTED_BY_KEY, in_small_letters, redact_assignments
from .secret_commands import redact_commands
from .secret_keys import is_phone_key, is_secret_key
from .secret_values import redact_values

REDACTION_FAILED: Final = "[redacted:redactor failed]"
_CARD: Final = "[redacted:card]"
_PHONE: Final = "[redacted:phone]"

_SHORT: Final = 64
_MOST: Final = 8192
_MAX_PASSES: Final = 4
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


def redact(details: dict[str, JSON]) -> dict[str, JSON]:
    """The default redactor: secrets and the data of persons are replaced at any depth, in keys and in texts."""
    is_rewritten = False
    if "value" in details and _is_secret_named_by_value(details):
        details["value"] = REDACTED_BY_KEY
    for key, value in details.items():
        if key not in _innocent_keys:
            name = redact_text(key)
            is_rewritten = is_rewritten or name != key
            if marker := _marker_by_key(name, value):
                details[key] = marker
                continue
        # The types of almost all values, in the order of their number.
        kind = type(value)
        if kind is str:
            if value not in _innocent_texts:
                details[key] = redact_text(cast("str", value))
        elif kind is dict or kind is list:
            _redact_inside(value)
        elif kind is int and _is_card(cast("int", value)):
            details[key] = _CARD
    return _with_keys_redacted(details) if is_rewritten else details


def redact_text(text: str) -> str:
    """Replace what is secret in a text; the rest of it stays readable. What was redacted once is left as it is."""
    if text in _innocent_texts:
        return text
    redacted = _pass(text)
    if redacted == text:
        _remember(text, _innocent_texts)
    passes = 1
    while redacted != text and passes < _MAX_PASSES:  # what was replaced may have hidden where something else begins
        text, redacted = redacted, _pass(redacted)
        passes += 1
    return redacted


def _pass(text: str) -> str:
    lowered = in_small_letters(text)
    return redact_numbers(redact_values(redact_commands(redact_assignments(text, lowered)), lowered))


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


def _redact_inside(value: JSON) -> None:
    if isinstance(value, dict):
        redacted = redact(value)
        if redacted is not value:
            value.clear()
            value.update(redacted)
    elif isinstance(value, list):
        _redact_items(value)


def _redact_items(items: list[JSON]) -> None:
    names_next = False
    for index, item in enumerate(items):
        kind = type(item)
        if kind is str:
            text = cast("str", item)
            items[index] = REDACTED_BY_KEY if names_next else redact_text(text)
            names_next = not names_next and _names_next(text, index, len(items))
            continue
        if kind is dict or kind is list:
            _redact_inside(item)
        elif kind is int and _is_card(cast("int", item)):
            items[index] = _CARD
        names_next = False


def _names_next(text: str, index: int, count: int) -> bool:
    """An option of a command, ``["--password", …]``, or a header as ASGI and HTTP clients write it."""
    if text.startswith("-"):
        return len(text) <= _SHORT and "=" not in text and " " not in text and is_secret_key(text)
    return index == 0 and count == 2 and text.lower() in _HEADERS


def _with_keys_redacted(details: dict[str, JSON]) -> dict[str, JSON]:
    """Keys may hold secrets, too; those that become the same are numbered."""
    redacted: dict[str, JSON] = {}
    for key, value in details.items():
        name = kept = redact_text(key)
        number = 1
        while name in redacted or (name != key and name in details):
            number += 1
            name = f"{kept} ({number})"
        redacted[name] = value
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


def _is_card(number: int) -> bool:
    return number >= 10**12 and is_card_number(str(number))


def _is_phone(value: JSON) -> bool:
    text = str(value) if type(value) is int else value
    return isinstance(text, str) and sum(map(str.isdigit, text[:32])) >= 7 and not any(map(str.isalpha, text))


def _remember(text: str, innocent: set[str]) -> None:
    if len(text) <= _SHORT:
        if len(innocent) >= _MOST:
            innocent.clear()
        innocent.add(text)
