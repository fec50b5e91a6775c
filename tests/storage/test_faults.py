"""Whether a database, or what it was given, is why it takes nothing."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import (
    DatabaseError,
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
from trace_streaming.storage.store import InDoubtError

pytestmark = pytest.mark.django_db

A_MIGRATION = "a migration is missing, run manage.py migrate"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OperationalError("database is locked"), "OperationalError"),
        (InterfaceError("connection already closed"), "InterfaceError"),
        # A plain one is what a project's trigger raises in PostgreSQL with a code of its own.
        *(
            (error, None)
            for error in (DataError(), IntegrityError(), ValueError(), ProgrammingError(), DatabaseError())
        ),
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
        OperationalError(1054, "Unknown column 'text' in 'INSERT INTO'"),
    ],
    ids=repr,
)
def test_a_missing_migration_is_named(error: Exception) -> None:
    """As before the first ``migrate``, and between an upgrade and its own."""
    MigrationRecorder(connection).migration_qs.filter(app="trace_streaming").latest("id").delete()
    assert fault_of_database(error, "default") == f"{type(error).__name__}: {A_MIGRATION}"


def raised_by(driver: Exception) -> Exception:
    """As Django raises what its driver does."""
    error = OperationalError(*driver.args)
    error.__cause__ = driver
    return error


def in_doubt(driver: Exception) -> Exception:
    error = InDoubtError([])
    error.__cause__ = raised_by(driver)
    return error


@pytest.mark.parametrize("name", ["SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB"])
def test_a_damaged_file_is_the_databases_fault(name: str) -> None:
    """SQLite raises the class that all its others are of."""
    driver = sqlite3.DatabaseError("database disk image is malformed")
    driver.sqlite_errorname = name
    error = DatabaseError(*driver.args)
    error.__cause__ = driver
    assert fault_of_database(error, "default") == f"DatabaseError: {name}"


class DiskFull(Exception):
    """As psycopg calls it."""


def test_what_the_driver_calls_it_is_said() -> None:
    """A full disk, a lock and a network are all of one class; the text may hold what was to be stored."""
    full = sqlite3.OperationalError("database or disk is full: secret")
    full.sqlite_errorname = "SQLITE_FULL"
    assert fault_of_database(raised_by(full), "default") == "OperationalError: SQLITE_FULL"
    assert fault_of_database(in_doubt(full), "default") == "InDoubtError: SQLITE_FULL"
    assert fault_of_database(raised_by(DiskFull("secret")), "default") == "OperationalError: DiskFull"
    assert fault_of_database(raised_by(Exception(1114, "secret")), "default") == "OperationalError: 1114"
    alone = raised_by(sqlite3.OperationalError("unable"))
    assert fault_of_database(alone, "default") == "OperationalError"
