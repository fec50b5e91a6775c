"""A database in which nothing can be found, or stored, until its tables are made."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import DatabaseError

from trace_streaming.models import Trace
from trace_streaming.storage.faults import lacks_migrations
from trace_streaming.storage.store import database


def check_migrated(returncode: int = 1) -> None:
    """Say so at once; a database that is away is waited for by whoever uses it."""
    alias = database()
    try:
        Trace.objects.using(alias).exists()
    except DatabaseError:
        if lacks_migrations(alias):
            raise CommandError("A migration is missing: run manage.py migrate.", returncode=returncode) from None
