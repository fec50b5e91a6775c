"""JSON schemas of arguments that a human may edit: asked for by agents, so neither trusted nor waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any, Final

import jsonschema
import regex
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

VALIDATE_SECONDS: Final = 0.5
"""How long edited arguments are checked at most."""
PATTERN_SECONDS: Final = 0.1
"""How long one pattern is tried at one text: some take years."""
MAX_DEPTH: Final = 64
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_NOTHING: Final[Registry[Any]] = Registry()
"""Knows the metaschemas, and fetches nothing."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that could not be used later; raises ``ValueError`` with what is wrong.

    Refused are what is no JSON schema, references that lead out of it (nothing is ever fetched), and bad patterns.
    """
    try:
        _check_parts(schema, 0)
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
    except SchemaError as error:
        raise ValueError(f"Not a JSON schema: {error.json_path}: {error.message}"[:500]) from None
    except (RecursionError, TypeError, AttributeError) as error:
        raise ValueError(f"Not a JSON schema ({type(error).__name__})") from None


def first_error(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, in words for whoever wrote them; None when they fit.

    What takes too long, or cannot be checked, does not fit.
    """
    deadline = monotonic() + VALIDATE_SECONDS
    try:
        check_schema(schema)
        validator = _timed(jsonschema.validators.validator_for(schema), deadline)(schema, registry=_NOTHING)
        error = best_match(validator.iter_errors(arguments))
    except TimeoutError:
        return "checking them against the schema takes too long"
    except (ValueError, RecursionError, Unresolvable) as problem:
        return f"they cannot be checked: {problem}"[:500]
    return None if error is None else f"{error.json_path}: {error.message}"[:500]


def _check_parts(part: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"Not a JSON schema that is used here: deeper than {MAX_DEPTH}")
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
                raise ValueError(f"A schema refers to itself alone (#/…), not to {value!r:.100}")
            if key == "pattern" and isinstance(value, str):
                _compiled(value)
            if key == "patternProperties" and isinstance(value, Mapping):
                for pattern in value:
                    _compiled(pattern)
            _check_parts(value, depth + 1)
    elif isinstance(part, list | tuple):
        for value in part:
            _check_parts(value, depth + 1)


def _compiled(pattern: str) -> Any:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"Not a regular expression: {pattern!r:.100} ({error})") from None


def _timed(validator: Any, deadline: float) -> Any:
    """The same validator, which gives up at the deadline."""
    keywords = {**validator.VALIDATORS, "pattern": _pattern, "patternProperties": _pattern_properties}
    timed = {keyword: _until(deadline, check) for keyword, check in keywords.items()}
    extend: Any = jsonschema.validators.extend  # has no annotations
    return extend(validator, timed)


def _until(deadline: float, check: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if monotonic() > deadline:
            raise TimeoutError
        yield from check(validator, value, instance, schema) or ()

    return checked


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _found(pattern, instance):
        yield ValidationError(f"{instance!r:.100} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if _found(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text, timeout=PATTERN_SECONDS) is not None
