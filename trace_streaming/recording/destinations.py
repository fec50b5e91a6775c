"""Which database records are for: the one that they were emitted under, and no other that has its alias later."""

from __future__ import annotations

from django.db import connections

from trace_streaming.storage import store

from .record_queue import Destination

_known: dict[str, tuple[object, Destination]] = {}
"""The last of each alias, and its name as the settings have it: a path takes as long to read as half an emit."""


def current_destination() -> Destination:
    """The database that holds the log now, as the project's routers tell this thread."""
    alias = store.database()
    name = connections.settings[alias]["NAME"]
    known = _known.get(alias)
    if known is None or known[0] is not name:
        known = _known[alias] = (name, Destination(alias, str(name)))
    return known[1]


def is_there(destination: Destination) -> bool:
    """Whether its alias still means it: a test run gives an alias another database, and takes it away again."""
    return str(connections.settings[destination.alias]["NAME"]) == destination.name
