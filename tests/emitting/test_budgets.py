"""A budget warns once, and says once that it is exceeded."""

from __future__ import annotations

from typing import Any

import pytest

from trace_streaming import TraceEmitter


def said(emitter: TraceEmitter) -> list[tuple[str, float]]:
    return [(event["event"], event["details"]["utilization"]) for event in emitter.get_trace()]


def test_it_speaks_at_the_threshold_and_at_the_limit_once_each() -> None:
    """200, of which 160 are used at the start: the warning is due at once."""
    emitter = TraceEmitter()
    budget = emitter.budget(total=200, used=160, name="tokens")
    assert emitter.events[0]["details"] == {"budget": "tokens", "total": 200, "used": 160, "utilization": 0.8}
    for amount in (10, 29, 1, 50):
        budget.spend(amount)
    assert said(emitter) == [("budget_warning", 0.8), ("budget_exceeded", 1.0)]
    assert (budget.used, budget.utilization, budget.is_exceeded) == (250, 1.25, True)
    assert [event["status"] for event in emitter.events] == ["warning", "error"]


def test_below_the_threshold_it_is_silent() -> None:
    """And over both at once, only the limit is said."""
    emitter = TraceEmitter()
    budget = emitter.budget(total=1.0, warn_at=0.5)
    budget.spend(0.49)
    assert said(emitter) == []
    budget.spend(9)
    assert said(emitter) == [("budget_exceeded", 9.49)]


@pytest.mark.parametrize(
    "arguments", [{"total": 0}, {"total": -1}, {"total": float("nan")}, {"total": 1, "warn_at": 2}]
)
def test_a_budget_that_is_none_is_refused(arguments: dict[str, Any]) -> None:
    """Told to the caller, at once."""
    with pytest.raises(ValueError, match=r"total|share"):
        TraceEmitter().budget(**arguments)
