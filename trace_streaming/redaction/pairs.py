"""Secrets in objects and lists that another value names: ``{"name": "password", "value": …}``, headers, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from trace_streaming.events.kinds import JSON

from .judging import is_piece_in_table, is_placeholder, is_reference, looks_chosen, looks_random, looks_secret
from .secret_keys import is_secret_key, may_be_secret_key
from .wordings.commands import secret_arguments
from .wordings.shell_words import Word

_NAMING: Final = re.compile(
    r"(?:[@#\w]*[_\- ]?)(?:name|k|path|prop|attr|key|field|id|label|variable|var|env|header|param|parameter|property"
    r"|attribute|selector|element"
    r"|target|placeholder|prompt|question|title|option|setting|type|locator|ref|aria_label|input)",
    re.IGNORECASE,
)
_VALUED: Final = re.compile(
    r"(?:[@#\w]*[_\- ]?)(?:value|v|values|val|text|content|contents|input|answer|data|default|string|fill|typed"
    r"|plaintext|secret_value"
    r"|keys|characters|to|after|next|set|response|current|new|old|payload)",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r" +(?:field|input|box|text ?box|element|textarea)\Z", re.IGNORECASE)
_HEADER: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SHORT: Final = 64
_BRIEF: Final = 1_024
"""Characters of all keys of an object."""
_NAME: Final = re.compile(r"[A-Za-z][\w .\-]{0,63}")
_MOST_KEYS: Final = 16
_MOST_ROWS: Final = 1_000
_HEADINGS: Final = frozenset({"columns", "headers", "fields", "header", "column_names", "keys", "names"})
_ROWS: Final = ("rows", "data", "values", "records", "results", "items")
_JWK: Final = ("d", "p", "q", "dp", "dq", "qi", "k")


Place = tuple[Any, Any]
"""What holds a value, an object or a list, and where in it."""


def hidden_values(details: dict[str, JSON]) -> list[Place]:
    """The values of an object, or inside of it, that are secret because of another of its values."""
    places: list[Place] = []
    if "kty" in details:
        places += ((details, key) for key in _JWK if isinstance(details.get(key), str))
    if (kind := details.get("kind")) == "Secret":
        places += _of_manifest(details)
    elif kind == "SecretList" and isinstance(items := details.get("items"), list):
        places += (place for item in items if isinstance(item, dict) for place in _of_manifest(item))
    if 2 <= len(details) <= _MOST_KEYS:
        if not _HEADINGS.isdisjoint(details):
            places += _in_table(details)
        naming, valued = _roles(tuple(details))
        if naming and valued:
            places += _named(details, naming, valued)
    return places


def _in_table(details: dict[str, JSON]) -> Iterator[Place]:
    """``{"columns": ["user", "password"], "rows": [["ada", …]]}``."""
    for heading in _HEADINGS.intersection(details):
        if isinstance(headings := details[heading], list):
            for name in _ROWS:
                if isinstance(rows := details.get(name), list):
                    is_row = len(rows) == len(headings) and not any(isinstance(cell, list | dict) for cell in rows)
                    yield from _cells([rows] if is_row else rows, headings)


def _named(details: dict[str, JSON], naming: Iterable[str], valued: Iterable[str]) -> Iterator[Place]:
    """``{"name": "password", "value": …}``.

    :param naming: keys whose values may name others
    :param valued: keys whose values may be named
    """
    if (named := _naming(details, naming)) is None:
        return
    name, is_secret = named
    for key in valued:
        value = details[key]
        if key != name and value is not None and _is_value(key, value, is_secret=is_secret):
            yield details, key


def _naming(details: dict[str, JSON], keys: Iterable[str]) -> tuple[str, bool] | None:
    """The key whose value names a secret, and whether that is sure."""
    weak = None
    for key in keys:
        value = details[key]
        if type(value) is str and len(value) <= _SHORT and (is_secret := _names_a_secret(value)) is not None:
            if is_secret:
                return key, True
            weak = key, False
    return weak


@lru_cache(maxsize=1024)
def _names_a_secret(text: str) -> bool | None:
    """Whether a short text is the name of a secret; None is not, False is perhaps."""
    folder, _, last = text.rpartition("/")
    name = _CONTROL.sub("", last.strip("#:[]* \n" if folder else "#.:[]* \n"))
    if folder and "." in last:  # of a file
        return None
    if is_secret_key(name.partition("=")[2].strip("'\"]") or name):
        return True
    return False if may_be_secret_key(name) else None


_Roles = tuple[tuple[str, ...], tuple[str, ...]]
"""Of an object's keys: those whose values may be the names of others, and those whose values may be named."""


def _roles(keys: tuple[str, ...]) -> _Roles:
    """Objects that have the same keys are many."""
    return _known_roles(keys) if sum(map(len, keys)) <= _BRIEF else _found_roles(keys)


def _found_roles(keys: tuple[str, ...]) -> _Roles:
    naming = tuple(key for key in keys if _NAMING.fullmatch(key) is not None and not is_secret_key(key))
    return naming, tuple(filter(_VALUED.fullmatch, keys)) if naming else ()


_known_roles: Final = lru_cache(maxsize=1024)(_found_roles)
"""It keeps a megabyte of keys at most."""


def _is_value(key: str, value: JSON, *, is_secret: bool) -> bool:
    if isinstance(value, str):
        if is_placeholder(value) or is_secret_key(value):
            return False
        if is_secret:
            return key.lower().endswith(("value", "val")) or (" " not in value.strip() and not value.endswith(":"))
        return looks_random(value)
    if isinstance(value, list):
        return is_secret and bool(value) and all(isinstance(item, str) and not is_secret_key(item) for item in value)
    if isinstance(value, dict):
        return is_secret and key.lower() == "value" and "type" not in value
    return is_secret and key.lower().endswith("value") and not isinstance(value, bool)


def _of_manifest(details: dict[str, JSON]) -> Iterator[Place]:
    """All that a manifest of a secret holds; in a list of them, only the list has a kind."""
    for name in ("data", "stringData"):
        if isinstance(held := details.get(name), dict):
            yield from ((held, key) for key, value in held.items() if not _is_nothing(value))


def _secret_columns(headings: list[JSON]) -> dict[int, str]:
    return {
        index: name
        for index, name in enumerate(headings)
        if isinstance(name, str) and (is_secret_key(name) or name.lower() in {"pass", "pw", "pin"})
    }


def _cells(rows: list[JSON], headings: list[JSON]) -> Iterator[Place]:
    columns = _secret_columns(headings)
    for row in rows[:_MOST_ROWS] if columns else ():
        if isinstance(row, list) and len(row) == len(headings):
            yield from ((row, column) for column, name in columns.items() if _is_secret_cell(name, row[column]))


def _is_secret_cell(heading: str, value: JSON) -> bool:
    if isinstance(value, str):
        return not is_placeholder(value) and not is_piece_in_table(heading, value)
    return value is not None and not (isinstance(value, int | float) and heading.lower().endswith(("token", "tokens")))


def _is_nothing(value: JSON) -> bool:
    return value is None or (isinstance(value, str) and is_placeholder(value))


def hidden_items(items: list[JSON]) -> Iterator[Place]:
    """The values in a list, or in its rows, that are secret because of what stands before them."""
    first = items[0] if items else None
    if isinstance(first, list):
        yield from _in_rows(items, first)
    elif isinstance(first, str) and len(items) > 1:
        yield from ((items, index) for index in _behind_names(items))
        if all(isinstance(item, str) for item in items):
            yield from ((items, index) for index in _arguments(cast("list[str]", items)))


def _in_rows(rows: list[JSON], headings: list[JSON]) -> Iterator[Place]:
    """Of a table as a list of rows, the first of which is that of its headings; not of a list of pairs."""
    columns = _secret_columns(headings)
    if not columns or len(rows) == 1 or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in headings):
        return
    second = rows[1]
    is_pair = len(headings) == 2 and [*columns] == [0]
    if not is_pair or (isinstance(second, list) and second and isinstance(second[0], str) and looks_chosen(second[0])):
        yield from _cells(rows[1:], headings)


def _behind_names(items: list[JSON]) -> Iterator[int]:
    names_next = False
    for index, item in enumerate(items):
        if names_next:
            if not _is_nothing(item):
                yield index
            names_next = False
            continue
        if type(item) is not str or len(item) > _SHORT or index + 1 == len(items):
            continue
        if item.startswith("-"):
            is_option = "=" not in item and " " not in item and is_secret_key(item)
            names_next = is_option and not is_reference(item, str(items[index + 1]))
        elif len(items) % 2 == 0 and index % 2 == 0 and _HEADER.fullmatch(item):
            if item.lower() in _HEADERS:
                names_next = len(items) == 2 or looks_secret(str(items[index + 1]))
            elif "-" in item or len(items) == 2:
                value = items[index + 1]
                names_next = is_secret_key(item) and _is_no_name(value)
        elif len(items) == 2 and _NAME.fullmatch(item) and is_secret_key(item):
            value = items[1]
            names_next = _is_no_name(value)


def _is_no_name(value: JSON) -> bool:
    """Whether what stands beside a key in a list is its value, and not another key."""
    if not isinstance(value, str) or " " in value or is_placeholder(value):
        return False
    return looks_random(value) or not (is_secret_key(value) or value.replace("_", "").replace("-", "").isalpha())


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
