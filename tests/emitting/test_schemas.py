"""Schemas of arguments: asked for by agents, and neither trusted nor waited for."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

import pytest

from trace_streaming.emitting.asking.schemas import check_schema, first_error

DEEP: dict[str, Any] = {}
for _ in range(200):
    DEEP = {"not": DEEP}
REMOTE = {"$ref": "http://127.0.0.1:9/schema.json"}
DOUBLING = {
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)} | {"d60": {"type": "object"}},
    "$ref": "#/$defs/d0",
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"properties": 5},
        {"pattern": "("},
        {"patternProperties": {"(": {}}},
        {"properties": {"a": {"pattern": "(?P<"}}},
        {"required": "a"},
        {"enum": 3},
        REMOTE,
        {"properties": {"a": REMOTE}},
        {"allOf": [{"not": REMOTE}]},
        {"$dynamicRef": "other.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": 5},
        DEEP,
        {"$schema": 5},
    ],
    ids=str,
)
def test_a_bad_schema_is_refused_when_it_is_asked_for(schema: dict[str, Any]) -> None:
    """The agent is told, and not the human who decides much later."""
    with pytest.raises(ValueError, match=r"schema|expression|refers"):
        check_schema(schema)


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}])
def test_a_good_schema_is_taken(schema: dict[str, Any]) -> None:
    """References within it are fine."""
    check_schema(schema)
    assert first_error(schema, {"a": 1}) is None


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 5_000 + "!"}),
        ({"properties": {"a": {"pattern": "(x+x+)+y"}}}, {"a": "x" * 5_000}),
        ({"patternProperties": {"^(a|a)*$": {"type": "string"}}}, {"a" * 5_000 + "!": "x"}),
        (DOUBLING, {"a": 1}),
        ({"$ref": "#"}, {"a": 1}),
    ],
    ids=["nested", "polynomial", "keys", "doubling", "itself"],
)
def test_no_schema_takes_longer_than_its_time(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    """What would take years does not fit, within seconds even on a busy machine."""
    began = monotonic()
    assert first_error(schema, arguments) is not None
    assert monotonic() - began < 10


def test_nothing_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a row that an earlier version has stored, either."""

    def connect(*args: object) -> None:
        raise AssertionError("it connects")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert "cannot be checked" in str(first_error({"properties": {"a": REMOTE}}, {"a": 1}))


def test_what_does_not_fit_is_said_with_its_place() -> None:
    """For whoever wrote it."""
    schema = {"properties": {"a": {"type": "integer"}, "b": {"pattern": "^x"}}, "required": ["c"]}
    assert first_error(schema, {"a": "1", "c": 1}) == "$.a: '1' is not of type 'integer'"
    assert str(first_error(schema, {"b": "y", "c": 1})).startswith("$.b: 'y' does not match")
    assert "'c' is a required property" in str(first_error(schema, {}))
