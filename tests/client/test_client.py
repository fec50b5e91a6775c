"""The browser's client and the viewer's plain modules, tested in node: the cases are in ``*.test.mjs``."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.events.test_spans import nodes
from trace_streaming.events import format_timestamp
from trace_streaming.events.spans import Spans

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.test.mjs"))
FIRST_VERSION = 20
"""The first major version of node whose test runner can hold the clock."""


@pytest.fixture(scope="session")
def node() -> str:
    """The system's node."""
    executable = shutil.which("node")
    if executable is None:
        pytest.skip("No node is installed")
    version = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < FIRST_VERSION:
        pytest.skip(f"node {version.strip()} is older than {FIRST_VERSION}")
    return executable


def random_trace(random: Random) -> list[dict[str, Any]]:
    """Spans with and without ids, in circles, cut in half, under two families, repeated, in no order."""
    events: list[dict[str, Any]] = []
    for number in range(random.randint(1, 12)):
        call_id = random.choice([f"c{number}", f"c{number // 2}", number, None])
        details: dict[str, Any] = {
            "call_id": call_id,
            "name": f"n{number % 3}",
            "tool": random.choice(["", f"t{number % 3}"]),
        }
        if random.random() < 0.6:
            details["parent_call_id"] = random.choice([f"c{random.randint(0, 12)}", random.randint(0, 12), ""])
        for what in random.choice([("start",), ("complete",), ("start", "complete"), ("start", "error", "complete")]):
            told: dict[str, Any] = (
                {} if what == "start" else random.choice([{}, {"duration_ms": 2.5}, {"outcome": "cancelled"}])
            )
            name = random.choice(["tool_call", "llm_call", "agent", "step"]) + f"_{what}"
            events.append({"event": name, "status": "success", "details": {**details, **told}})
        if random.random() < 0.3:
            name = random.choice(["approval_requested", "approval_received", "plan_created", "route_decision"])
            events.append({"event": name, "status": "pending", "details": {**details, "approval_id": number // 3}})
    random.shuffle(events)
    for sequence, event in enumerate(events, 1):
        at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(microseconds=random.randint(0, 10**7) * 100)
        event |= {"sequence": sequence, "timestamp": format_timestamp(at)}
    return [*events, *events[:2]]


def test_python_and_the_viewer_make_the_same_trees(node: str) -> None:
    """Of a thousand random traces: pairs, nesting, order, names, outcomes and durations."""
    random = Random(20)
    traces = [random_trace(random) for _ in range(1000)]
    command = [node, str(FOLDER / "trees.mjs")]
    result = subprocess.run(command, check=True, capture_output=True, input=json.dumps(traces).encode())
    trees = json.loads(result.stdout)
    for trace, tree in zip(traces, trees, strict=True):
        assert rounded(nodes(Spans(trace).roots())) == tree


def rounded(tree: list[list[Any]]) -> list[list[Any]]:
    """Durations to the microsecond: a browser's numbers have no more digits of times since 1970."""
    return [[*node[:3], None if node[3] is None else round(node[3], 3), rounded(node[4])] for node in tree]


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_in_node(node: str, cases: Path) -> None:
    """Every case of one file."""
    result = subprocess.run([node, "--test", str(cases)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
