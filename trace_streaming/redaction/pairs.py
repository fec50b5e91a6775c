"""Secrets in objects and lists that another value names: ``{"name": "password", "value": …}``, headers, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, cast

from trace_streaming.events.kinds import JSON

from .judging import is_placeholder, looks_chosen, looks_random, looks_secret
from .secret_keys import is_secret_key, may_be_secret_key
from .wordings.commands import secret_arguments
from .wordings.shell_words import Word

_NAMING: Final = re.compile(
    r"(?:[@#\w]*[_\- ]?)(?:name|k|prop|attr|key|field|id|label|variable|var|env|header|param|parameter|property|attribute|selector|element"
    r"|target|placeholder|prompt|question|title|option|setting|type|locator|ref|aria_label|input)",
    re.IGNORECASE,
)
_VALUED: Final = re.compile(
    r"(?:[@#\w]*[_\- ]?)(?:value|v|values|val|text|content|contents|input|answer|data|default|string|fill|typed|plaintext|secret_value"
    r"|keys|characters|to|after|next|set|response|current|new|old|payload)",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r" +(?:field|input|box|text ?box|element|textarea)\Z", re.IGNORECASE)
_HEADER: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SHORT: Final = 64
_MOST_ROWS: Final = 1_000
_HEADINGS: Final = ("columns", "headers", "fields", "header", "column_names", "keys", "names")
_ROWS: Final = ("rows", "data", "values", "records", "results", "items")
_JWK: Final = ("d", "p", "q", "dp", "dq", "qi", "k")


def hidden_values(details: dict[str, JSON]) -> list[str]:
    """The keys of an object whose values are secret because of another of its values."""
    if "kty" in details:
        return [key for key in _JWK if isinstance(details.get(key), str)]
    if details.get("kind") == "Secret":
        _hide_kubernetes(details)
    if not 2 <= len(details) <= 16:
        return []
    for heading in _HEADINGS:
        if heading in details and isinstance(details[heading], list):
            _hide_columns(details, cast("list[JSON]", details[heading]))
    named = _naming(details)
    if named is None:
        return []
    naming, is_secret = named
    return [
        key
        for key, value in details.items()
        if key != naming and value is not None and _VALUED.fullmatch(key) and _is_value(key, value, is_secret=is_secret)
    ]


def _naming(details: dict[str, JSON]) -> tuple[str, bool] | None:
    """The key whose value names a secret, and whether that is sure."""
    weak = None
    for key, value in details.items():
        if type(value) is str and len(value) <= _SHORT and _NAMING.fullmatch(key) and not is_secret_key(key):
            name = _CONTROL.sub("", value.strip("#.:[]* \n"))
            if is_secret_key(name.partition("=")[2].strip("'\"]") or name):
                return key, True
            if may_be_secret_key(name):
                weak = key, False
    return weak


def _is_value(key: str, value: JSON, *, is_secret: bool) -> bool:
    if isinstance(value, str):
        if is_placeholder(value) or is_secret_key(value):
            return False
        if is_secret:
            return key.lower().endswith(("value", "val")) or (" " not in value.strip() and not value.endswith(":"))
        return looks_random(value)
    if isinstance(value, dict):
        return is_secret and key.lower() == "value" and "type" not in value
    return is_secret and key.lower().endswith("value") and not isinstance(value, bool)


def _hide_kubernetes(details: dict[str, JSON]) -> None:
    """All that a manifest of a secret holds."""
    for name in ("data", "stringData"):
        held = details.get(name)
        if isinstance(held, dict):
            for key, value in held.items():
                if isinstance(value, str) and not is_placeholder(value):
                    details[name] = {**cast("dict[str, JSON]", details[name]), f"{key}": {"password": value}}


def _hide_columns(details: dict[str, JSON], headings: list[JSON]) -> None:
    """Of a table, the columns of secrets."""
    columns = [index for index, name in enumerate(headings) if isinstance(name, str) and is_secret_key(name)]
    if not columns:
        return
    for name in _ROWS:
        rows = details.get(name)
        if isinstance(rows, list):
            _hide_cells(rows, columns, len(headings))


def _hide_cells(rows: list[JSON], columns: list[int], width: int) -> None:
    for row in rows[:_MOST_ROWS]:
        if isinstance(row, list) and len(row) == width:
            for column in columns:
                value = row[column]
                if value is not None and not (isinstance(value, str) and is_placeholder(value)):
                    row[column] = {"password": value}


def hidden_items(items: list[JSON]) -> Iterator[int]:
    """The places in a list whose values are secret because of what stands before them."""
    first = items[0] if items else None
    if isinstance(first, list):
        _hide_rows(items)
        return
    if not isinstance(first, str) or len(items) < 2:
        return
    yield from _behind_names(items)
    if all(isinstance(item, str) for item in items):
        yield from _arguments(cast("list[str]", items))


def _hide_rows(items: list[JSON]) -> None:
    """A table as a list of rows, the first of which is that of its headings."""
    headings = cast("list[JSON]", items[0])
    columns = [index for index, name in enumerate(headings) if isinstance(name, str) and is_secret_key(name)]
    is_table = len(items) > 1 and all(isinstance(name, str) for name in headings)
    if columns and is_table and (len(headings) > 2 or not looks_chosen(str(headings[-1]))):
        _hide_cells(items[1:], columns, len(headings))


def _behind_names(items: list[JSON]) -> Iterator[int]:
    names_next = False
    for index, item in enumerate(items):
        if names_next:
            if item is not None and not (isinstance(item, str) and is_placeholder(item)):
                yield index
            names_next = False
            continue
        if type(item) is not str or len(item) > _SHORT or index + 1 == len(items):
            continue
        if item.startswith("-"):
            names_next = "=" not in item and " " not in item and is_secret_key(item)
        elif len(items) % 2 == 0 and index % 2 == 0 and _HEADER.fullmatch(item):
            if item.lower() in _HEADERS:
                names_next = len(items) == 2 or looks_secret(str(items[index + 1]))
            elif "-" in item or len(items) == 2:
                value = items[index + 1]
                names_next = (
                    is_secret_key(item) and isinstance(value, str) and not is_secret_key(value) and looks_chosen(value)
                )
        elif len(items) == 2 and is_secret_key(item):
            value = items[1]
            names_next = isinstance(value, str) and not is_secret_key(value) and looks_chosen(value)


def _arguments(items: list[str]) -> Iterator[int]:
    """An argument list: of a program whose options are known."""
    for index, item in enumerate(items[:4]):
        name = item.rpartition("/")[2].lower().removesuffix(".exe")
        arguments = [Word(text, place, place) for place, text in enumerate(items) if place > index]
        found = list(secret_arguments(name, arguments)) if arguments else []
        for word in found:
            place = word.start if items[min(word.start, len(items) - 1)] == word.text else None
            if place is not None:
                yield place
            else:
                yield from (at for at, text in enumerate(items) if text.endswith(word.text))
        if found:
            return
