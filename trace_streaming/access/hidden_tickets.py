"""A ticket in a socket's URL is taken out of it, before anybody logs that."""

from __future__ import annotations

import re
from typing import Any, Final

TICKET_KEY: Final = "trace_streaming.ticket"
"""Where a socket's scope has the ticket of its URL, which is no longer in the URL."""
_TICKET: Final = re.compile(rb"(?:^|&)ticket=([^&]*)")


def hide_ticket(scope: dict[str, Any]) -> None:
    """Take a ticket out of a scope's URL, before a server logs it."""
    query = scope.get("query_string", b"")
    if match := _TICKET.search(query):
        scope[TICKET_KEY] = match[1].decode("ascii", "replace")
        scope["query_string"] = _TICKET.sub(b"", query).removeprefix(b"&")
