"""The schema: valid, without a warning, and its page from local files."""

from __future__ import annotations

from io import StringIO

import pytest
import yaml
from django.core.management import call_command
from django.test import Client


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
