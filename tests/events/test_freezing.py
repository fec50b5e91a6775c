"""Details are copied into what JSON can carry, whatever they are."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import tracemalloc
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.events.freezing import (
    KEPT_CHARACTERS,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    encode,
    encode_details,
    freeze,
    freeze_details,
)
from trace_streaming.models import Trace

TEXT = st.text(st.characters(exclude_categories=()))  # with lone surrogates
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.complex_numbers()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.builds(object)
    | st.builds(ValueError, TEXT)
    | st.frozensets(st.integers() | TEXT)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(LEAVES, inner) | st.tuples(inner, inner) | st.builds(iter, TEXT),
)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


class RaisingMapping(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError


class Endless(Sequence[int]):
    """A sequence that is read from somewhere, and never ends within a test's patience."""

    def __init__(self) -> None:
        self.read = 0

    def __len__(self) -> int:
        return 5_000_000

    def __getitem__(self, index: Any) -> Any:
        self.read += 1
        return index

    def __iter__(self) -> Iterator[int]:
        return (self[index] for index in range(len(self)))


@dataclasses.dataclass
class Step:
    number: int
    parts: list[Any]


class Model:
    """As pydantic's are."""

    def model_dump(self) -> dict[str, int]:
        return {"a": 1}


@hypothesis.settings(deadline=None)
@given(VALUES)
def test_whatever_is_frozen_is_json(value: object) -> None:
    """No value raises, and each becomes JSON that strict readers take, and that reads back the same."""
    frozen = freeze(value)
    assert json.loads(encode(frozen), parse_constant=pytest.fail) == frozen


@pytest.mark.parametrize(
    ("value", "frozen"),
    [
        (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00+00:00"),
        (date(2026, 1, 5), "2026-01-05"),
        (time(1, 2), "01:02:00"),
        (timedelta(seconds=3), "0:00:03"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (Decimal("sNaN"), "sNaN"),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Step(1, [Color.RED]), {"number": 1, "parts": ["red"]}),
        (Step, f"{__name__}.Step"),
        (Model(), {"a": 1}),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a", 1}), ["a", "b", 1]),
        (collections.deque([1]), [1]),
        (range(3), [0, 1, 2]),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (b"text", "text"),
        (b"\xff\x00", "/wA="),
        (bytearray(b"text"), "text"),
        (memoryview(b"abc")[::2], "ac"),
        (ValueError("no"), "ValueError: no"),
        (gettext_lazy("Trace"), "Trace"),
        (mark_safe("<b>"), "<b>"),
        (collections.UserString("abc"), "abc"),
        (math.nan, None),
        (-math.inf, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (True, True),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        (object(), "<object object>"),
        (Unprintable(), "[unserialisable Unprintable]"),
        (RaisingMapping(), "[unserialisable RaisingMapping]"),
    ],
)
def test_values_that_json_lacks_become_stable_text(value: object, frozen: object) -> None:
    """Each kind has one form that people can read and that is the same on every run."""
    assert freeze(value) == frozen


def test_a_number_too_long_to_be_written_is_marked() -> None:
    """Python itself refuses to write out numbers of thousands of digits."""
    assert freeze(10**5000) == "[unserialisable int]"


@pytest.mark.parametrize("value", [Text("a"), Level.HIGH, {Text("a"): Text("b")}, [Text("a")]])
def test_subclasses_become_the_plain_types(value: object) -> None:
    """What comes out is of JSON's own types, so no stranger's method is called later."""

    def kinds(frozen: Any) -> set[type]:
        inside = [*frozen, *frozen.values()] if isinstance(frozen, dict) else frozen if isinstance(frozen, list) else []
        return {type(frozen)}.union(*map(kinds, inside))

    assert kinds(freeze(value)) <= {str, int, dict, list}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (1, "1"),
        (None, "null"),
        (True, "true"),
        (math.nan, "null"),
        (1.5, "1.5"),
        ((1, "a"), '[1,"a"]'),
        (Color.RED, "red"),
        (b"k", "k"),
        (date(2026, 1, 5), "2026-01-05"),
        ("\ud800", "\ufffd"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_keys_become_text(key: object, text: str) -> None:
    """Any key that a dictionary takes is a JSON object's key afterwards."""
    assert freeze({key: 1}) == {text: 1}


def test_model_instances_and_query_sets_are_named_without_a_query() -> None:
    """Freezing reads no database: this test has none."""
    assert freeze([User(pk=3), Trace(), Trace.objects.all(), Trace.objects.values("pk")]) == [
        "auth.User:3",
        "trace_streaming.Trace:None",
        "[QuerySet of Trace]",
        "[QuerySet of Trace]",
    ]


def test_lazy_objects_are_not_evaluated() -> None:
    """``request.user`` is lazy: to evaluate it would be a query in the middle of an emit. Invariant 3."""
    evaluated: list[str] = []
    freeze({"user": SimpleLazyObject(lambda: evaluated.append("query"))})
    assert evaluated == []


@pytest.mark.parametrize("mock", [MagicMock, AsyncMock], ids=lambda mock: mock.__name__)
def test_mocks_of_users_tests_become_the_same_text_every_time(mock: type[MagicMock]) -> None:
    """A mock has every attribute that is asked for; none is called, and no address shows."""
    value = mock()
    frozen = [freeze(value), freeze(mock())]
    assert value.method_calls == []
    assert frozen[0] == frozen[1]
    assert "truncated" not in str(frozen)


def test_error_texts_show_no_addresses() -> None:
    """An exception's text, too, is the same on every run."""
    assert freeze(ValueError(object())) == "ValueError: <object object>"


def test_nesting_that_is_too_deep_is_marked() -> None:
    """Moderate nesting is kept whole; what is deeper ends in a marker, and so does what contains itself."""
    kept: Any = "leaf"
    for _ in range(MAX_DEPTH):
        kept = [kept]
    assert freeze(kept) == kept
    itself: list[Any] = []
    itself.append(itself)
    mirror: dict[str, Any] = {}
    mirror["me"] = mirror
    step = Step(1, [])
    step.parts.append(step)
    for endless in (itself, mirror, step):
        assert f"[truncated: deeper than {MAX_DEPTH} levels]" in encode(freeze(endless))


def test_containers_that_branch_into_themselves_end_soon() -> None:
    """Two references to itself would be 2**64 values; the budget of values ends that."""
    itself: list[Any] = []
    itself += [itself, itself]
    assert encode(freeze(itself)).count("[") < 3 * MAX_VALUES


@pytest.mark.parametrize("many", [[0] * (MAX_VALUES + 10), dict.fromkeys(map(str, range(MAX_VALUES + 10)), 0)])
def test_too_many_values_are_cut_off_with_a_marker(many: Any) -> None:
    """What comes after the last value that is kept is replaced by a marker that says so."""
    frozen = freeze(many)
    assert isinstance(frozen, list | dict)
    assert len(frozen) == MAX_VALUES
    last = frozen["truncated"] if isinstance(frozen, dict) else frozen[-1]
    assert last == f"[truncated: more than {MAX_VALUES} values]"


def test_a_sequence_is_read_no_further_than_it_is_kept() -> None:
    """What is thrown away is not read first: a hundred million numbers would hold an emit for seconds. Invariant 3."""
    endless = Endless()
    freeze(endless)
    assert endless.read <= MAX_VALUES + 1


def test_later_changes_to_a_value_change_nothing() -> None:
    """The frozen value shares nothing with what was handed in."""
    value: dict[str, Any] = {"list": [1], "dict": {"a": [2]}}
    frozen = freeze(value)
    value["list"].append(9)
    value["dict"]["a"].append(9)
    assert frozen == {"list": [1], "dict": {"a": [2]}}


@pytest.mark.parametrize(
    ("details", "frozen"),
    [(None, {}), ({}, {}), ({"a": 1}, {"a": 1}), ("text", {"value": "text"}), ([1], {"value": [1]}), (0, {"value": 0})],
)
def test_details_are_always_an_object(details: object, frozen: dict[str, Any]) -> None:
    """What is no mapping is found under ``value``."""
    assert freeze_details(details) == frozen


@pytest.mark.parametrize(
    "text", ["x" * 10_000_000, "é" * 1_000_000, "\x01" * 100_000], ids=["ascii", "wide", "control"]
)
def test_a_huge_text_is_shortened_and_the_rest_is_kept(text: str) -> None:
    """The beginning of the text stays, with how much is missing, and its neighbours are whole."""
    details, encoded = encode_details(freeze_details({"tool": "search", "result": text}))
    rest = len(text) - KEPT_CHARACTERS
    assert details == {"tool": "search", "result": f"{text[:KEPT_CHARACTERS]}[truncated: {rest} more characters]"}
    assert json.loads(encoded) == details


@pytest.mark.parametrize(
    "details",
    [
        {"list": ["x" * 100] * 10_000},
        {"x" * 1_000_000: 1},
        {f"key{number}": number for number in range(40_000)},
        {str(number): "\x01" * 9_000 for number in range(60)},
    ],
    ids=["list", "key", "keys", "texts"],
)
def test_encoded_details_always_fit_a_frame(details: dict[str, Any]) -> None:
    """However the size comes about, the text stays below the limit, is JSON, and says that something is missing."""
    frozen, encoded = encode_details(freeze_details(details))
    assert len(encoded.encode()) <= MAX_BYTES
    assert json.loads(encoded) == frozen
    assert "[truncated: " in encoded


def test_details_of_just_the_allowed_size_are_kept_whole() -> None:
    """The limit itself is allowed; one byte more is shortened."""
    exact = {"a": "x" * (MAX_BYTES - len('{"a":""}'))}
    assert encode_details(freeze_details(exact))[0] == exact
    assert encode_details(freeze_details({"a": exact["a"] + "x"}))[0] != exact


def test_the_same_long_text_many_times_takes_bounded_memory() -> None:
    """Thousands of references to one document are not written out before they are thrown away."""
    details = {"pages": ["x" * 1_000_000] * 100}
    tracemalloc.start()
    try:
        encode_details(freeze_details(details))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
