"""What is kept of models' calls, and added up on their trace."""

from __future__ import annotations

import builtins
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import genai_prices
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from genai_prices.data_snapshot import get_snapshot

from trace_streaming.emitting import event_factory
from trace_streaming.events import AGENT_EVENTS, TraceEvent
from trace_streaming.models import Event, ModelCall, Trace
from trace_streaming.storage import pricing, store
from trace_streaming.storage.retention import prune

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def event(name: str, at_ms: float = 0, /, status: str = "success", **details: Any) -> TraceEvent:
    timestamp = NOON + timedelta(milliseconds=at_ms)
    given = {key.replace("__", "."): value for key, value in details.items()}
    return event_factory.make_event("t", name, given, status, extra_events=AGENT_EVENTS, timestamp=timestamp)[0]


def usage(input_tokens: int, output_tokens: int, **more: Any) -> dict[str, Any]:
    return {"gen_ai__usage__input_tokens": input_tokens, "gen_ai__usage__output_tokens": output_tokens, **more}


def totals() -> dict[str, Any]:
    names = ("model_calls", "tool_calls", "error_count", "input_tokens", "output_tokens", "cost")
    return dict(Trace.objects.values(*names).get())


def test_a_trace_adds_up_its_calls_while_it_is_recorded() -> None:
    """With each batch; what nobody knows the cost of costs null, and not 0."""
    store.append([event("tool_call_start", tool="a"), event("tool_call_complete", tool="a"), event("llm_call_start")])
    assert totals() == {
        "model_calls": 0,
        "tool_calls": 1,
        "error_count": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost": None,
    }
    store.append([event("llm_call_complete", name="fake-1", **usage(10, 2)), event("tool_call_error", 0, "error")])
    assert totals()["cost"] is None
    store.append(
        [
            event("llm_call_complete", name="fake-1", **usage(5, 1, gen_ai__usage__cost=0.25)),
            event("llm_call_error", 0, "error", name="fake-1"),
            event("llm_call_complete", name="fake-1", **usage(1, 1, gen_ai__usage__cost=0.5)),
        ]
    )
    assert totals() == {
        "model_calls": 4,
        "tool_calls": 2,
        "error_count": 2,
        "input_tokens": 16,
        "output_tokens": 4,
        "cost": 0.75,
    }


def test_a_call_that_is_moved_is_still_that_of_its_model() -> None:
    """What its start has said of the model is not forgotten by where it is."""
    asked = {"call_id": "a", "gen_ai__request__model": "gpt-4o", "gen_ai__provider__name": "openai"}
    store.append([event("llm_call_start", **asked)])
    store.append([event("llm_call_start", call_id="a", parent_call_id="b", moved=True)])
    store.append([event("llm_call_complete", call_id="a", **usage(10, 2))])
    assert ModelCall.objects.get().model == "gpt-4o"


@pytest.mark.parametrize("odd", [-1, "12", None, True, 1e300, [1], {"n": 1}])
def test_odd_usage_is_not_known(odd: Any) -> None:
    """And adds nothing."""
    told = {"gen_ai__usage__input_tokens": odd, "gen_ai__usage__cost": odd if odd != 1e300 else "x"}
    store.append([event("llm_call_complete", **told)])
    assert totals()["model_calls"] == 1
    assert (totals()["input_tokens"], totals()["cost"]) == (0, None)


def test_a_call_is_kept_with_what_its_start_said() -> None:
    """Its model, by its id; its latency by its times, where its end does not say it. In one batch, or in several."""
    start = {"gen_ai__request__model": "gpt-5", "gen_ai__provider__name": "openai", "call_id": "1"}
    store.append([event("llm_call_start", 0, **start)])
    store.append([event("llm_call_complete", 700, call_id="1", gen_ai__response__time_to_first_chunk=0.25)])
    store.append(
        [
            event("step_start", 1000, call_id="2", name="span"),
            event("llm_call_error", 1500, "error", call_id="2", name="m"),
            event("llm_call_complete", 1600, "warning", duration_ms=5, name="m", outcome="cancelled"),
        ]
    )
    kept = list(ModelCall.objects.order_by("sequence").values_list("model", "latency_ms", "first_chunk_ms"))
    assert kept == [("gpt-5", 700.0, 250.0), ("m", 500.0, None), ("m", 5.0, None)]
    assert list(ModelCall.objects.order_by("sequence").values_list("is_failed", "is_neither")) == [
        *((False, False), (True, False), (False, True))
    ]
    assert list(ModelCall.objects.order_by("sequence").values_list("sequence", flat=True)) == [2, 4, 5]


def test_a_call_of_a_trace_that_begins_again_is_not_taken_for_the_old_one() -> None:
    """Its id may be the same; where its start names no model, that of its end counts."""
    store.append([event("llm_call_start", gen_ai__request__model="gpt-5", call_id="1")])
    Trace.objects.all().delete()
    names = ("llm_call_start", "llm_call_complete")
    store.append([event(name, name="big", call_id="1") for name in names])
    assert ModelCall.objects.get().model == "big"


def test_the_calls_of_many_traces_are_kept_at_once() -> None:
    """One statement for a batch, whatever number of traces it has; each call is of its own trace and event."""
    ends = [replace(event("llm_call_complete", name="m", duration_ms=n), trace_id=f"t-{n}") for n in range(1, 6)]
    with CaptureQueriesContext(connection) as queries:
        store.append([event("plan_created"), *ends])
    assert len([query for query in queries if ModelCall._meta.db_table in query["sql"]]) == 1
    rows = ModelCall.objects.order_by("latency_ms").values_list("trace__trace_id", "sequence", "latency_ms")
    assert list(rows) == [(f"t-{n}", 1, n) for n in range(1, 6)]


def test_what_a_call_costs_is_looked_up_where_nobody_has_said_it() -> None:
    """By genai-prices; what was read from a cache is cheaper, and what was written into one dearer."""
    start = {"gen_ai__request__model": "gpt-4o", "gen_ai__provider__name": "openai", "call_id": "1"}
    store.append([event("llm_call_start", **start), event("llm_call_complete", call_id="1", **usage(1000, 100))])
    whole = totals()["cost"]
    cached = usage(1000, 100, gen_ai__usage__cache_read__input_tokens=1000)
    store.append([event("llm_call_complete", name="gpt-4o", **cached)])
    assert whole == pytest.approx(1000 * 2.5e-6 + 100 * 10e-6)
    assert 0 < totals()["cost"] - whole < whole
    assert [call.cost is not None for call in ModelCall.objects.all()] == [True, True]
    before, written = totals()["cost"], usage(1000, 0, gen_ai__usage__cache_creation__input_tokens=800)
    store.append([event("llm_call_complete", name="claude-sonnet-4-5", **written)])
    assert totals()["cost"] - before == pytest.approx(200 * 3e-6 + 800 * 3.75e-6)


@pytest.mark.parametrize(
    "tokens",
    [
        *(
            (1_000, 100, 0, 0),
            (1_000, 100, 300, 0),
            (1_000, 100, 300, 600),
            (0, 10, 0, 0),
            (10, 0, 10, 0),
            (10, 0, 0, 10),
        ),
        *((250_000, 100, 100_000, 0), (1_500_000, 9, 1_500_000, 0), (1_500_000, 9, 500_000, 1_000_000)),
    ],
    ids=str,
)
@pytest.mark.parametrize("hour", [1, 13])
def test_a_call_costs_what_the_library_says(tokens: tuple[int, int, int, int], hour: int) -> None:
    """Of every model that it knows, at times and in tiers that have prices of their own."""
    at = NOON.replace(hour=hour)
    keys = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    usage = genai_prices.Usage(**dict(zip(keys, tokens, strict=True)))
    known = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            try:
                answer = genai_prices.calc_price(usage, model.id, provider_id=provider.id, genai_request_timestamp=at)
            except Exception:  # whatever it is, it says no price
                continue
            known += 1
            assert pricing._price(model.id, provider.id, at, tokens) == pytest.approx(float(answer.total_price))
    assert known > 1_000


def test_without_genai_prices_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; nothing else needs it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "genai_prices":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    pricing._prices.cache_clear()
    pricing._model.cache_clear()
    try:
        store.append([event("llm_call_complete", name="gpt-4o", **usage(1000, 100))])
    finally:
        pricing._prices.cache_clear()
        pricing._model.cache_clear()
    assert totals()["cost"] is None


def test_what_is_pruned_is_kept_nowhere() -> None:
    """Calls go with their events, and with their trace."""
    store.append([event("llm_call_complete", name="m") for _ in range(3)])
    trace = Trace.objects.get()
    trace.stored_at = NOON
    trace.save()
    list(prune(trace, NOON + timedelta(days=1)))
    assert not ModelCall.objects.exists()
    assert not Event.objects.exists()
    assert not Trace.objects.exists()
