"""The demonstration's recording is what LangGraph makes, and our adapter tells of it, today."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.frameworks.record_demo import PARTS, RECORDING, lines
from tests.frameworks.trees import shown, tree, unordered
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)


def parts(recorded: list[bytes]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for event in map(orjson.loads, recorded):
        found.setdefault(event["trace_id"], []).append(event)
    return found


def test_the_demonstration_s_recording_is_what_is_recorded_today() -> None:
    """The same names, kinds, places and outcomes, up to the question, and behind each decision."""
    try:
        made = parts(list(lines(pace=0)))
    finally:
        recorder.close()
    stored = parts(RECORDING.read_bytes().splitlines())
    assert made.keys() == stored.keys() == {"asked", *PARTS}
    for name, events in made.items():
        assert unordered(tree(events)) == unordered(tree(stored[name])), f"make recording\n{shown(tree(events))}"
