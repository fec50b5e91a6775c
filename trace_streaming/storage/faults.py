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

TRANSIENT_ERRORS: Final = (OperationalError, InterfaceError)
"""What a database raises that is away or locked; everything else will fail again."""
DATABASE_FAULTS: Final = (ProgrammingError, InternalError, NotSupportedError)
"""What it raises where a migration or a right is missing, or where it takes no writes."""
_NO_TABLE: Final = ("no such table", "no such column", "has no column")
"""SQLite says so in what is an ``OperationalError`` there."""


def fault_of_database(error: Exception, alias: str) -> str | None:
    """What is wrong with the database, in words without what it was given; None: nothing, this record is at fault.

    A migration may come yet, and a replica be promoted: until then, no record is taken, and none is to blame for it.
    """
    name = type(error).__name__
    is_transient = isinstance(error, TRANSIENT_ERRORS)
    if not is_transient and not isinstance(error, DATABASE_FAULTS):
        return None
    if is_transient and not any(words in str(error) for words in _NO_TABLE):
        return name
    if lacks_migrations(alias):
        return f"{name}: a migration is missing, run manage.py migrate"
    return name if is_transient or not _takes_events(alias) else None


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
