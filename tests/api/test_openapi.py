"""The schema: valid, without a warning, and its page from local files."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from trace_streaming.emitting.project_events import make_event
from trace_streaming.storage import store

WITHOUT_PROTOBUF = """
import sys
sys.modules["google.protobuf"] = sys.modules["opentelemetry.proto"] = None
import django
from django.conf import settings
from django.core.management import call_command
django.setup()
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
settings.ROOT_URLCONF = "__main__"
urlpatterns = [path("", include("trace_streaming.urls")), path("schema/", SpectacularAPIView.as_view())]
call_command("spectacular", "--fail-on-warn", file="/dev/null")
"""
ROOT = Path(__file__).parents[2]


def test_the_schema_is_valid_and_says_every_door() -> None:
    """As drf-spectacular judges it, with all answers of each."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    paths = yaml.safe_load(out.getvalue())["paths"]
    doors = {path.removeprefix("/api/traces").strip("/"): set(methods) for path, methods in paths.items()}
    events = "{trace_id}/events"
    assert doors[events] == {"get", "post"}
    assert {f"{{trace_id}}/{name}" for name in ("stream", "export", "end")} < set(doors)
    answers = paths[f"/api/traces/{events}/"]["post"]["responses"]
    assert {"200", "202", "207", "400", "401", "403", "404", "413", "415", "503"} < set(answers)


@pytest.mark.django_db
def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    """Scripts and styles are of this site."""
    page = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page


def test_a_project_that_takes_no_spans_is_not_warned() -> None:
    """The extra for OpenTelemetry need not be installed."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    program = [sys.executable, "-c", WITHOUT_PROTOBUF]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.django_db
def test_signals_are_what_the_schema_says(client: Client) -> None:
    """All that is answered is in it, so that generated clients have it."""
    told = [
        ("tool_call_complete", {"tool": "search", "duration_ms": 5}),
        ("tool_call_error", {"tool": "mail", "duration_ms": 5}),
        ("llm_call_complete", {"gen_ai.request.model": "gpt-5"}),
    ]
    now = datetime.now(UTC)
    store.append([make_event("t-1", name, details, "success", timestamp=now)[0] for name, details in told])
    client.force_login(User.objects.create_superuser("root"))
    out = StringIO()
    call_command("spectacular", stdout=out)
    schema = yaml.safe_load(out.getvalue())
    for path in ("signals/", "signals/series/", "signals/tools/", "traces/{trace_id}/signals/"):
        answers = schema["paths"][f"/api/{path}"]["get"]["responses"]
        answer = client.get(f"/api/{path}".format(trace_id="t-1"), {"last": "60"}).json()
        assert undeclared(answer, answers["200"]["content"]["application/json"]["schema"], schema) == set()


def undeclared(answer: Any, described: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Keys of an answer that its schema does not know."""
    if "$ref" in described:
        described = schema["components"]["schemas"][described["$ref"].rsplit("/", 1)[1]]
    if isinstance(answer, list):
        return set().union(*(undeclared(each, described["items"], schema) for each in answer))
    if not isinstance(answer, dict):
        return set()
    known = described.get("properties", {})
    inside = (undeclared(answer[key], known[key], schema) for key in answer.keys() & known.keys())
    return set(answer.keys() - known.keys()).union(*inside)


def test_a_stream_may_be_asked_for_texts_that_are_written() -> None:
    """And says what they come as."""
    out = StringIO()
    call_command("spectacular", stdout=out)
    stream = yaml.safe_load(out.getvalue())["paths"]["/api/traces/{trace_id}/stream/"]["get"]
    assert "deltas" in {parameter["name"] for parameter in stream["parameters"]}
    message = stream["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert "delta" in message["properties"]["event"]["enum"]
