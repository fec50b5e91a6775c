"""Tickets: short-lived, for one socket and one trace. Asked for over HTTP, with whatever credentials HTTP takes."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.request import Request

from .authentication import as_request, is_same_user, session_auth_hash, session_user_id
from .exceptions import ProtocolError
from .models import Ticket
from .protocol import CloseCode
from .store import database

TICKET_SECONDS: Final = 30
"""How long a ticket may wait for its socket."""


def issue(request: Request, trace_id: str) -> str:
    """A new ticket for a trace that the request's user may watch. Only its hash is stored.

    The socket that it opens lives no longer than what has asked for it: the session, the user's password, the ``exp``
    of a JSON Web Token.
    """
    tickets = Ticket.objects.using(database())
    tickets.filter(expires_at__lt=timezone.now()).delete()
    token = secrets.token_urlsafe(32)
    user = request.user if request.user.is_authenticated else None
    tickets.create(
        digest=_digest(token),
        trace_id=trace_id,
        user_id=None if user is None else user.pk,
        expires_at=timezone.now() + timedelta(seconds=TICKET_SECONDS),
        user_hash=session_auth_hash(user),
        session_key=_session_key(request) if user is not None and request.auth is None else "",
        valid_until=_expiry(request.auth),
    )
    return token


def redeem(token: str, trace_id: str, scope: dict[str, Any]) -> TicketCredentials:
    """Use a ticket up; of several that try the same one, one succeeds. Synchronous; queries the database.

    :raises ProtocolError: 4401, there is no such ticket, or not any more, or it is for another trace
    """
    tickets = Ticket.objects.using(database()).filter(digest=_digest(token))
    ticket = tickets.first()
    is_first = ticket is not None and tickets.delete()[0] == 1
    if ticket is None or not is_first or ticket.trace_id != trace_id or ticket.expires_at <= timezone.now():
        raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "This ticket is not valid; ask for another")
    return TicketCredentials(ticket, scope)


class TicketCredentials:
    """What a ticket leaves behind when it is used up."""

    def __init__(self, ticket: Ticket, scope: dict[str, Any]) -> None:
        self._ticket = ticket
        self._scope = scope

    @property
    def key(self) -> Hashable:
        """Each is its own."""
        return self._ticket.digest

    def authenticate(self) -> Request:
        """Like :meth:`.Credentials.authenticate`."""
        ticket = self._ticket
        request = as_request(self._scope)
        request.auth = ticket
        if ticket.user_id is None:
            return request
        user = get_user_model()._default_manager.filter(pk=ticket.user_id).first()
        if user is None or not is_same_user(user, ticket.user_hash) or self._is_over():
            raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "The credentials of this ticket are not valid any more")
        request.user = user
        return request

    def _is_over(self) -> bool:
        ticket = self._ticket
        if ticket.valid_until is not None and ticket.valid_until <= timezone.now():
            return True
        return bool(ticket.session_key) and session_user_id(ticket.session_key) != str(ticket.user_id)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _session_key(request: Request) -> str:
    """Of a session that the server can end: one that lives in its cookie has its text for a key."""
    key = getattr(getattr(request, "session", None), "session_key", None) or ""
    return key if len(key) <= 40 else ""


def _expiry(auth: Any) -> datetime | None:
    """When a JSON Web Token expires, as djangorestframework-simplejwt and others hand it over (RFC 7519, 4.1.4)."""
    try:
        return datetime.fromtimestamp(int(auth["exp"]), UTC)
    except (TypeError, KeyError, ValueError, OverflowError, OSError):
        return None
