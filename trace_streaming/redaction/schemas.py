"""Objects that tell of secrets and have none: JSON schemas, OpenAPI's security, Kubernetes' references."""

from __future__ import annotations

from typing import Final

from trace_streaming.events.kinds import JSON

from .judging import is_placeholder, looks_chosen

_SCHEMA_TYPES: Final = frozenset({"string", "object", "integer", "number", "boolean", "array", "null"})
_SCHEMA_CHOICES: Final = ("anyOf", "oneOf", "allOf")
_SCHEMES: Final = frozenset({"apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"})
"""Of OpenAPI's security: they name a key, and have none."""
_VALUES: Final = ("default", "const", "enum", "examples")
"""Where a schema may name a value."""
_REFERENCES: Final = frozenset({"secretName", "defaultMode", "optional", "items"})
_SCHEMA_WORDS: Final = frozenset(
    "type title description format minLength maxLength pattern nullable writeOnly readOnly items properties required "
    "additionalProperties examples default enum const deprecated minimum maximum exclusiveMinimum exclusiveMaximum "
    "multipleOf minItems maxItems uniqueItems contentEncoding contentMediaType anyOf oneOf allOf $ref".split()
)


def is_about_secrets(value: dict[str, JSON]) -> bool:
    """The schema of a secret, its scheme, or a reference to it: none of them holds one."""
    kind = value.get("type")
    return _is_schema(value) or (isinstance(kind, str) and kind in _SCHEMES) or _REFERENCES.issuperset(value)


def _names_a_secret(schema: dict[str, JSON]) -> bool:
    """As ``{"type": "string", "default": "hunter2"}`` does."""
    named = [schema.get(name) for name in _VALUES]
    texts = [each for value in named for each in (value if isinstance(value, list) else [value])]
    return any(isinstance(text, str) and looks_chosen(text) and not is_placeholder(text) for text in texts)


def _is_schema(value: JSON) -> bool:
    """A JSON schema, also one of several: ``{"anyOf": [{"type": "string"}, {"type": "null"}]}``."""
    if not isinstance(value, dict) or not _SCHEMA_WORDS.issuperset(value) or _names_a_secret(value):
        return False
    for name in _SCHEMA_CHOICES:
        if name in value:
            choices = value[name]
            return isinstance(choices, list) and all(map(_is_schema, choices))
    if isinstance(reference := value.get("$ref"), str):
        return reference.startswith("#/")
    kind = value.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return all(isinstance(each, str) and each in _SCHEMA_TYPES for each in kinds)
