"""Who may come in, and for how long: origin, credentials and permission of a socket."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import ParseResult, urlparse, urlsplit

from channels.security.websocket import OriginValidator
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from rest_framework.request import Request

from trace_streaming.conf import conf
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Trace
from trace_streaming.permissions import (
    WatchPolicy,
    find_trace,
    find_traces,
    may_watch,
    watching_needs_no_request,
    watching_needs_no_trace,
)
from trace_streaming.storage.faults import is_transient
from trace_streaming.telemetry.logs import describe
from trace_streaming.wire.protocol import FAILED, CloseCode, Ending

from .authentication import (
    Credentials,
    Found,
    Handshake,
    LoneSession,
    as_http_request,
    sessions_decide,
    without_cookies,
)
from .hidden_tickets import TICKET_KEY, hide_ticket
from .sessions import SessionUsers
from .tickets import redeem

logger = logging.getLogger(__name__)

TICKET_SUBPROTOCOL: Final = "ticket."
"""What a subprotocol begins with that carries a ticket; the server never answers with it."""
EXPIRED: Final = Ending(CloseCode.CREDENTIALS_EXPIRED, "Your credentials have expired; get new ones and connect again")
_USUAL_PORTS: Final = {"http": 80, "https": 443}
NOT_ALLOWED: Final = Ending(CloseCode.NOT_ALLOWED, "You may not watch this trace")
NOT_THIS_ORIGIN: Final = Ending(
    CloseCode.NOT_ALLOWED,
    "Pages of this origin may not use your cookies here: a proxy has to pass on the page's Host, and ALLOWED_HOSTS"
    " to have it; TRACE_STREAMING_ALLOWED_ORIGINS names other sites",
)


Admitted = tuple[Credentials, Any]
"""What was shown, and by whom."""


def admit(scope: dict[str, Any], trace_id: str) -> Admitted:
    """Let a handshake in: its credentials, and its user. Synchronous; queries the database.

    :raises ProtocolError: 4401 or 4403, with what the client is told
    """
    hide_ticket(scope)
    token = ticket_of(scope)
    if token is not None:
        return renew(scope, trace_id, token)
    is_allowed = has_allowed_origin(scope)
    credentials = Handshake(scope if is_allowed else without_cookies(scope))
    request = credentials.authenticate()
    if not is_allowed and request.auth is None:
        raise ProtocolError(*NOT_THIS_ORIGIN)
    _check(request, is_let=may_watch(request, find_trace(trace_id)))
    return credentials, request.user


def admit_together(handshakes: Sequence[tuple[Handshake, str]]) -> list[Admitted | Exception]:
    """Like :func:`admit`, of many that show a lone session, for the price of some queries in all."""
    together = AskedTogether(handshakes)
    return [_admitted(together, handshake, trace_id) for handshake, trace_id in handshakes]


def _admitted(together: AskedTogether, handshake: Handshake, trace_id: str) -> Admitted | Exception:
    if not has_allowed_origin(handshake.scope):
        return ProtocolError(*NOT_THIS_ORIGIN)
    try:
        request = together.request(handshake)
        _check(request, is_let=together.may_watch(request, trace_id))
    except Exception as error:  # this one's own
        return error
    return handshake, request.user


def renew(scope: dict[str, Any], trace_id: str, token: str) -> Admitted:
    """Like :func:`admit`, with a ticket."""
    credentials = redeem(token, trace_id, scope)
    request = credentials.authenticate()
    _check(request, is_let=may_watch(request, find_trace(trace_id)))
    return credentials, request.user


def _check(request: Request | Found, *, is_let: bool) -> None:
    if is_let:
        return
    if request.user.is_authenticated:
        raise ProtocolError(*NOT_ALLOWED)
    raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "Log in to watch this trace")


class AskedTogether:
    """What the database says of many watchers at once, where nothing of the project's own looks at their requests.

    Where something does, each is asked as if it were alone. The answers are those of this moment, for these watchers.
    """

    def __init__(self, asked: Collection[tuple[Credentials, str]]) -> None:
        self._is_possible = can_be_asked_together()
        self._policy = WatchPolicy() if self._is_possible else None
        sessions = [self._session_of(credentials) for credentials, _ in asked]
        self._users = SessionUsers({session.key for session in sessions if session is not None and session.key})
        needs_no_trace = self._is_possible and watching_needs_no_trace() and None not in sessions
        self._traces = {} if needs_no_trace else find_traces({trace_id for _, trace_id in asked})

    def request(self, credentials: Credentials) -> Request | Found:
        """As :meth:`.Credentials.authenticate`."""
        session = self._session_of(credentials)
        return credentials.authenticate() if session is None else Found(self._users.of(session.key))

    def may_watch(self, request: Request | Found, trace_id: str) -> bool:
        """As :func:`.may_watch`."""
        trace = self._traces.get(trace_id) or Trace(trace_id=trace_id)
        return may_watch(request, trace) if self._policy is None else self._policy.lets(request, trace)

    def _session_of(self, credentials: Credentials) -> LoneSession | None:
        return _lone_session(credentials) if self._is_possible else None


def _lone_session(credentials: Credentials) -> LoneSession | None:
    return credentials.lone_session if isinstance(credentials, Handshake) else None


def can_be_asked_together() -> bool:
    """Whether neither an authentication nor a permission class of the project's own looks at a request."""
    return sessions_decide() and watching_needs_no_request()


def ticket_of(scope: dict[str, Any]) -> str | None:
    """The ticket of the URL, or of a subprotocol."""
    if TICKET_KEY in scope:
        return str(scope[TICKET_KEY])
    offered = (name for name in scope.get("subprotocols", ()) if name.startswith(TICKET_SUBPROTOCOL))
    return next((name.removeprefix(TICKET_SUBPROTOCOL) for name in offered), None)


def has_allowed_origin(scope: dict[str, Any]) -> bool:
    """Whether a browser's cookies may be used: by the pages of this host, and of ``TRACE_STREAMING_ALLOWED_ORIGINS``.

    Browsers send the page's origin with every handshake, and cookies to every page's sockets (cross-site WebSocket
    hijacking). Without an origin it is no browser; and a page does not send tokens and tickets that it does not have.
    """
    if all(name.lower() != b"origin" for name, _ in scope.get("headers", ())):
        return True
    request = as_http_request(scope)
    text = request.headers["Origin"]
    try:
        origin = urlparse(text)
        return _is_own(origin, request) or bool(OriginValidator(None, conf.ALLOWED_ORIGINS).valid_origin(origin))
    except ValueError:  # it is no URL
        return False


def _is_own(origin: ParseResult, request: HttpRequest) -> bool:
    try:
        host = urlsplit(f"//{request.get_host()}")
    except DisallowedHost:
        return False
    usual = _USUAL_PORTS.get(origin.scheme)
    if usual is None or origin.hostname is None or (origin.scheme != "https" and request.is_secure()):
        return False
    # A host without a port is that of the page's scheme: a proxy may have taken off TLS.
    return _name(origin.hostname) == _name(host.hostname) and (origin.port or usual) == (host.port or usual)


def _name(host: str | None) -> str:
    """Of a host, in one of its spellings; letters are small already."""
    text = (host or "").removesuffix(".")
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def judged_alike() -> Callable[[Credentials, str], Hashable]:
    """What is the same for two watchers, at this moment, of whom only one has to be judged."""
    return _by_session if can_be_asked_together() and watching_needs_no_trace() else _by_all


def _by_session(credentials: Credentials, trace_id: str) -> Hashable:
    return _lone_session(credentials) or _by_all(credentials, trace_id)


def _by_all(credentials: Credentials, trace_id: str) -> Hashable:
    return credentials.key, trace_id


def judge(watchers: Iterable[tuple[Credentials, str]]) -> list[Ending | None]:
    """Who must leave: for each, why; None is nobody. Synchronous; queries the database for all of them at once."""
    asked = list(watchers)
    together = AskedTogether(asked)
    return [_judge(together, credentials, trace_id) for credentials, trace_id in asked]


def _judge(together: AskedTogether, credentials: Credentials, trace_id: str) -> Ending | None:
    try:
        request = together.request(credentials)
        if together.may_watch(request, trace_id):
            return None
        return NOT_ALLOWED if request.user.is_authenticated else EXPIRED
    except ProtocolError:
        return EXPIRED
    except Exception as error:
        if is_transient(error):  # nobody can be asked
            raise
        # This one cannot be asked; the others can.
        logger.error("Asking whether a socket may stay fails: %s", describe(error), extra={"trace_id": trace_id})
        return FAILED
