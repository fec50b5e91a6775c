"""JSON schemas of arguments that a human may edit: asked for by agents, so neither trusted nor waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

import jsonschema
import orjson
import regex
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from trace_streaming.emitting.decision import is_marked

VALIDATE_SECONDS: Final = 0.5
"""How long edited arguments are checked at most."""
PATTERN_SECONDS: Final = 0.1
"""How long one pattern is tried at one text: some take years."""
MAX_DEPTH: Final = 64
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_UNTIMED: Final = frozenset({"patternProperties", "unevaluatedProperties"})
"""Together: for the second the library tries the patterns of the first itself, and holds the interpreter meanwhile."""
_OF_PARTS: Final = frozenset({"anyOf", "oneOf", "not", "const", "enum", "contains", "uniqueItems"})
"""What these say of a list or an object goes by what is in it."""
Found = Callable[[str, str], bool]
"""Whether a pattern is found in a text."""
_FORMATS: Final = jsonschema.FormatChecker(formats=())
"""A metaschema says where a schema has patterns; they are tried as ``regex`` has them, which knows more than ``re``."""
_NOTHING: Final[Registry[Any]] = Registry()
"""Knows the metaschemas, and fetches nothing."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that could not be used later; raises ``ValueError`` with what is wrong.

    Refused are what is no JSON schema, references that lead out of it (nothing is ever fetched), bad patterns, and
    ``unevaluatedProperties`` beside ``patternProperties``, whose patterns nothing could keep from taking years.
    """
    try:
        if _check_parts(schema, 0) >= _UNTIMED:
            raise ValueError("Not a JSON schema that is used here: it has both " + " and ".join(sorted(_UNTIMED)))
        validator: Any = jsonschema.validators.validator_for(schema)  # whose stubs know nothing of formats
        validator.check_schema(dict(schema), format_checker=_FORMATS)
    except SchemaError as error:
        raise ValueError(f"Not a JSON schema: {error.json_path}: {error.message}"[:500]) from None
    except (RecursionError, TypeError, AttributeError) as error:
        raise ValueError(f"Not a JSON schema ({type(error).__name__})") from None


def first_error(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, in words for whoever wrote them; None when they fit.

    What takes too long, or cannot be checked, does not fit. Of a value that is not shown nothing is wrong: in its place
    the agent has its own.
    """
    deadline = monotonic() + VALIDATE_SECONDS
    try:
        check_schema(schema)
        validator = _timed(jsonschema.validators.validator_for(schema), deadline)(schema, registry=_NOTHING)
        error = best_match(each for each in validator.iter_errors(arguments) if not _is_of_what_is_hidden(each))
    except TimeoutError:
        return "checking them against the schema takes too long"
    except (ValueError, RecursionError, Unresolvable) as problem:
        return f"they cannot be checked: {problem}"[:500]
    return None if error is None else f"{error.json_path}: {error.message}"[:500]


def _is_of_what_is_hidden(error: ValidationError) -> bool:
    if isinstance(error.instance, str):
        return is_marked(error.instance)
    return error.validator in _OF_PARTS and is_marked(orjson.dumps(error.instance).decode())


def _check_parts(part: Any, depth: int) -> set[str]:
    """Check each part; returns which of ``_UNTIMED`` there are."""
    if depth > MAX_DEPTH:
        raise ValueError(f"Not a JSON schema that is used here: deeper than {MAX_DEPTH}")
    found: set[str] = set()
    if isinstance(part, Mapping):
        found |= _UNTIMED & part.keys()
        for key, value in part.items():
            if key in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
                raise ValueError(f"A schema refers to itself alone (#/…), not to {value!r:.100}")
            found |= _check_parts(value, depth + 1)
    elif isinstance(part, list | tuple):
        for value in part:
            found |= _check_parts(value, depth + 1)
    return found


@_FORMATS.checks("regex", raises=ValueError)
def _is_pattern(value: object) -> bool:
    return not isinstance(value, str) or _compiled(value) is not None


def _compiled(pattern: str) -> Any:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"Not a regular expression: {pattern!r:.100} ({error})") from None


def _timed(validator: Any, deadline: float) -> Any:
    """The same validator, which gives up at the deadline."""
    found = partial(_found, deadline)
    keywords = {
        **validator.VALIDATORS,
        "pattern": partial(_pattern, found),
        "patternProperties": partial(_pattern_properties, found),
        "additionalProperties": partial(_additional_properties, found, validator.VALIDATORS["additionalProperties"]),
    }
    if "uniqueItems" in keywords:
        keywords["uniqueItems"] = _unique_items
    timed = {keyword: _until(deadline, check) for keyword, check in keywords.items()}
    extend: Any = jsonschema.validators.extend  # has no annotations
    return extend(validator, timed)


def _until(deadline: float, check: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if monotonic() > deadline:
            raise TimeoutError
        yield from check(validator, value, instance, schema) or ()

    return checked


def _pattern(found: Found, validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not found(pattern, instance):
        yield ValidationError(f"{instance!r:.100} does not match {pattern!r}")


def _pattern_properties(
    found: Found, validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, subschema in patterns.items():
        for key, value in instance.items():
            if found(pattern, key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(
    found: Found, check: Callable[..., Any], validator: Any, allowed: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """As the library has it, of those that no name and no pattern takes: it would try the patterns itself."""
    if not validator.is_type(instance, "object"):
        return
    names, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = {
        key: value
        for key, value in instance.items()
        if key not in names and not any(found(pattern, key) for pattern in patterns)
    }
    yield from check(validator, allowed, others, {}) or ()


def _unique_items(validator: Any, is_wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """In one pass: the library compares each with each."""
    if is_wanted and validator.is_type(instance, "array") and len(set(map(_comparable, instance))) < len(instance):
        yield ValidationError(f"{instance!r:.100} has non-unique elements")


def _comparable(value: Any) -> Any:
    """The same for the same JSON: 1 is 1.0, and true is another."""
    if isinstance(value, dict):
        return "object", frozenset((key, _comparable(each)) for key, each in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_comparable, value))
    return isinstance(value, bool), value


def _found(deadline: float, pattern: str, text: str) -> bool:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return _compiled(pattern).search(text, timeout=min(left, PATTERN_SECONDS)) is not None
