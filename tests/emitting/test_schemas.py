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
UNIQUE = {"properties": {"a": {"uniqueItems": True}}}
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
        {"unevaluatedProperties": False, "allOf": [{"patternProperties": {"^(a+)+$": {}}}]},
    ],
    ids=str,
)
def test_a_bad_schema_is_refused_when_it_is_asked_for(schema: dict[str, Any]) -> None:
    """The agent is told, and not the human who decides much later."""
    with pytest.raises(ValueError, match=r"schema|expression|refers"):
        check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        {"properties": {"b": {"pattern": r"^\p{L}+$"}}},
        {"properties": {"b": {"default": {"pattern": "*.py"}}}, "examples": [{"pattern": "*.py"}]},
    ],
    ids=str,
)
def test_a_good_schema_is_taken(schema: dict[str, Any]) -> None:
    """References within it are fine, patterns as Pydantic has them, and values that look like a schema."""
    check_schema(schema)
    assert first_error(schema, {"a": 1}) is None


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 5_000 + "!"}),
        ({"properties": {"a": {"pattern": "(x+x+)+y"}}}, {"a": "x" * 5_000}),
        ({"patternProperties": {"^(a|a)*$": {"type": "string"}}}, {"a" * 5_000 + "!": "x"}),
        ({"additionalProperties": False, "patternProperties": {"^(a+)+$": {}}}, {"a" * 40 + "!": 1}),
        ({"unevaluatedProperties": False, "patternProperties": {"^(a+)+$": {}}}, {"a" * 40 + "!": 1}),
        ({"patternProperties": {"(x+x+)+y": {}}}, {"x" * 150 + str(number): 1 for number in range(10_000)}),
        (UNIQUE, {"a": [*({"b": number} for number in range(20_000)), {"b": 0}]}),
        (DOUBLING, {"a": 1}),
        ({"$ref": "#"}, {"a": 1}),
    ],
    ids=["nested", "polynomial", "keys", "additional", "unevaluated", "many", "unique", "doubling", "itself"],
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


def test_further_arguments_are_those_that_no_name_and_no_pattern_takes() -> None:
    """As the specification has it, whichever keyword comes first."""
    schema = {"additionalProperties": False, "properties": {"a": {}}, "patternProperties": {"^x": {}}}
    assert first_error(schema, {"a": 1, "x1": 1}) is None
    assert "'b'" in str(first_error(schema, {"a": 1, "b": 1}))
    typed = {"patternProperties": {"^x": {}}, "additionalProperties": {"type": "integer"}}
    assert first_error(typed, {"x": "1", "b": 1}) is None
    assert first_error(typed, {"b": "1"}) == "$.b: '1' is not of type 'integer'"


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ([1, True, "1", 0, False, None, [], {}, [1], [True], {"a": 1}, {"a": True}], True),
        ([1, 1.0], False),
        ([{"a": [1], "b": 2}, {"b": 2, "a": [1.0]}], False),
        ([[], []], False),
    ],
    ids=str,
)
def test_the_values_of_a_list_are_the_same_where_json_has_them_so(values: list[object], fits: bool) -> None:
    """True is not 1, and the order of keys says nothing."""
    assert (first_error(UNIQUE, {"a": values}) is None) is fits


def test_of_what_is_not_shown_nothing_is_wrong() -> None:
    """In its place the agent has its own, which is a number, or an address; all else is checked."""
    address = {"type": "object", "properties": {"to": {"pattern": "^[^ ]+@"}}, "required": ["to"]}
    schema = {
        "properties": {
            "account": {"type": "integer"},
            "to": {"items": {"pattern": "^[^ ]+@"}, "uniqueItems": True},
            "copy": {"anyOf": [address, {"type": "null"}]},
            "n": {"type": "integer"},
        },
        "required": ["n"],
    }
    hidden = "[redacted:email]"
    shown = {"account": "[redacted:account]", "to": [hidden, hidden], "copy": {"to": hidden}, "n": 1}
    assert first_error(schema, shown) is None
    assert first_error(schema, {**shown, "n": "1"}) == "$.n: '1' is not of type 'integer'"
    assert first_error(schema, {**shown, "account": "x"}) == "$.account: 'x' is not of type 'integer'"
    del shown["n"]
    assert first_error(schema, shown) == "$: 'n' is a required property"
