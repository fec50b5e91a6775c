"""Numbers that no duration is: every door answers with finite ones, and what cannot be known is null."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.admin.signals_table import milliseconds
from trace_streaming.analytics.series import series_signals
from trace_streaming.emitting.project_events import event_from, make_event
from trace_streaming.events.golden_signals import golden_signals
from trace_streaming.exporting.perfetto import chrome_events
from trace_streaming.models import Event, Trace
from trace_streaming.remote.terminal import event_line
from trace_streaming.storage import store
from trace_streaming.testing import capture_events

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)
IMPOSSIBLE: list[Any] = [1e308, 1.7e18, -5, -1e308, 10**30, 2**63 - 1, math.nan, math.inf, True, "12"]
DOORS = [
    "/api/signals/",
    "/api/signals/series",
    "/api/signals/tools",
    "/api/traces/t/signals",
    "/api/traces/t/",
    "/api/traces/",
    "/api/traces/t/export/?format=chrome",
    "/admin/trace_streaming/trace/",
    "/admin/trace_streaming/event/",
]


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def used(number: Any) -> dict[str, Any]:
    """What a call of a model says that it took."""
    counts = {"input_tokens": number, "output_tokens": number, "cost": number}
    told = {f"gen_ai.usage.{name}": count for name, count in counts.items()}
    return {**told, "duration_ms": number, "gen_ai.response.time_to_first_chunk": number}


def append(*numbers: Any) -> None:
    for number in numbers:
        store.append(
            [
                make_event("t", name, details, "success", timestamp=NOW - timedelta(minutes=1))[0]
                for name, details in [
                    ("tool_call_complete", {"tool": "a", "duration_ms": number}),
                    ("tool_call_complete", {"tool": "a", "duration_ms": number}),
                    ("approval_received", {"approval_id": "1", "waited_ms": number}),
                    ("budget_exceeded", {"used": number, "total": number}),
                    ("budget_exceeded", {"used": number, "total": 1e-308}),
                    *[("llm_call_complete", used(number)) for _ in range(3)],
                ]
            ]
        )


def body(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, (path, response.status_code)
    content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return json.loads(content, parse_constant=pytest.fail) if path.startswith("/api") else content.decode()


@pytest.mark.parametrize("number", IMPOSSIBLE, ids=str)
def test_no_number_breaks_a_page(client: Client, number: Any) -> None:
    """One event with a wrong unit took the window's signals from everybody."""
    append(number)
    for path in DOORS:
        body(client, path)


@pytest.mark.parametrize("number", [1e308, 1.7e18, -5.0], ids=str)
def test_rows_that_an_earlier_version_has_stored_break_no_page(client: Client, number: float) -> None:
    """What is there already is not measured again."""
    append(5)
    for event in Event.objects.all():
        text = orjson.dumps({**orjson.loads(event.text), "duration_ms": number}).decode()
        Event.objects.filter(pk=event.pk).update(text=text, measure=number)
    for path in DOORS:
        body(client, path)


def test_sums_of_tokens_stay_whole_numbers_of_64_bits(client: Client) -> None:
    """Whatever one call may say: ten thousand of them end no window."""
    store.append([make_event("t", "llm_call_complete", used(10**15), "success")[0] for _ in range(10_000)])
    [model] = body(client, "/api/signals/")["models"]
    assert (model["calls"], model["input_tokens"], model["cost"]) == (10_000, None, 10_000 * 1e15)
    trace = Trace.objects.get()
    assert (trace.model_calls, trace.input_tokens) == (10_000, 0)


def test_what_can_be_a_duration_counts_and_what_cannot_does_not(client: Client) -> None:
    """The step is counted, its time is not known; and the details say what was said."""
    append(1e308, 20)
    signals = body(client, "/api/signals/")
    assert (signals["total_steps"], signals["latency"]["mean"], signals["approval_wait_time"]["mean"]) == (4, 20, 20)
    assert signals == {**signals, **{k: v for k, v in body(client, "/api/traces/t/signals").items() if k == "latency"}}
    event = Event.objects.filter(event="tool_call_complete").order_by("sequence").first()
    assert event is not None
    assert (event.duration_ms, orjson.loads(event.details)["duration_ms"]) == (None, 1e308)


@pytest.mark.parametrize("number", IMPOSSIBLE, ids=str)
def test_an_emitters_own_signals_are_finite(number: Any) -> None:
    """The same of the events in memory."""
    emitter = TraceEmitter()
    with capture_events():
        for _ in range(2):
            emitter.emit("tool_call_complete", {"tool": "a", "duration_ms": number})
            emitter.emit("approval_received", {"waited_ms": number})
            emitter.emit("budget_warning", {"used": number, "total": 1e-308})
            emitter.emit("llm_call_complete", used(number))
    json.dumps(emitter.get_golden_signals(), allow_nan=False)
    rows = [{**event, "duration_ms": number} for event in emitter.events]
    json.dumps(golden_signals("t", 1, rows), allow_nan=False)


@pytest.mark.parametrize("number", IMPOSSIBLE, ids=str)
def test_a_line_and_a_bar_are_shown_with_any_number(number: Any) -> None:
    """In a terminal, and in Perfetto, whose times are 64 bits of microseconds."""
    event = {"event": "tool_call_complete", "status": "success", "sequence": 1, "tool_name": "a", "duration_ms": number}
    event |= {"timestamp": "2026-01-05T12:00:00.000000+00:00", "details": {"duration_ms": number}}
    assert len(event_line({**event, "details": {"duration_ms": number}}).plain) < 120
    for made in chrome_events("t", [event]):
        assert abs(made["ts"]) < 2**63
        assert abs(made.get("dur", 0)) < 2**63


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0, 1e308, 1.7e18, 0.0, 1e15])
def test_times_of_the_admin_are_short(number: float) -> None:
    """Whatever they are."""
    assert len(milliseconds(number)) < 30


def test_budgets_stay_finite() -> None:
    """A total may be all that a float can be; what is not a number is a caller's mistake."""
    emitter = TraceEmitter()
    with capture_events():
        budget = emitter.budget(1e308)
        budget.spend(1e308)
        budget.spend(1e308)
    assert math.isfinite(budget.used)
    assert math.isfinite(budget.utilization)
    for mistake in (math.nan, -math.inf):
        with pytest.raises(ValueError, match="number"):
            budget.spend(mistake)
    with pytest.raises(ValueError, match="finite"):
        emitter.budget(math.inf)


def test_windows_at_the_ends_of_the_calendar_are_answered() -> None:
    """A step begins before its window, and before the first day there is none."""
    ends = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    for at in ends:
        series_signals(at, at, 7 * 86400)


def test_the_duration_of_a_trace_goes_by_what_its_events_tell() -> None:
    """Events from outside may come in any order of their times."""
    for minutes in (0, -5):
        sent = {"event": "plan_created", "timestamp": (NOW + timedelta(minutes=minutes)).isoformat()}
        store.append([event_from("t", sent)])
    assert Trace.objects.get().duration == timedelta(minutes=5)
