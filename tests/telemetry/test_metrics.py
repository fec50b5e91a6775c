"""Metrics: what is counted, and what Prometheus reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import prometheus_client
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.approvals.decisions import decide
from trace_streaming.exceptions import InvalidDecisionError
from trace_streaming.models import Approval
from trace_streaming.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]


def value(name: str, **labels: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value(f"trace_streaming_{name}", labels) or 0.0


@pytest.fixture(autouse=True)
def _product_settings(settings: Settings) -> None:
    """Not the site's, which opens itself under DEBUG."""
    settings.TRACE_STREAMING_METRICS_PERMISSION_CLASSES = ["rest_framework.permissions.IsAdminUser"]


@pytest.mark.django_db(transaction=True)
def test_what_is_emitted_is_recorded_and_published() -> None:
    """Each event once, and each transaction once."""
    before = {name: value(f"events_{name}_total") for name in metrics.EVENTS}
    commits = value("commit_seconds_count")
    emitter = TraceEmitter("metrics")
    for _ in range(5):
        emitter.emit("plan_created")
    assert emitter.flush(60)
    after = {name: value(f"events_{name}_total") - before[name] for name in metrics.EVENTS}
    assert after == {
        "emitted": 5,
        "recorded": 5,
        "published": 5,
        "delivered": 0,
        "filtered": 0,
        "shed": 0,
        "spooled": 0,
    }
    assert 1 <= value("commit_seconds_count") - commits <= 5
    assert value("queue_records") == 0


@pytest.mark.django_db
def test_what_comes_too_fast_is_emitted_and_shed(settings: Settings) -> None:
    """Emitted = recorded + shed; the marker is an event, too."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    settings.TRACE_STREAMING_LIMITS = {"events_per_trace": "2/h"}
    before = {name: value(f"events_{name}_total") for name in metrics.EVENTS}
    for _ in range(5):
        TraceEmitter("too-fast").emit("plan_created")
    after = {name: value(f"events_{name}_total") - before[name] for name in ("emitted", "recorded", "shed")}
    assert after == {"emitted": 5, "recorded": 2, "shed": 3}


@pytest.mark.django_db
def test_metrics_are_for_staff_or_whom_the_setting_lets(client: Client, settings: Settings) -> None:
    """A scraper shows a token, or the setting opens the page to a network that is closed."""
    assert client.get("/metrics").status_code in (401, 403)
    client.force_login(User.objects.create_user("ada"))
    assert client.get("/metrics").status_code == 403
    client.force_login(User.objects.create_user("staff", is_staff=True))
    found = client.get("/metrics")
    assert found.status_code == 200
    assert found["Content-Type"].startswith("text/plain")
    assert "trace_streaming_events_emitted_total" in found.content.decode()
    settings.TRACE_STREAMING_METRICS_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    assert Client().get("/metrics").status_code == 200


def test_who_counts_waits_for_nobody() -> None:
    """Any number of threads, whoever sums up meanwhile; and what is not summed up is bounded."""
    counts = metrics.Counts()

    def count() -> None:
        for _ in range(2 * metrics._SOME):
            counts.add("emitted")

    threads = [threading.Thread(target=count, daemon=True) for _ in range(8)]
    with counts._lock:
        threads[0].start()
        threads[0].join(60)
        assert not threads[0].is_alive()
    for thread in threads[1:]:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    counts.add("emitted")
    assert len(counts._new) < metrics._SOME
    assert counts.emitted == 16 * metrics._SOME + 1
    assert (counts.shed, counts.delivered) == (0, 0)
    with pytest.raises(AttributeError):
        _ = counts.nonsense


@pytest.mark.django_db
def test_without_the_extra_there_is_no_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """404, which says what to install."""
    monkeypatch.setattr(metrics, "IS_AVAILABLE", False)
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get("/metrics").status_code == 404


def test_the_app_runs_without_prometheus_client() -> None:
    """Imported where the package cannot be, it counts and tells nobody."""
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "import django; django.setup()\n"
        "from trace_streaming import TraceEmitter; from trace_streaming.telemetry import metrics\n"
        "assert not metrics.IS_AVAILABLE\n"
        "TraceEmitter('t').emit('plan_created'); metrics.flush(); metrics.closes.labels('1000').inc()\n"
        "print(metrics.counts.emitted)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings", "DATABASE_URL": "sqlite://:memory:"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "1", done.stderr


def test_a_killed_process_leaves_its_counters_and_no_gauges(tmp_path: Path) -> None:
    """The multiprocess mode of prometheus_client: whoever is asked tells of all, and forgets the dead."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cuga_site.settings",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    setup = "import os, signal, django; django.setup(); from trace_streaming.telemetry import metrics\n"
    dying = "metrics.sources['queue_records'] = lambda: 7; metrics.counts.add('emitted', 3); metrics.flush()\n"
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    asking = "metrics.sources.clear(); metrics.counts.add('emitted', 4); print(metrics.exposition()[0].decode())"
    subprocess.run([sys.executable, "-c", setup + dying + kill], cwd=ROOT, env=environment, check=False)
    done = subprocess.run(
        [sys.executable, "-c", setup + asking], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "trace_streaming_events_emitted_total 7.0" in done.stdout
    assert "trace_streaming_queue_records 7.0" not in done.stdout


@pytest.mark.django_db(transaction=True)
def test_an_approval_is_counted_with_its_outcome() -> None:
    """Once, whoever decides; its wait is in seconds."""
    before = value("approval_wait_seconds_count", outcome="approved")
    emitter = TraceEmitter("approved")
    emitter.ask_approval("send", risk_level="low", allowed=["approved"])
    assert emitter.flush(60)
    approval = Approval.objects.get()
    for _ in range(2):
        decide(approval, "approved", user=None, channel="api")
    with pytest.raises(InvalidDecisionError):
        decide(approval, "rejected", user=None, channel="api")
    assert value("approval_wait_seconds_count", outcome="approved") == before + 1


@pytest.mark.django_db(transaction=True)
def test_calls_of_models_are_counted_by_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they are committed; and of names that anybody makes up, no more than are bearable."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    settings.TRACE_STREAMING_RECORDER = "inline"
    monkeypatch.setattr(metrics, "MAX_MODELS", 2)
    monkeypatch.setattr(metrics, "_models", {})
    names = [f"test-model-{number}" for number in range(5)]
    others = value("model_calls_total", model="other", outcome="success") or 0
    emitter = TraceEmitter()
    for name in names:
        with emitter.llm_call(name) as call:
            call.usage(input_tokens=7, output_tokens=3, cost=0.5).first_chunk()
    with pytest.raises(ValueError, match="busy"), emitter.llm_call(names[0]):
        raise ValueError("busy")
    assert value("model_calls_total", model=names[0], outcome="success") == 1
    assert value("model_calls_total", model=names[0], outcome="error") == 1
    assert value("model_tokens_total", model=names[1], direction="input") == 7
    assert value("model_cost_dollars_total", model=names[1]) == 0.5
    assert value("model_seconds_count", model=names[0]) == 2
    assert value("model_first_token_seconds_count", model=names[0]) == 1
    assert value("model_calls_total", model="other", outcome="success") == others + 3


def test_metrics_dashboard_alerts_and_page_name_the_same() -> None:
    """Every metric has its row, and neither an alert nor a panel asks for one that is not there."""
    docs = ROOT / "docs"
    own = [family for family in prometheus_client.REGISTRY.collect() if family.name.startswith("trace_streaming_")]
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in own}
    page = (docs / "operations.md").read_text()
    rows = {f"trace_streaming_{name}" for name in re.findall(r"`(?:…|trace_streaming)_(\w+)(?:\{[^`]*\})?`", page)}
    assert rows == there
    for name in ("alerts.yml", "grafana-dashboard.json"):
        text = (docs / name).read_text()
        asked = {re.sub("_(bucket|count|sum)$", "", word) for word in re.findall(r"trace_streaming_\w+", text)}
        assert asked <= there, name
    panels = json.loads((docs / "grafana-dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
