"""Whether a database, or what it was given, is why it takes nothing."""

from __future__ import annotations

import pytest
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.migrations.recorder import MigrationRecorder

from trace_streaming.models import Event, Trace
from trace_streaming.storage.faults import fault_of_database

pytestmark = pytest.mark.django_db

A_MIGRATION = "a migration is missing, run manage.py migrate"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OperationalError("database is locked"), "OperationalError"),
        (InterfaceError("connection already closed"), "InterfaceError"),
        *((error, None) for error in (DataError(), IntegrityError(), ValueError(), ProgrammingError())),
    ],
    ids=repr,
)
def test_what_is_away_is_at_fault_and_what_takes_others_is_not(error: Exception, fault: str | None) -> None:
    """Whether it takes others is tried; nothing stays of that."""
    assert fault_of_database(error, "default") == fault
    assert (Trace.objects.count(), Event.objects.count()) == (0, 0)


@pytest.mark.parametrize("kind", [ProgrammingError, InternalError])
@pytest.mark.parametrize("lacks", ["trace_streaming_event", "trace_streaming_trace"])
def test_a_database_that_takes_no_event_is_at_fault(kind: type[Error], lacks: str) -> None:
    """For want of a right, or of a column that is there under another name; it may come."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {lacks} RENAME TO later")
        try:
            assert fault_of_database(kind(), "default") == kind.__name__
        finally:
            cursor.execute(f"ALTER TABLE later RENAME TO {lacks}")  # MariaDB rolls back no such statement


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError('relation "trace_streaming_trace" does not exist'),
        OperationalError("no such table: trace_streaming_trace"),
        OperationalError("table trace_streaming_event has no column named text"),
    ],
    ids=repr,
)
def test_a_missing_migration_is_named(error: Exception) -> None:
    """As before the first ``migrate``, and between an upgrade and its own."""
    MigrationRecorder(connection).migration_qs.filter(app="trace_streaming").latest("id").delete()
    assert fault_of_database(error, "default") == f"{type(error).__name__}: {A_MIGRATION}"
