"""Which events are one span, and what it is inside of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_streaming.events import format_timestamp
from trace_streaming.events.pairs import OUTCOMES
from trace_streaming.events.spans import Span, Spans

CASES: list[dict[str, Any]] = orjson.loads((Path(__file__).parent / "span_cases.json").read_bytes())
"""What the rule makes of events: each is a name, a time, a status and details; a node of a tree is a kind, a name, an
outcome, a duration in ms and children. The viewer's twin runs them, too (``tests/client/spans.test.mjs``)."""
BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)


def events_of(rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return [
        {"event": name, "timestamp": time, "status": status, "details": details, "sequence": number}
        for number, (name, time, status, details) in enumerate(rows, 1)
    ]


def nodes(spans: Iterable[Span]) -> list[list[Any]]:
    """As the cases have them."""
    return [[span.kind, span.name, span.outcome, span.duration_ms, nodes(span.children)] for span in spans]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_the_rule_for_pairs_and_trees(case: dict[str, Any]) -> None:
    """Each line of the table, which the viewer obeys as well."""
    events = events_of(case["events"])
    assert nodes(Spans(events).roots()) == case["tree"]
    assert nodes(Spans([*events, *events]).roots()) == case["tree"]  # what comes again is there already


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of spans with ids, parents and times of their own, some without a start, some without an end."""
    count = draw(st.integers(1, 8))
    times = draw(st.lists(st.integers(-(10**9), 10**9), min_size=2 * count, max_size=2 * count, unique=True))
    families = st.sampled_from(["tool_call", "llm_call", "agent", "step"])
    rows: list[tuple[str, str, str, dict[str, Any]]] = []
    for number in range(count):
        parent = draw(st.none() | st.integers(0, count))
        identity = {"call_id": f"c{number}"} | ({} if parent is None else {"parent_call_id": f"c{parent}"})
        began, ended = (format_timestamp(BEGIN + timedelta(milliseconds=ms)) for ms in times[2 * number :][:2])
        halves = draw(st.sampled_from(["both", "start", "end"]))
        if halves != "end":
            rows.append((f"{draw(families)}_start", began, "pending", {**identity, "name": f"n{number}"}))
        if halves != "start":
            told = draw(st.sampled_from([{}, {"outcome": "cancelled"}, {"name": "other"}]))
            status = draw(st.sampled_from(["success", "warning", "error"]))
            rows.append((f"{draw(families)}_complete", ended, status, {**identity, **told}))
    return events_of(rows)


@settings(deadline=None)
@given(traces(), st.data())
def test_the_tree_does_not_depend_on_the_order_of_arrival(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Permutations, repeats and looks in between: the same pairs, tree, names, outcomes and times."""
    told = nodes(Spans(events).roots())
    arriving = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events)))]))
    spans = Spans()
    for event in arriving:
        spans.add(event)
        if data.draw(st.booleans()):
            spans.roots()
    assert nodes(spans.roots()) == told


@settings(deadline=None)
@given(traces())
def test_every_event_is_in_the_tree_once(events: list[dict[str, Any]]) -> None:
    """Whatever names itself as its ancestor: nothing is lost, and nothing hangs."""
    found: list[int] = []
    waiting = Spans(events).roots()
    while waiting:
        span = waiting.pop()
        found += [event["sequence"] for event in span.events]
        waiting += span.children
    assert sorted(found) == [event["sequence"] for event in events]


def test_a_chain_of_thousands_is_a_tree() -> None:
    """Depth is nobody's stack."""
    rows = [
        ("agent_start", format_timestamp(BEGIN), "pending", {"call_id": str(n), "parent_call_id": str(n - 1)})
        for n in reversed(range(20_000))
    ]
    depth, below = 0, Spans(events_of(rows)).roots()
    while below:
        depth, below = depth + 1, below[0].children
    assert depth == 20_000


def test_outcomes_are_those_that_are_documented() -> None:
    """Names that readers and adapters rely on."""
    assert sorted(OUTCOMES) == ["abandoned", "cancelled", "interrupted", "triggered"]
