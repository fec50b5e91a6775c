"""Tickets: short-lived, for one socket and one trace. Asked for over HTTP, with whatever credentials HTTP takes."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from rest_framework.request import Request

from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Ticket, stored_now
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow, stored_time
from trace_streaming.wire.protocol import CloseCode

from .authentication import as_request, is_same_user, session_auth_hash
from .sessions import session_user_id

TICKET_SECONDS: Final = 30
"""How long a ticket may wait for its socket, by the database's clock: another server may open it."""


def issue(request: Request, trace_id: str) -> str:
    """A new ticket for a trace that the request's user may watch. Only its hash is stored.

    The socket that it opens lives no longer than what has asked for it: the session, the user's password, a token that
    is a row of the database, the ``exp`` of a JSON Web Token.
    """
    tickets = Ticket.objects.using(database())
    tickets.filter(expires_at__lt=UtcNow()).delete()
    token = secrets.token_urlsafe(32)
    user = request.user if request.user.is_authenticated else None
    tickets.create(
        digest=_digest(token),
        trace_id=trace_id,
        user_id=getattr(user, "pk", None),
        expires_at=UtcNow() + timedelta(seconds=TICKET_SECONDS),
        user_hash=session_auth_hash(user),
        session_key=_session_key(request) if user is not None and request.auth is None else "",
        valid_until=_expiry(request.auth),
        **_token_row(request.auth),
    )
    return token


def redeem(token: str, trace_id: str, scope: dict[str, Any]) -> TicketCredentials:
    """Use a ticket up; of several that try the same one, one succeeds. Synchronous; queries the database.

    :raises ProtocolError: 4401, there is no such ticket, or not any more, or it is for another trace
    """
    tickets = Ticket.objects.using(database()).filter(digest=_digest(token))
    ticket = tickets.filter(expires_at__gt=UtcNow()).first()
    is_first = ticket is not None and tickets.delete()[0] == 1
    if ticket is None or not is_first or ticket.trace_id != trace_id:
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
        user = self._user()
        if user is None or self._is_over():
            raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "The credentials of this ticket are not valid any more")
        request = as_request(self._scope)
        request.auth = self._ticket
        request.user = user  # and nobody whom a cookie of the handshake names
        return request

    def _user(self) -> Any:
        """None when he is gone, or has another password now."""
        if self._ticket.user_id is None:
            return AnonymousUser()
        user = get_user_model()._default_manager.filter(pk=self._ticket.user_id).first()
        return user if user is not None and is_same_user(user, self._ticket.user_hash) else None

    def _is_over(self) -> bool:
        ticket = self._ticket
        if ticket.valid_until is not None and ticket.valid_until <= stored_now():
            return True
        if ticket.token_model:
            tokens: Any = apps.get_model(ticket.token_model)._default_manager
            return not tokens.filter(pk=ticket.token_key).exists()
        return bool(ticket.session_key) and session_user_id(ticket.session_key) != str(ticket.user_id)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _session_key(request: Request) -> str:
    """Of a session that the server can end: one that lives in its cookie has its text for a key."""
    key = getattr(getattr(request, "session", None), "session_key", None) or ""
    return key if len(key) <= 40 else ""


def _token_row(auth: Any) -> dict[str, str]:
    """Where the token is that asked for a ticket, if it is stored, as REST framework's own is."""
    if not isinstance(auth, Model) or auth.pk is None:
        return {}
    return {"token_model": auth._meta.label, "token_key": str(auth.pk)}


def _expiry(auth: Any) -> datetime | None:
    """When a JSON Web Token expires, as djangorestframework-simplejwt and others hand it over (RFC 7519, 4.1.4)."""
    try:
        return stored_time(datetime.fromtimestamp(int(auth["exp"]), UTC))
    except (TypeError, KeyError, ValueError, OverflowError, OSError):
        return None
