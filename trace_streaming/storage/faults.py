"""Whose fault it is that a database does not take events: its own, or theirs."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connections,
    transaction,
)
from django.db.migrations.executor import MigrationExecutor

from trace_streaming.models import Event, Trace, stored_now

_TRANSIENT_ERRORS: Final = (OperationalError, InterfaceError)
DATABASE_FAULTS: Final = (ProgrammingError, InternalError, NotSupportedError)
"""What it raises where a migration or a right is missing, or where it takes no writes."""
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
"""How SQLite names what is wrong with a file, for which it has no class of its own; a suffix may tell more."""
_NO_TABLE: Final = ("no such table", "no such column", "has no column", "Unknown column")
"""SQLite says so in what is an ``OperationalError`` there, and MariaDB and MySQL the last."""


def is_transient(error: Exception) -> bool:
    """Whether a database raises this that is away, locked, full or damaged; everything else will fail again."""
    return isinstance(error, _TRANSIENT_ERRORS) or getattr(error.__cause__, "sqlite_errorname", "").startswith(_DAMAGED)


def fault_of_database(error: Exception, alias: str) -> str | None:
    """What is wrong with the database, in words without what it was given; None: nothing, this record is at fault.

    A migration may come yet, and a replica be promoted: until then, no record is taken, and none is to blame for it.
    """
    is_away = is_transient(error)
    if not is_away and not isinstance(error, DATABASE_FAULTS):
        return None
    name = _name(error)
    if is_away and not any(words in str(error) for words in _NO_TABLE):
        return name
    if lacks_migrations(alias):
        return f"{type(error).__name__}: a migration is missing, run manage.py migrate"
    return name if is_away or not _takes_events(alias) else None


def _name(error: Exception) -> str:
    """Its class, and what the driver calls it: a full disk and a locked file are of one class."""
    name, driver = type(error).__name__, error.__cause__
    while driver is not None and driver.__cause__ is not None:  # a commit in doubt has the database's error between
        driver = driver.__cause__
    if driver is None:
        return name
    code = driver.args[0] if driver.args and isinstance(driver.args[0], int) else type(driver).__name__  # of MySQL
    code = getattr(driver, "sqlite_errorname", code)
    return name if code == name else f"{name}: {code}"


def lacks_migrations(alias: str) -> bool:
    """Whether the app's tables are not there, or not those of its code; False while the database does not answer."""
    try:
        executor = MigrationExecutor(connections[alias])
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes(Trace._meta.app_label)))
    except DatabaseError:
        return False


def _takes_events(alias: str) -> bool:
    """Whether it would take a trace and an event; nothing is left of them."""
    traces, events = Trace.objects.using(alias), Event.objects.using(alias)
    name, now = uuid4().hex, stored_now()
    try:
        with transaction.atomic(using=alias):
            traces.bulk_create([Trace(trace_id=name, started_at=now, last_event_at=now)])
            trace = traces.get(trace_id=name)
            events.bulk_create([Event(trace=trace, sequence=1, event="", status="", timestamp=now, text="{}")])
            transaction.set_rollback(True, using=alias)
    except DatabaseError:
        return False
    return True
