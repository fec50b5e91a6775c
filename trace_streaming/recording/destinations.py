"""Which database records are for: the one that they were emitted under, and no other that has its alias later."""

from __future__ import annotations

from django.db import connections

from trace_streaming.storage import store

from .record_queue import Destination


def current_destination() -> Destination:
    """The database that holds the log now, as the project's routers tell this thread."""
    alias = store.database()
    return Destination(alias, _name(alias))


def is_there(destination: Destination) -> bool:
    """Whether its alias still means it: a test run gives an alias another database, and takes it away again."""
    return _name(destination.alias) == destination.name


def _name(alias: str) -> str:
    return str(connections.settings[alias]["NAME"])
