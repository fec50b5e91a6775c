"""What earlier versions have stored is what watchers are sent by this one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from trace_streaming.events import TraceEvent, encode_event
from trace_streaming.models import Event, Trace
from trace_streaming.storage import store
from trace_streaming.storage.times import stored_time

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = [datetime(2026, 1, 5, 12, 0, 0, microsecond, UTC) for microsecond in (0, 5, 999_999)]
DETAILS = ["{}", '{"status":"a","x":",\\"status\\":\\"b\\""}', '{"details":{"details":[1,2]},"e":"\\u0000 ü"}']
EVENTS = [
    TraceEvent("tool_call_complete", "t", time, details, "success", tool_name, duration_ms)
    for time in TIMES
    for details in DETAILS
    for tool_name in (None, "bash", 'q"uo\\te,"status":"x')
    for duration_ms in (None, 0.0, 1.5, 1e15)
]


@pytest.fixture
def _back_to_today() -> Iterator[None]:
    yield
    call_command("migrate", "trace_streaming", verbosity=0)


@pytest.mark.parametrize(
    "version", ["0007_owners_edits_and_times", "0014_notifications"], ids=["0.1.0", "before texts"]
)
@pytest.mark.usefixtures("_back_to_today")
@pytest.mark.takes(seconds=10)
def test_events_of_columns_become_texts_and_columns_again(version: str) -> None:
    """Byte for byte what was put together of the columns before; and back, for whoever has to."""
    old = migrated(version)
    trace = old.get_model("trace_streaming", "Trace").objects.create(
        trace_id="t", last_sequence=len(EVENTS), started_at=stored_time(TIMES[0]), last_event_at=stored_time(TIMES[0])
    )
    model = old.get_model("trace_streaming", "Event")
    model.objects.bulk_create(
        model(
            trace_id=trace.pk,
            sequence=sequence,
            event=event.event,
            status=event.status,
            timestamp=stored_time(event.timestamp),
            details=event.details,
            tool_name=event.tool_name,
            duration_ms=event.duration_ms,
        )
        for sequence, event in enumerate(EVENTS, 1)
    )
    before = list(model.objects.order_by("pk").values())
    call_command("migrate", "trace_streaming", verbosity=0)
    assert store.read_page(trace.pk, 0) == [encode_event(event, number) for number, event in enumerate(EVENTS, 1)]
    stored = list(Event.objects.order_by("pk"))
    assert [event.details for event in stored] == [event.details for event in EVENTS]
    assert [event.duration_ms for event in stored] == [event.duration_ms for event in EVENTS]
    assert all(orjson.loads(event.text_with("[0]"))["details"] == [0] for event in stored)
    assert (Trace.objects.get().epoch, Trace.objects.get().name) == (trace.epoch, "")
    older = migrated(version)
    assert list(older.get_model("trace_streaming", "Event").objects.order_by("pk").values()) == before


def migrated(name: str) -> Any:
    """The models as they were then."""
    executor = MigrationExecutor(connection)
    executor.migrate([("trace_streaming", name)])
    apps: Apps = executor.loader.project_state([("trace_streaming", name)]).apps
    return apps
