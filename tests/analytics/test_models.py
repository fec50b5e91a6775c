"""Signals of models' calls: the same of an emitter, of its stored trace, of a window, and of the steps of a series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.analytics.series import series_signals
from trace_streaming.analytics.windows import trace_signals, window_signals
from trace_streaming.events.model_signals import Call, model_signals
from trace_streaming.models import ModelCall, Trace

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
END = START + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _agents(settings: Settings) -> None:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    settings.TRACE_STREAMING_RECORDER = "inline"


def told(input_tokens: int, output_tokens: int, cost: float, first: float | None = None) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "cost")
    usage = zip(names, (input_tokens, output_tokens, cost), strict=True)
    first_chunk = {} if first is None else {"gen_ai.response.time_to_first_chunk": first}
    return {**{f"gen_ai.usage.{name}": value for name, value in usage}, **first_chunk}


def calls(emitter: TraceEmitter) -> None:
    """Of two models: 4 of ``big``, of which one fails and one is cancelled, and one of ``small``."""

    def call(number: int, model: str, ms: int, details: dict[str, Any], **ending: Any) -> None:
        at = START + timedelta(minutes=number)
        emitter.open_span("llm_call", model, call_id=str(number), timestamp=at)
        at += timedelta(milliseconds=ms)
        emitter.close_span("llm_call", str(number), name=model, details=details, timestamp=at, **ending)

    call(0, "big", 100, told(10, 1, 0.25, 0.02))
    call(1, "big", 300, told(20, 2, 0.25, 0.05))
    call(2, "big", 900, {}, error="busy")
    call(3, "big", 5000, told(5, 0, 0.5, 4), outcome="cancelled")
    call(30, "small", 50, {})
    emitter.close_span("tool_call", "t", name="search", duration_ms=7, timestamp=START)


# Of big: latencies 100, 300, 900: p50 is the ceil(1.5) = 2nd, p95 the 3rd; first tokens 20, 50: the 1st, and the 2nd.
BIG = {
    "model": "big",
    "calls": 3,
    "errors": 1,
    "input_tokens": 35,
    "output_tokens": 3,
    "cost": 1.0,
    "latency": {"p50": 300.0, "p95": 900.0},
    "time_to_first_token": {"p50": 20.0, "p95": 50.0},
}
SMALL = {
    "model": "small",
    "calls": 1,
    "errors": 0,
    "input_tokens": None,
    "output_tokens": None,
    "cost": None,
    "latency": {"p50": 50.0, "p95": 50.0},
    "time_to_first_token": {"p50": None, "p95": None},
}


def test_models_stand_beside_the_golden_signals() -> None:
    """These count tools alone; all ways to ask say the same of models."""
    emitter = TraceEmitter("t", name="x")
    calls(emitter)
    window = window_signals(START, END)
    for found in (emitter.get_golden_signals(), trace_signals(Trace.objects.get()), window):
        assert found["models"] == [BIG, SMALL]
        assert (found["total_steps"], found["errors"], found["latency"]["mean"]) == (1, 0, 7)
    points = series_signals(START, END, 1800)["points"]
    assert [point.get("models") for point in points] == [[BIG], [SMALL]]
    assert points[0]["total_steps"] == 1
    assert window["traces"] == 1


def test_where_no_model_was_called_nothing_is_said_of_any() -> None:
    """Golden signals are as they were; nor of a tool's."""
    emitter = TraceEmitter("t")
    emitter.close_span("tool_call", "t", name="search", duration_ms=7, timestamp=START)
    series = series_signals(START, END, 1800)["points"]
    for found in (
        emitter.get_golden_signals(),
        trace_signals(Trace.objects.get()),
        window_signals(START, END),
        *series,
    ):
        assert "models" not in found
    calls(emitter)
    assert "models" not in window_signals(START, END, tool="search")


def test_windows_are_narrowed_by_owner_time_and_metadata(django_user_model: type[User]) -> None:
    """As those of tools."""
    ada = django_user_model.objects.create_user("ada")
    calls(TraceEmitter("t", owner=ada, metadata={"team": "red"}))
    assert window_signals(START, END, owner=ada.pk)["models"] == [BIG, SMALL]
    assert "models" not in window_signals(START, END, owner=ada.pk + 1)
    assert window_signals(START, END, metadata={"team": "red"})["models"] == [BIG, SMALL]
    assert "models" not in window_signals(START, END, metadata={"team": "blue"})
    assert window_signals(START + timedelta(minutes=29), END)["models"] == [SMALL]


CALL = st.builds(
    Call,
    st.sampled_from(["a", "b", ""]),
    st.booleans(),
    st.booleans(),
    *[st.none() | st.floats(0, 1e6)] * 2,
    *[st.none() | st.integers(0, 10**9)] * 2,
    st.none() | st.floats(0, 100),
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CALL, max_size=20))
def test_a_window_of_models_equals_a_scan_of_the_calls(made: list[Call]) -> None:
    """Whatever the database reckons with: counts, sums and nearest-rank percentiles."""
    Trace.objects.all().delete()
    trace = Trace.objects.create(trace_id="t", started_at=START, last_event_at=START, model_calls=len(made))
    ModelCall.objects.bulk_create(
        ModelCall(trace=trace, sequence=n, timestamp=START, **call._asdict()) for n, call in enumerate(made)
    )
    expected = model_signals(made)
    for found in (window_signals(START, END), trace_signals(trace), series_signals(START, END, 3600)["points"][0]):
        for model, scanned in zip(found.get("models", []), expected, strict=True):
            assert model == {**scanned, "cost": pytest.approx(scanned["cost"])}
