"""Times in a database are what Django reads of them, and the database's clock is comparable with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.models import EmitterLease, Event, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import leases
from trace_streaming.storage.times import UtcNow

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = [datetime(2026, 1, 5, 23, 59, 59, microsecond, UTC) for microsecond in (0, 5, 999_999)]


@pytest.fixture(params=["Asia/Kathmandu", "America/New_York"])
def _stored_as_local_time(request: pytest.FixtureRequest, settings: Settings) -> Iterator[None]:
    """``DATABASES`` has a ``TIME_ZONE``, as where programs that know of no zones write into the same database."""
    recorder.close()  # its connection has the time zone of before
    before = connection.settings_dict["TIME_ZONE"]
    connection.settings_dict["TIME_ZONE"] = request.param
    settings.USE_TZ = True  # connections look again
    yield
    recorder.close()
    connection.settings_dict["TIME_ZONE"] = before
    settings.USE_TZ = True


@pytest.mark.usefixtures("_stored_as_local_time")
@pytest.mark.parametrize("count", [1, 50])
def test_what_is_stored_is_read_as_it_was_emitted(count: int) -> None:
    """However many are stored at once."""
    emitter = TraceEmitter("t")
    for time in TIMES * count:
        emitter.emit("plan_created", timestamp=time)
    emitter.end(timestamp=TIMES[-1])
    assert emitter.flush(60)
    trace = Trace.objects.get()
    assert (trace.started_at, trace.last_event_at, trace.ended_at) == (TIMES[0], TIMES[-1], TIMES[-1])
    assert abs(trace.stored_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert list(Event.objects.order_by("sequence").values_list("timestamp", flat=True)) == TIMES * count
    assert Event.objects.filter(timestamp=TIMES[0]).count() == count


@pytest.mark.usefixtures("_stored_as_local_time")
def test_the_databases_clock_is_compared_with_what_is_stored() -> None:
    """Both ways: whoever is judged by it has neither hours more nor less."""
    now = datetime.now(UTC)
    Trace.objects.create(trace_id="t", started_at=now, last_event_at=now)
    (clock,) = Trace.objects.annotate(clock=UtcNow()).values_list("clock", flat=True)
    assert abs(clock - now) < timedelta(minutes=1)
    for minutes, is_over in ((-1, True), (1, False)):
        Trace.objects.update(started_at=now + timedelta(minutes=minutes))
        assert Trace.objects.filter(started_at__lt=UtcNow()).exists() is is_over
    lease = leases.take("default", 30)
    assert leases.renew("default", lease, 30)
    assert abs(EmitterLease.objects.get().expires_at - now - timedelta(seconds=30)) < timedelta(seconds=20)
