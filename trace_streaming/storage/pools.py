"""psycopg's pools of connections, which Django has one of for each database, and a fork."""

from __future__ import annotations

import sys
from typing import Any, Final

_inherited: Final[list[dict[str, Any]]] = []
"""Kept: to delete one waits for its threads, which are not here."""


def forget() -> None:
    """In a forked child: the connections are the parent's, who goes on with them. The child opens pools of its own."""
    backend = sys.modules.get("django.db.backends.postgresql.base")
    pools = getattr(getattr(backend, "DatabaseWrapper", None), "_connection_pools", None)
    if pools:
        _inherited.append(dict(pools))
        pools.clear()
