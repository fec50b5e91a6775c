"""Signals over time and by tool: the same as windows of the same parts, and as counted by hand."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from trace_streaming.analytics.series import series_signals, tool_signals, usual_step
from trace_streaming.analytics.windows import window_signals
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceEvent, TraceStart, format_timestamp
from trace_streaming.storage import store

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
END = START + timedelta(minutes=10)

pytestmark = pytest.mark.django_db


def event(name: str, at: float, trace_id: str = "a", **details: Any) -> TraceEvent:
    return make_event(trace_id, name, details, "success", timestamp=START + timedelta(seconds=at))[0]


def at_random() -> list[TraceEvent]:
    """Of all kinds that are measured, with and without what is measured, in three traces."""
    chance = random.Random(3)
    names = ["tool_call_complete", "tool_call_error", "approval_received", "plan_created", "budget_warning"]
    return [
        event(
            chance.choice(names),
            chance.uniform(0, 599),
            chance.choice("abc"),
            tool=chance.choice("xyz"),
            used=1,
            total=2,
            **chance.choice([{}, {"duration_ms": chance.randint(1, 99), "waited_ms": chance.randint(1, 99)}]),
        )
        for _ in range(300)
    ]


def flat(part: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """The signals that are in ``like``, without their nesting."""
    nested = {name: part[name] if isinstance(value, dict) else {"": part[name]} for name, value in like.items()}
    return {f"{name} {key}": each for name, value in nested.items() for key, each in value.items()}


def test_every_step_of_a_series_is_what_its_window_says() -> None:
    """Also where nothing happened, and of a part of the events."""
    user = User.objects.create_user("ada")
    store.append([TraceStart("a", START, user.pk, '{"team": "red"}'), *at_random()])
    late = START + timedelta(minutes=20)
    for asked in ({}, {"owner": user.pk}, {"tool": "x"}, {"metadata": {"team": "red"}}):
        found = series_signals(START, late, 60, **asked)
        assert len(found["points"]) == 20
        for number, point in enumerate(found["points"]):
            begun = START + timedelta(minutes=number)
            assert point.pop("at") == format_timestamp(begun)
            expected = window_signals(begun, begun + timedelta(minutes=1), **asked)
            assert flat(point, point) == pytest.approx(flat(expected, point)), number


def test_every_tool_is_what_its_window_says() -> None:
    """In both lists, in their orders."""
    store.append(at_random())
    found = tool_signals(START, END, 10)
    assert found["tools"] == len(found["slowest"]) == len(found["failing"]) == 3
    assert [t["latency"]["p95"] for t in found["slowest"]] == sorted(
        (t["latency"]["p95"] for t in found["slowest"]), reverse=True
    )
    assert [t["errors"] for t in found["failing"]] == sorted((t["errors"] for t in found["failing"]), reverse=True)
    for tool in found["slowest"] + found["failing"]:
        signals = {name: value for name, value in tool.items() if name != "tool"}
        expected = window_signals(START, END, tool=tool["tool"])
        assert flat(signals, signals) == pytest.approx(flat(expected, signals))


def test_a_series_and_tools_by_hand() -> None:
    """Three calls and an answer in the first minute, one call in the third; one tool has no name."""
    store.append(
        [
            event("tool_call_complete", 0, tool="fast", duration_ms=10),
            event("tool_call_complete", 30, tool="fast", duration_ms=20),
            event("tool_call_error", 59.9, tool="slow", duration_ms=900),
            event("approval_received", 10, waited_ms=5000),
            event("tool_call_complete", 120, duration_ms=50),
            event("tool_call_complete", 180, tool="fast", duration_ms=1),
        ]
    )
    found = series_signals(START, START + timedelta(seconds=180), 60)
    first, second, third = found["points"]
    assert (first["total_steps"], first["errors"], first["success_rate"]) == (2, 1, pytest.approx(2 / 3))
    assert first["latency"] == {"p50": 20.0, "p95": 900.0, "p99": 900.0, "mean": 310.0}
    assert first["approval_wait_time"] == {"p95": 5000.0, "mean": 5000.0}
    assert (second["total_steps"], second["success_rate"], second["latency"]["p50"]) == (0, None, None)
    assert (third["total_steps"], third["tool_error_rate"]) == (1, 0.0)  # the call at 180 s is behind the end
    tools = tool_signals(START, START + timedelta(seconds=180), 2)
    assert tools["tools"] == 3
    assert [tool["tool"] for tool in tools["slowest"]] == ["slow", None]
    assert [(tool["tool"], tool["errors"], tool["error_rate"]) for tool in tools["failing"]] == [("slow", 1, 1.0)]


def test_steps_begin_at_their_multiples() -> None:
    """So a window that moves has the same steps; its first is whole, its last is not."""
    store.append([event("tool_call_complete", 1, tool="x", duration_ms=1)])
    found = series_signals(START + timedelta(seconds=20), START + timedelta(seconds=90), 60)
    assert [point["at"] for point in found["points"]] == [
        format_timestamp(START),
        format_timestamp(START + timedelta(seconds=60)),
    ]
    assert found["points"][0]["total_steps"] == 1


@pytest.mark.parametrize(
    ("hours", "step"),
    [(0.25, 15), (1, 60), (6, 600), (24, 1800), (168, 14_400), (10_080, 604_800), (99_999, 6_048_000)],
)
def test_the_usual_step_is_round(hours: float, step: int) -> None:
    """At most 60 in a window; of years, they are whole weeks."""
    assert usual_step(START, START + timedelta(hours=hours)) == step


def test_no_window_has_no_steps() -> None:
    """One that ends before it begins, too."""
    assert series_signals(START, START, 60)["points"] == []
    assert series_signals(END, START, 60)["points"] == []
