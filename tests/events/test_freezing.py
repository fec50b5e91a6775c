"""Details are copied into what JSON can carry, whatever they are."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import functools
import gc
import json
import math
import numbers
import signal
import sys
import time as time_module
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from unittest.mock import AsyncMock, MagicMock

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.http.request import HttpHeaders
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.events.fitting import encode_details
from trace_streaming.events.freezing import (
    KEPT_CHARACTERS,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    encode,
    freeze,
    freeze_details,
)
from trace_streaming.events.texts import cut
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


class Shelf(Mapping[str, int]):
    """A mapping that is read from somewhere."""

    read = 0

    def __len__(self) -> int:
        self.read += 1
        return 1

    def __iter__(self) -> Iterator[str]:
        self.read += 1
        return iter(["a"])

    def __getitem__(self, key: str) -> int:
        self.read += 1
        return 1


class Point(NamedTuple):
    x: int
    password: str


class Single:
    """Like numpy's numbers, which are no floats."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


numbers.Real.register(Single)


@dataclasses.dataclass(init=False)
class Unset:
    number: int
    parts: list[int]

    def __init__(self) -> None:
        self.parts = [1]


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
        (RaisingMapping(a=1), {"a": 1}),
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
    frozen = freeze({"user": SimpleLazyObject(lambda: evaluated.append("query"))})
    assert (frozen, evaluated) == ({"user": "[unevaluated SimpleLazyObject]"}, [])
    seen = SimpleLazyObject(lambda: {"a": 1})
    assert seen["a"] == 1
    assert freeze(seen) == {"a": 1}


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
    assert f"[truncated: deeper than {MAX_DEPTH} levels]" in encode(freeze([[kept]]))


def test_what_contains_itself_is_named_where_it_does() -> None:
    """A cycle costs no more than what is in it, and hides nothing of its neighbours."""
    itself: list[Any] = [1]
    itself.append(itself)
    mirror: dict[str, Any] = {}
    mirror |= {"k": [{"p": mirror}, {"p": mirror}], "duration_ms": 3}
    step = Step(1, [])
    step.parts.append(step)
    assert freeze([itself, mirror, step]) == [
        [1, "[circular]"],
        {"k": [{"p": "[circular]"}, {"p": "[circular]"}], "duration_ms": 3},
        {"number": 1, "parts": ["[circular]"]},
    ]
    shared = [1]
    assert freeze([shared, shared]) == [[1], [1]]


def test_containers_that_branch_into_themselves_end_soon() -> None:
    """Two references to the next, sixty times, would be 2**60 values; the budget of values ends that."""
    branching: list[Any] = []
    for _ in range(60):
        branching = [branching, branching]
    assert encode(freeze(branching)).count("[") < 3 * MAX_VALUES


@pytest.mark.parametrize("many", [[0] * (MAX_VALUES + 10), dict.fromkeys(map(str, range(MAX_VALUES + 10)), 0)])
def test_too_many_values_are_cut_off_with_a_marker(many: Any) -> None:
    """What comes after the last value that is kept is replaced by a marker that says so."""
    frozen = freeze(many)
    assert isinstance(frozen, list | dict)
    assert len(frozen) == MAX_VALUES
    last = frozen["truncated"] if isinstance(frozen, dict) else frozen[-1]
    assert last == "[truncated: 11 more values]"


def test_what_is_lazy_is_named_and_not_asked() -> None:
    """A page of a query, a sequence or a mapping of a stranger's may read anything. Invariant 3."""
    endless = Endless()
    lazy = Page(User.objects.order_by("pk"), 1, Paginator(User.objects.order_by("pk"), 2))
    shelf = Shelf()
    assert freeze([endless, lazy, shelf, User.objects.raw("SELECT 1"), (n for n in [1])]) == [
        "[unevaluated Endless]",
        "[unevaluated Page]",
        "[unevaluated Shelf]",
        "[RawQuerySet of User]",
        "<generator object test_what_is_lazy_is_named_and_not_asked.<locals>.<genexpr>>",
    ]
    assert (endless.read, shelf.read) == (0, 0)


@pytest.mark.parametrize(
    ("value", "frozen"),
    [
        (Point(1, "hunter2"), {"x": 1, "password": "hunter2"}),
        (QueryDict("a=1&a=2&b=3"), {"a": ["1", "2"], "b": ["3"]}),
        (collections.UserDict({"a": 1}), {"a": 1}),
        (collections.UserList([1]), [1]),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({"a": 1}.keys(), ["a"]),
        (HttpHeaders({"HTTP_ACCEPT": "x"}), {"Accept": "x"}),
        (PurePosixPath("/a"), "/a"),
        (Unset(), {"number": "[unset]", "parts": [1]}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
        ({None: 1, "null": 2}, {"null": 1, "null (2)": 2}),
        ({True: 1, "true": 2, "true (2)": 3}, {"true": 1, "true (2)": 2, "true (2) (2)": 3}),
        (10**100, "1" + "0" * 100),
        ([2**63] * 200, ["9223372036854775808"] * 200),
        ([math.nan, 1] * 100, [None, 1] * 100),
    ],
)
def test_values_are_shown_with_all_that_they_hold(value: object, frozen: object) -> None:
    """Names of fields, all values of a query's key, both of two keys that become the same text, every digit."""
    assert freeze(value) == frozen


def test_a_pydantic_model_is_read_and_not_computed() -> None:
    """What it leaves out of its own dumps stays out."""

    class Field:
        def __init__(self, *, exclude: bool | None = None) -> None:
            self.exclude = exclude

    class Answer:
        __pydantic_fields__: ClassVar = {"text": Field(), "secret": Field(exclude=True)}

        def __init__(self) -> None:
            self.text, self.secret = ["yes"], "x"

        def model_dump(self) -> None:
            raise AssertionError

    assert freeze(Answer()) == {"text": ["yes"]}


@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("duration_ms", Decimal("12.5"), 12.5),
        ("duration_ms", timedelta(seconds=2), 2000.0),
        ("duration_ms", Fraction(1, 2), 0.5),
        ("duration_ms", Single(1.5), 1.5),
        ("total", Decimal(10), 10.0),
        ("duration_ms", Decimal("1e400"), "1E+400"),
        ("price", Decimal("1.10"), "1.10"),
    ],
)
def test_exact_numbers_are_numbers_where_they_are_reckoned_with(key: str, value: object, number: object) -> None:
    """A duration of a database's decimal counts like any other."""
    assert freeze_details({key: value}) == {key: number}


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_a_stranger_raises_ends_nothing(kind: type[BaseException]) -> None:
    """Only a caller's mistake comes out of an emit. Invariant 3."""

    class Raising:
        def __str__(self) -> str:
            raise kind

    assert freeze({"a": Raising(), Raising(): 1})["a"] == "[unserialisable Raising]"  # type: ignore[call-overload, index]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_process_is_not_swallowed(number: signal.Signals) -> None:
    """Ctrl-C, and a handler that exits, reach the program in the middle of an emit, too."""

    class Slow:
        def __str__(self) -> str:
            signal.raise_signal(number)
            return "slow"

    def stop(*args: object) -> None:
        sys.exit(3)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            freeze(Slow())
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "emoji", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd"]
)
def test_a_cut_leaves_no_half_of_a_character(emoji: str) -> None:
    """What is seen as one is kept or goes whole."""
    for length in range(20, 30):
        kept = cut("x" * 20 + emoji * 5, length)[20:]
        assert kept == emoji * (len(kept) // len(emoji))
        assert length - len(kept) - 20 < len(emoji)


HUGE: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"x" * 50_000_000,
    "binary": lambda: b"\xff" * 50_000_000,
    "memoryview": lambda: memoryview(bytes(50_000_000)),
    "text": lambda: "x" * 50_000_000,
    "wide": lambda: "\U0001f600" * 10_000_000,
    "control": lambda: "\x01" * 1_000_000,
    "texts": lambda: ["x" * 1000] * 100_000,
    "numbers": lambda: list(range(1_000_000)),
    "floats": lambda: [0.1] * 1_000_000,
    "objects": lambda: [{"a": i} for i in range(100_000)],
    "keys": lambda: dict.fromkeys(map(str, range(200_000)), 0),
    "set": lambda: set(range(200_000)),
    "deep": lambda: functools.reduce(lambda inner, _: [inner], range(50_000), []),  # type: ignore[arg-type, return-value]
    "braided": lambda: functools.reduce(lambda inner, _: {"a": inner, "b": inner}, range(60), {}),  # type: ignore[arg-type, return-value]
    "dumped": lambda: "[" * 1_000_000,
}


def peak_memory(details: object) -> int:
    """Bytes at most, while an event is made of them."""
    tracemalloc.start()
    try:
        encode_details(freeze_details(details))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HUGE)
def test_what_freezing_takes_is_bounded_by_its_limits(name: str) -> None:
    """Neither time nor memory grows with what is handed in, and what pairs the event is kept. Invariant 3."""
    details = {"result": HUGE[name](), "call_id": "c1", "tool": "t", "duration_ms": 2}
    times = []
    gc.disable()  # it would look at whatever else the tests have made
    try:
        for _ in range(3):
            started = time_module.process_time()
            frozen, text = encode_details(freeze_details(details))
            times.append(time_module.process_time() - started)
    finally:
        gc.enable()
    peak = peak_memory(details)
    assert (frozen["call_id"], frozen["tool"], frozen["duration_ms"]) == ("c1", "t", 2)
    assert "[truncated: " in text
    assert len(text.encode()) <= MAX_BYTES
    assert peak < 20_000_000
    assert min(times) < 0.25  # of a slow machine; a quiet one takes a tenth
    del details


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


INSIDE: dict[str, Callable[[Any], Any]] = {
    "a key": lambda huge: {"status": 200, "content": huge, "ok": True},
    "a key of a key": lambda huge: {"status": 200, "response": {"content": huge}, "ok": True},
    "content of MCP": lambda huge: {"status": 200, "content": [{"type": "text", "text": huge}], "ok": True},
}
MANY_LINES = "a line \\n\n" * 24_000
"""Fewer characters than are read, and more bytes than are kept."""


HUGE_INSIDE = [MANY_LINES, "ж" * 200_000, ["a line of text"] * 15_000]


@pytest.mark.parametrize("huge", HUGE_INSIDE, ids=["lines", "wide", "list"])
@pytest.mark.parametrize("place", INSIDE)
def test_of_what_is_huge_inside_of_a_value_the_beginning_is_kept(place: str, huge: Any) -> None:
    """So are its small neighbours, in their order: most tools answer with an object."""
    frozen: Any = encode_details(freeze_details({"tool": "fetch", "result": INSIDE[place](huge)}))[0]
    assert list(frozen["result"])[:1] + list(frozen["result"])[2:] == ["status", "ok"]
    assert (frozen["result"]["status"], frozen["result"]["ok"]) == (200, True)
    text = encode(frozen["result"])
    assert text.count(huge[0]) > 400
    assert len(text.encode()) <= KEPT_CHARACTERS


@pytest.mark.parametrize("many", [["some words"] * 30_000, dict.fromkeys(map(str, range(30_000)), "words")])
def test_what_two_limits_have_cut_off_is_counted_together(many: Any) -> None:
    """What is kept, and what the marker says is missing, are all."""
    frozen: Any = encode_details(freeze_details({"result": many}))[0]["result"]
    marker = frozen.pop() if isinstance(frozen, list) else frozen.pop("truncated")
    assert marker == f"[truncated: {30_000 - len(frozen)} more values]"


def test_a_text_that_is_shortened_twice_says_all_that_is_missing() -> None:
    frozen: Any = encode_details(freeze_details({"result": {"a": "x" * 1_000_000, "b": ["y" * 70] * 4_000}}))[0]
    kept, marker = frozen["result"]["a"].split("[")
    assert marker == f"truncated: {1_000_000 - len(kept)} more characters]"


@pytest.mark.parametrize("beginning", ["iVBORw0KGgo", "/9j/", "JVBERi0"])
@pytest.mark.parametrize("address", ["", "data:image/png;base64,", "data:text/plain;charset=utf-8;base64,"])
def test_of_a_huge_file_nothing_is_kept(address: str, beginning: str) -> None:
    """Half a picture is none; there is more room for what stands beside it."""
    content = f"{beginning}{'A' * 100_000}"
    pages = [{"type": "image", "data": f"{address}{content}"}] * 40
    details: Any = encode_details(freeze_details({"pages": pages, "said": "x" * 20_000}))[0]
    whole, shortened = f"{address}{content}", f"{address}[truncated: {len(content)} characters]"
    assert [page["data"] for page in details["pages"]] == [whole, whole, *[shortened] * 38]
    assert details["said"] == "x" * 20_000


@pytest.mark.parametrize("text", ["/9j/ is how", "data: " + "a" * 10, "data:image/png;base64 " + "b" * 10])
def test_what_only_begins_like_a_file_is_a_text(text: str) -> None:
    """Its beginning is kept."""
    long = f"{text} {'x' * 300_000}"
    frozen: Any = freeze_details({"a": long})
    assert frozen["a"].startswith(long[: KEPT_CHARACTERS // 2])


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
    assert peak_memory(details) < 20_000_000


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
NESTED = st.recursive(
    PLAIN, lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=4), inside), max_leaves=30
)


@given(st.dictionaries(st.text(max_size=8) | st.integers(), NESTED, max_size=40))
def test_what_is_copied_is_what_is_frozen(details: dict[Any, Any]) -> None:
    """Details of few plain values take a shorter way; what is inside of other details takes the long one."""
    assert freeze_details(details) == freeze([details])[0]  # type: ignore[index]


def test_a_copy_holds_nothing_of_what_was_handed_in() -> None:
    """Whoever emits may go on with it."""
    details: dict[str, Any] = {"args": {"rows": [1, [2]]}, "tool": "search"}
    frozen = freeze_details(details)
    details["args"]["rows"][1].append(3)
    details["args"]["more"] = 1
    assert frozen == {"args": {"rows": [1, [2]]}, "tool": "search"}


def test_a_deep_or_long_value_takes_the_long_way_and_is_bounded() -> None:
    deep: Any = {}
    for _ in range(MAX_DEPTH * 2):
        deep = {"in": deep, "also": [deep]}
    long = {"a": ["x" * 30_000] * 3, "b": "x" * MAX_BYTES}
    for details in ({"deep": deep}, long):
        frozen, text = encode_details(freeze_details(details))
        assert len(text.encode()) <= MAX_BYTES
        assert frozen


def test_a_file_whose_kind_is_in_any_letters_is_made_to_fit() -> None:
    """A kind is ASCII; what only looks like a file is a text as others are, however little room is left for it."""
    file = f"data:{chr(0x20000) * 80}{(';' + chr(0x20000) * 40) * 3};base64,{'A' * 400_000}"
    for length in range(6_500, 8_000, 50):
        details: dict[str, Any] = {"result": {"text": "x" * length, "file": file}}
        assert len(encode_details(details)[1]) < 9_000
