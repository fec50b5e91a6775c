"""Who is there: a socket's handshake is given to DRF's authentication classes, as if it were a request."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import cached_property
from io import BytesIO
from typing import Any, Final, NamedTuple, Protocol

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, parse_cookie
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject
from django.utils.module_loading import import_string
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.settings import api_settings

from trace_streaming.conf import conf
from trace_streaming.exceptions import ProtocolError
from trace_streaming.wire.protocol import CloseCode

from .sessions import read_session

_OF_COOKIES: Final = frozenset({"cookies", "session", "user"})
"""What the middlewares of Channels add to a scope."""
_SESSION_KEY: Final = re.compile(r"[a-z0-9]{8,40}")
"""As Django makes them; what else a client sends for one may be anything."""
_OF_HEADERS: Final = frozenset({SessionAuthentication, BasicAuthentication, TokenAuthentication})
"""Authentication classes that find nobody without an ``Authorization``, or only whom the session is of."""
_SCHEMES: Final = {"ws": "http", "wss": "https", "https": "https"}


class Credentials(Protocol):
    """What a client has shown; asked again as long as its socket is open."""

    @property
    def key(self) -> Hashable:
        """The same for two sockets means that they always get the same answer."""

    def authenticate(self) -> Request:
        """The handshake as a DRF request, with its user. Synchronous; may query the database.

        :raises ProtocolError: 4401, they are wrong, or not valid any more
        """


class LoneSession(NamedTuple):
    """All that a handshake shows, to whom looks for an ``Authorization`` and for Django's session."""

    key: str
    """Empty where there is none."""


class Found(NamedTuple):
    """Stands for the request of such a handshake, before permission classes that look at nothing else of it."""

    user: Any
    auth: None = None
    method: str = "GET"


class Handshake:
    """The headers of the handshake: cookies, ``Authorization`` and whatever else an authentication class reads.

    What a middleware has loaded for them (``user`` and ``session`` of the scope) is asked for again each time, and not
    believed. A user who is none of the session's, and whom the headers alone do not find either, was found by something
    that cannot be asked again: he counts, as the database has him now, if he was needed at the first time already.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self._found = _found_otherwise(scope)

    @cached_property
    def _shown(self) -> str:
        """As one text: its hash is reckoned once, and that of pairs of headers each time."""
        scope = self.scope
        headers = (pair for pair in scope.get("headers", ()) if pair[0] != b"sec-websocket-key")  # a random number
        address = (scope.get("client") or (None,))[0]
        return repr((tuple(map(tuple, headers)), scope.get("query_string"), address, _session_key_of(scope)))

    @property
    def key(self) -> Hashable:
        """All that an authentication or permission class could read, but the path, which names the trace."""
        return "handshake", self._shown, getattr(self._found, "pk", None)

    @property
    def lone_session(self) -> LoneSession | None:
        """Its session, if :func:`sessions_decide` and it shows nothing else; whose that is may then be asked alone."""
        return self._lone_session if self._found is None else None

    @cached_property
    def _lone_session(self) -> LoneSession | None:
        cookies = []
        for name, value in self.scope.get("headers", ()):
            match name.lower():
                case b"authorization":
                    return None
                case b"cookie":
                    cookies.append(value)
        if len(cookies) > 1:  # which servers and frameworks put together in different ways
            return None
        key = _session_key_of(self.scope)
        if not key and cookies:
            key = parse_cookie(cookies[0].decode("latin1")).get(settings.SESSION_COOKIE_NAME)
        return LoneSession(key or "") if not key or _SESSION_KEY.fullmatch(key) else None

    def authenticate(self) -> Request:
        """The authentication classes first, then Django's session, then the user that a middleware has found."""
        request = as_request(self.scope)
        of_session = request._request.user  # DRF's request forgets it when none of the classes finds anybody
        try:
            is_known = request.user is not None and request.user.is_authenticated
        except APIException:
            raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "These credentials are not valid") from None
        if not is_known:
            request.user = of_session
        if request.user.is_authenticated:
            self._found = None  # when the headers no longer do, it is because they have ended
        elif self._found is not None:
            request.user = _reloaded(self._found)
        return request


def _found_otherwise(scope: dict[str, Any]) -> Any:
    """The user whom a middleware has found by something else than a session."""
    user, session = scope.get("user"), scope.get("session")
    if user is None or not user.is_authenticated:
        return None
    if session is not None and (user_id := session.get(SESSION_KEY)) is not None and user_id == str(user.pk):
        return None
    return user


def _session_key_of(scope: dict[str, Any]) -> str | None:
    """Of the session that a middleware has loaded, wherever its key was."""
    return getattr(scope.get("session"), "session_key", None)


def as_request(scope: dict[str, Any]) -> Request:
    """A handshake as a DRF request, which nobody has been found for yet."""
    http = as_http_request(scope)
    key = _session_key_of(scope) or http.COOKIES.get(settings.SESSION_COOKIE_NAME)
    http.session = SimpleLazyObject(lambda: read_session(key))  # type: ignore[assignment]
    http.user = SimpleLazyObject(lambda: get_user(http))  # type: ignore[assignment]  # as Django's middleware does
    return Request(http, authenticators=authenticators())


def as_http_request(scope: dict[str, Any]) -> HttpRequest:
    """A handshake as Django's request."""
    scheme = _SCHEMES.get(scope.get("scheme", ""), "http")
    return ASGIRequest({**scope, "type": "http", "method": "GET", "scheme": scheme}, BytesIO())


def as_posted(request: Request) -> Request:
    """The same handshake, to be judged as what changes something: as the POST that would ask for the same over HTTP.

    For who is there has been asked already: a frame needs no token against request forgery, its origin was looked at.
    """
    request._request.method = "POST"
    return request


def without_cookies(scope: dict[str, Any]) -> dict[str, Any]:
    """A handshake as a client without cookies would have sent it; with nobody whom a middleware has found by them."""
    headers = [pair for pair in scope.get("headers", ()) if pair[0] != b"cookie"]
    return {key: value for key, value in scope.items() if key not in _OF_COOKIES} | {"headers": headers}


def authenticators() -> list[BaseAuthentication]:
    """Of ``TRACE_STREAMING_AUTHENTICATION_CLASSES``."""
    return [authentication() for authentication in _authentication_classes()]


def _authentication_classes() -> list[type[BaseAuthentication]]:
    if conf.AUTHENTICATION_CLASSES is not None:
        return [import_string(path) for path in conf.AUTHENTICATION_CLASSES]
    classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    return list(classes)


def sessions_decide() -> bool:
    """Whether Django's session decides who is there, wherever a handshake shows no ``Authorization``.

    With REST framework's own classes, exactly: what a subclass looks at nobody knows.
    """
    engine = settings.SESSION_ENGINE.rpartition(".")[0]
    return engine == "django.contrib.sessions.backends" and _OF_HEADERS.issuperset(_authentication_classes())


def session_auth_hash(user: Any) -> str:
    """What changes with a user's password; empty where Django knows none."""
    return user.get_session_auth_hash() if hasattr(user, "get_session_auth_hash") else ""


def is_same_user(user: Any, auth_hash: str) -> bool:
    """Whether the user is active, and has the password of the time when this hash was taken."""
    hashes = [session_auth_hash(user), *getattr(user, "get_session_auth_fallback_hash", list)()]
    return user.is_active and any(constant_time_compare(auth_hash, each) for each in hashes)


def _reloaded(found: Any) -> Any:
    """The user of another middleware as the database has him now; one who is not of the database as he is."""
    if not isinstance(found, get_user_model()) or found.pk is None:
        return found
    user = get_user_model()._default_manager.filter(pk=found.pk).first()
    if user is None or not is_same_user(user, session_auth_hash(found)):
        raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "These credentials are not valid any more")
    return user
