"""Who is there: a socket's handshake is given to DRF's authentication classes, as if it were a request."""

from __future__ import annotations

import re
from collections.abc import Hashable
from importlib import import_module
from io import BytesIO
from typing import Any, Final, Protocol

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.core.handlers.asgi import ASGIRequest
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.settings import api_settings

from .conf import conf
from .exceptions import ProtocolError
from .protocol import CloseCode

TICKET_KEY: Final = "trace_streaming.ticket"
"""Where a socket's scope has the ticket of its URL, which is no longer in the URL."""
_TICKET: Final = re.compile(rb"(?:^|&)ticket=([^&]*)")
_SCHEMES: Final = {"ws": "http", "wss": "https"}


class Credentials(Protocol):
    """What a client has shown; asked again as long as its socket is open."""

    @property
    def key(self) -> Hashable:
        """The same for two sockets means that they always get the same answer."""

    def authenticate(self) -> Request:
        """The handshake as a DRF request, with its user. Synchronous; may query the database.

        :raises ProtocolError: 4401, they are wrong, or not valid any more
        """


class Handshake:
    """The headers of the handshake: cookies, ``Authorization`` and whatever else an authentication class reads."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self._scope = scope

    @property
    def key(self) -> Hashable:
        """All that an authentication class could read."""
        headers = (pair for pair in self._scope.get("headers", ()) if not pair[0].startswith(b"sec-websocket-"))
        user = self._scope.get("user")
        return "handshake", tuple(headers), self._scope.get("query_string"), user and user.pk

    def authenticate(self) -> Request:
        """The authentication classes first, then Django's session, then the user that a middleware has found."""
        request = as_request(self._scope)
        try:
            if request.user is not None and request.user.is_authenticated:
                return request
        except APIException:
            raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "These credentials are not valid") from None
        request.user = request._request.user  # the setter of DRF's request sets both
        if not request.user.is_authenticated and (found := self._scope.get("user")) is not None:
            request.user = _reloaded(found)
        return request


def as_request(scope: dict[str, Any]) -> Request:
    """A handshake as a DRF request, which nobody has been found for yet."""
    http = ASGIRequest(
        {**scope, "type": "http", "method": "GET", "scheme": _SCHEMES.get(scope.get("scheme", ""), "http")}, BytesIO()
    )
    http.session = _read_session(http.COOKIES.get(settings.SESSION_COOKIE_NAME))
    http.user = SimpleLazyObject(lambda: get_user(http))  # type: ignore[assignment]  # as Django's middleware does
    return Request(http, authenticators=authenticators())


def authenticators() -> list[BaseAuthentication]:
    """Of ``TRACE_STREAMING_AUTHENTICATION_CLASSES``."""
    if conf.AUTHENTICATION_CLASSES is not None:
        return [import_string(path)() for path in conf.AUTHENTICATION_CLASSES]
    classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    return [authentication() for authentication in classes]


class _ReadOnlySession(dict[str, Any]):
    """A session as it is stored. A handshake sets no cookie, so the key must stay."""

    def cycle_key(self) -> None:
        """What Django does to one that a fallback of the secret key has signed."""

    def flush(self) -> None:
        """What Django does to one whose user has another password now."""


def _read_session(key: str | None) -> Any:
    if not key:
        return _ReadOnlySession()
    return _ReadOnlySession(import_module(settings.SESSION_ENGINE).SessionStore(key).load())


def session_user_id(key: str) -> str | None:
    """Whose session this is; None when it has ended."""
    user_id = _read_session(key).get(SESSION_KEY)
    return None if user_id is None else str(user_id)


def session_auth_hash(user: Any) -> str:
    """What changes with a user's password; empty where Django knows none."""
    return user.get_session_auth_hash() if hasattr(user, "get_session_auth_hash") else ""


def is_same_user(user: Any, auth_hash: str) -> bool:
    """Whether the user is active, and has the password of the time when this hash was taken."""
    hashes = [session_auth_hash(user), *getattr(user, "get_session_auth_fallback_hash", list)()]
    return user.is_active and any(constant_time_compare(auth_hash, each) for each in hashes)


def _reloaded(found: Any) -> Any:
    """The user of another middleware as the database has him now."""
    if not found.is_authenticated or found.pk is None:
        return found
    user = get_user_model()._default_manager.filter(pk=found.pk).first()
    if user is None or not is_same_user(user, session_auth_hash(found)):
        raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "These credentials are not valid any more")
    return user


def hide_ticket(scope: dict[str, Any]) -> None:
    """Take a ticket out of a scope's URL, before a server logs it."""
    query = scope.get("query_string", b"")
    if match := _TICKET.search(query):
        scope[TICKET_KEY] = match[1].decode("ascii", "replace")
        scope["query_string"] = _TICKET.sub(b"", query).removeprefix(b"&")
