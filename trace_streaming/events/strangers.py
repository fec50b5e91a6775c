"""Values of classes that nobody here knows: by the fields that they say they have, otherwise by their text or name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeAlias

from .interruptions import is_for_the_process

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

_MOST_TEXT: Final = 240 * 1024
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+| id='[0-9]+'")


class Freezer(Protocol):
    """What the kinds of values are frozen with."""

    has_exact: bool
    """Whether a number was met that becomes text, as JSON has none such."""

    def freeze(self, value: Any, depth: int) -> JSON:
        """Any value."""

    def text(self, text: str) -> str:
        """A text, as much of it as there is room for."""

    def mapping(self, value: Any, depth: int, items: Iterable[tuple[Any, Any]], size: int) -> JSON:
        """An object; ``value`` is what it stands for."""

    def array(self, value: Any, depth: int, size: int) -> JSON:
        """A list."""


def frozen_stranger(value: Any, freezer: Freezer, depth: int) -> JSON:  # noqa: PLR0911  one for each way to tell its fields
    """Of a stranger's class."""
    kind = type(value)
    if hasattr(kind, "_setup") and "_wrapped" in vars(value):  # a Django LazyObject, such as request.user
        wrapped = vars(value)["_wrapped"]
        return f"[unevaluated {kind.__name__}]" if type(wrapped) is object else freezer.freeze(wrapped, depth + 1)
    if dataclasses.is_dataclass(value):
        return _fields(value, [field.name for field in dataclasses.fields(value)], freezer, depth)
    if isinstance(getattr(kind, "__pydantic_fields__", None), dict):
        return _pydantic(value, freezer, depth)
    if callable(getattr(kind, "model_dump", None)):
        return freezer.freeze(value.model_dump(), depth + 1)
    if isinstance(attributes := getattr(kind, "__attrs_attrs__", None), tuple):
        return _fields(value, [attribute.name for attribute in attributes], freezer, depth)
    if isinstance(names := getattr(kind, "__struct_fields__", None), tuple):  # msgspec
        return _fields(value, names, freezer, depth)
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return freezer.freeze(value.item(), depth + 1)
    return freezer.text(_object_text(value))


def _fields(value: Any, names: Iterable[str], freezer: Freezer, depth: int) -> JSON:
    """What there is: a field may not be set, or be computed and fail."""
    names = list(names)
    return freezer.mapping(value, depth, ((name, _field(value, name)) for name in names), len(names))


def _field(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        return "[unset]"
    except Exception as error:
        if is_for_the_process(error):
            raise
        return "[unserialisable]"


def _pydantic(value: Any, freezer: Freezer, depth: int) -> JSON:
    """Its fields as they are, without what it computes, and without what it leaves out of its own dumps."""
    left_out = {name for name, field in type(value).__pydantic_fields__.items() if field.exclude is True}
    stored = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    if set(stored) == {"root"} and getattr(type(value), "__pydantic_root_model__", False):
        return freezer.freeze(stored["root"], depth + 1)
    names = [name for name in stored if name not in left_out]
    return freezer.mapping(value, depth, ((name, stored[name]) for name in names), len(names))


def _object_text(value: Any) -> str:
    kind = type(value)
    meta = getattr(kind, "_meta", None)  # Django's, public by its documentation
    if meta is not None and hasattr(meta, "label") and hasattr(value, "pk"):  # a Django model instance
        return f"{meta.label}:{value.pk}"
    is_query_set = any(base.__module__ == "django.db.models.query" for base in kind.__mro__)
    if is_query_set and isinstance(model := getattr(value, "model", None), type):  # its text would run the query
        return f"[{kind.__name__} of {model.__name__}]"
    return without_addresses(str(value))


def without_addresses(text: str) -> str:
    """Without what differs from run to run, of texts that are not shortened anyway."""
    if len(text) > _MOST_TEXT:
        return text  # is shortened
    return _ADDRESS.sub("", text)
