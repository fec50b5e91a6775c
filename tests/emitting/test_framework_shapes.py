"""Runs as real frameworks make them, told with blocks and with the plain form: the trees are those of an oracle.

The oracle reads events by itself; it shares nothing with the rule that the product has.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from pytest_django import Settings

from tests.events.test_spans import nodes
from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.emitting.blocks import Block
from trace_streaming.events.spans import Spans
from trace_streaming.testing import capture_events

Node: TypeAlias = tuple[str, str, str, list["Node"]]
"""Kind, name, outcome, and what is inside."""

SHAPES = {
    "a model, a tool in a tool, and the model again": """
        agent sequential ok
          llm fake-1 ok
          tool search ok
            tool lookup ok
          llm fake-1 ok""",
    "a tool that fails and takes its agent with it": """
        agent graph error
          llm fake-1 ok
          tool broken error""",
    "a tool whose failure is handled": """
        agent graph ok
          llm fake-1 ok
          tool broken error
          llm fake-1 ok""",
    "a model that is asked again": """
        agent flaky ok
          llm fake-1 error
          llm fake-1 error
          llm fake-1 ok""",
    "a run that is cancelled": """
        agent graph cancelled
          llm fake-1 ok
          tool forever cancelled""",
    "an agent inside of a tool": """
        agent supervisor ok
          llm fake-1 ok
          tool research ok
            agent researcher ok
              llm fake-1 ok
              tool lookup ok
              llm fake-1 ok
          llm fake-1 ok""",
    "a human who is asked between two runs": """
        agent graph interrupted
          llm fake-1 ok
          tool send_mail interrupted
          approval send_mail resumed
        agent graph ok
          tool send_mail ok
          llm fake-1 ok""",
    "one agent hands over to another": """
        agent triage ok
          llm fake-1 ok
          route billing
        agent billing ok
          llm fake-1 ok
          tool lookup ok
          llm fake-1 ok""",
    "steps of a graph, and a stream that nobody reads to its end": """
        agent graph ok
          step retrieve ok
            step rerank ok
            llm embed ok
          step answer abandoned
            llm fake-1 abandoned
          step alarm triggered""",
}
FAMILIES = {"tool": "tool_call", "llm": "llm_call", "agent": "agent", "step": "step"}


def parsed(shape: str) -> list[Node]:
    roots: list[Node] = []
    above: list[tuple[int, list[Node]]] = [(-1, roots)]
    for line in filter(str.strip, shape.splitlines()):
        indent = len(line) - len(line.lstrip())
        kind, name, *outcome = line.split()
        node: Node = (kind, name, " ".join(outcome), [])
        while above[-1][0] >= indent:
            above.pop()
        above[-1][1].append(node)
        above.append((indent, node[3]))
    return roots


def oracle(events: list[dict[str, Any]]) -> list[Node]:
    """The tree of events, each node as a shape has it; siblings in the order of their starts."""
    rows: dict[str, dict[str, Any]] = {}
    kinds = {family: kind for kind, family in FAMILIES.items()}
    for number, event in enumerate(events):
        name, details = event["event"], event["details"]
        family, _, what = name.rpartition("_")
        if family in kinds:
            row = rows.setdefault(details["call_id"], {"at": number, "outcome": "open", "parent": None})
            row["kind"] = kinds[family]
            row["name"] = details.get("tool") or details.get("name") or row.get("name")
            if what != "start":
                assert row["outcome"] == "open"
                told = {"success": "ok", "error": "error"}.get(event["status"], event["status"])
                row["outcome"] = details.get("outcome") or told
        elif family == "approval":
            row = rows.setdefault(f" {details['approval_id']}", {"at": number, "kind": "approval", "parent": None})
            row["name"] = details.get("action") or row["name"]
            row["outcome"] = details.get("decision", "open")
        else:
            row = rows[f" {number}"] = {"at": number, "kind": "route", "parent": None, "outcome": ""}
            row["name"] = details["agent_selected"]
        row["parent"] = details.get("parent_call_id") or row["parent"]
        row["time"] = min(row.get("time", event["timestamp"]), event["timestamp"])

    def inside(parent: str | None) -> list[Node]:
        found = [(row["time"], row["at"], key) for key, row in rows.items() if row["parent"] == parent]
        return [(rows[k]["kind"], rows[k]["name"], rows[k]["outcome"], inside(k)) for *_, k in sorted(found)]

    return inside(None)


@pytest.fixture(autouse=True)
def events(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    with capture_events() as captured:
        yield captured


PASSING = {"error": RuntimeError, "cancelled": asyncio.CancelledError, "abandoned": GeneratorExit}


def play(emitter: TraceEmitter, shape: list[Node]) -> None:
    """With blocks; what passes them is what their outcomes say."""
    for kind, name, outcome, below in shape:
        if kind == "route":
            emitter.emit("route_decision", {"agent_selected": name}, "success")
        elif kind == "approval":
            emitter.emit("approval_requested", {"approval_id": name, "action": name})
            emitter.emit("approval_received", {"approval_id": name, "decision": outcome}, "success")
        else:
            block: Block = getattr(emitter, FAMILIES[kind])(name)
            try:
                with block:
                    play(emitter, below)
                    if outcome in PASSING:
                        raise PASSING[outcome]
                    block.outcome = None if outcome == "ok" else outcome
            except (RuntimeError, asyncio.CancelledError, GeneratorExit):
                pass


def tell(emitter: TraceEmitter, shape: list[Node], parent: str | None, clock: Iterator[datetime]) -> None:
    """With the plain form, as an adapter would that knows only at its end what a span was."""
    for kind, name, outcome, below in shape:
        inside = {} if parent is None else {"parent_call_id": parent}
        if kind == "route":
            emitter.emit("route_decision", {"agent_selected": name, **inside}, "success", timestamp=next(clock))
        elif kind == "approval":
            asked = {"approval_id": name, "action": name, **inside}
            emitter.emit("approval_requested", asked, timestamp=next(clock))
            decided = {"approval_id": name, "decision": outcome}
            emitter.emit("approval_received", decided, "success", timestamp=next(clock))
        else:
            call_id = emitter.open_span("step", "span", parent_call_id=parent, timestamp=next(clock))
            tell(emitter, below, call_id, clock)
            ending: dict[str, Any] = {"error": "it failed"} if outcome == "error" else {"outcome": outcome}
            ending = {} if outcome == "ok" else ending
            emitter.close_span(FAMILIES[kind], call_id, name=name, timestamp=next(clock), **ending)


def clock() -> Iterator[datetime]:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    while True:
        at += timedelta(milliseconds=1)
        yield at


def of_the_product(events: list[dict[str, Any]]) -> list[Node]:
    """Approvals as the oracle has them: with what was decided."""
    decided = (event["details"] for event in events if event["event"] == "approval_received")
    decisions = {details["approval_id"]: details["decision"] for details in decided}

    def shown(tree: list[list[Any]]) -> list[Node]:
        return [
            (kind, name, str(decisions[name]) if kind == "approval" else outcome, shown(inside))
            for kind, name, outcome, _, inside in tree
        ]

    return shown(nodes(Spans(events).roots()))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_blocks_make_the_trees_of_real_frameworks(events: list[dict[str, Any]], shape: str) -> None:
    """As the oracle reads them, and as the product does."""
    play(TraceEmitter(), parsed(shape))
    assert oracle(events) == parsed(shape)
    assert of_the_product(events) == parsed(shape)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_plain_form_makes_them_in_any_order_of_arrival(events: list[dict[str, Any]], shape: str) -> None:
    """What an exporter sends late, or first, is where it belongs."""
    tell(TraceEmitter(), parsed(shape), None, clock())
    assert oracle(events) == parsed(shape)
    shuffled = random.Random(20)
    for _ in range(10):
        arriving = shuffled.sample(events, len(events))
        assert of_the_product(arriving) == parsed(shape)


async def test_calls_at_the_same_time_are_siblings(events: list[dict[str, Any]]) -> None:
    """A tool in a thread of its own, one in a task, and one inside of another."""
    emitter = TraceEmitter()

    def lookup() -> None:
        with emitter.tool_call("lookup"):
            pass

    async def search() -> None:
        async with emitter.tool_call("search"):
            await asyncio.to_thread(lookup)

    async with emitter.agent("graph"):
        async with emitter.llm_call("fake-1"):
            pass
        await asyncio.gather(search(), asyncio.to_thread(lookup), asyncio.to_thread(lookup))
    (agent,) = oracle(events)
    inside: list[Node] = [
        ("llm", "fake-1", "ok", []),
        *[("tool", "lookup", "ok", [])] * 2,
        ("tool", "search", "ok", [("tool", "lookup", "ok", [])]),
    ]
    assert (agent[:3], sorted(agent[3], key=repr)) == (("agent", "graph", "ok"), inside)
