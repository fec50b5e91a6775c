"""Who may come in, and for how long: origin, credentials and permission of a socket."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import ParseResult, urlparse, urlsplit

from channels.security.websocket import OriginValidator
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from rest_framework.request import Request

from trace_streaming.conf import conf
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Trace
from trace_streaming.permissions import find_trace, may_watch
from trace_streaming.storage.store import database
from trace_streaming.telemetry.logs import describe
from trace_streaming.wire.protocol import FAILED, CloseCode, Ending

from .authentication import TICKET_KEY, Credentials, Handshake, as_http_request, hide_ticket, without_cookies
from .tickets import redeem

logger = logging.getLogger(__name__)

TICKET_SUBPROTOCOL: Final = "ticket."
"""What a subprotocol begins with that carries a ticket; the server never answers with it."""
EXPIRED: Final = Ending(CloseCode.CREDENTIALS_EXPIRED, "Your credentials have expired; get new ones and connect again")
_USUAL_PORTS: Final = {"http": 80, "https": 443}
NOT_ALLOWED: Final = Ending(CloseCode.NOT_ALLOWED, "You may not watch this trace")


def admit(scope: dict[str, Any], trace_id: str) -> tuple[Credentials, Any]:
    """Let a handshake in: its credentials, and its user. Synchronous; queries the database.

    :raises ProtocolError: 4401 or 4403, with what the client is told
    """
    hide_ticket(scope)
    token = ticket_of(scope)
    if token is not None:
        return renew(scope, trace_id, token)
    is_allowed = has_allowed_origin(as_http_request(scope))
    credentials = Handshake(scope if is_allowed else without_cookies(scope))
    request = credentials.authenticate()
    if not is_allowed and request.auth is None:
        raise ProtocolError(CloseCode.NOT_ALLOWED, "Pages of this origin may not use your cookies here")
    _check_permission(request, trace_id)
    return credentials, request.user


def renew(scope: dict[str, Any], trace_id: str, token: str) -> tuple[Credentials, Any]:
    """Like :func:`admit`, with a ticket."""
    credentials = redeem(token, trace_id, scope)
    request = credentials.authenticate()
    _check_permission(request, trace_id)
    return credentials, request.user


def _check_permission(request: Request, trace_id: str) -> None:
    if may_watch(request, find_trace(trace_id)):
        return
    if request.user.is_authenticated:
        raise ProtocolError(*NOT_ALLOWED)
    raise ProtocolError(CloseCode.NOT_AUTHENTICATED, "Log in to watch this trace")


def ticket_of(scope: dict[str, Any]) -> str | None:
    """The ticket of the URL, or of a subprotocol."""
    if TICKET_KEY in scope:
        return str(scope[TICKET_KEY])
    offered = (name for name in scope.get("subprotocols", ()) if name.startswith(TICKET_SUBPROTOCOL))
    return next((name.removeprefix(TICKET_SUBPROTOCOL) for name in offered), None)


def has_allowed_origin(request: HttpRequest) -> bool:
    """Whether a browser's cookies may be used: by the pages of this host, and of ``TRACE_STREAMING_ALLOWED_ORIGINS``.

    Browsers send the page's origin with every handshake, and cookies to every page's sockets (cross-site WebSocket
    hijacking). Without an origin it is no browser; and a page does not send tokens and tickets that it does not have.
    """
    text = request.headers.get("Origin")
    if text is None:
        return True
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


def judge(watchers: Iterable[tuple[Credentials, str]]) -> list[Ending | None]:
    """Who must leave: for each, why; None is nobody. Synchronous; queries the database, once for all traces."""
    asked = list(watchers)
    found = Trace.objects.using(database()).in_bulk({trace_id for _, trace_id in asked}, field_name="trace_id")
    return [_judge(credentials, found.get(trace_id) or Trace(trace_id=trace_id)) for credentials, trace_id in asked]


def _judge(credentials: Credentials, trace: Trace) -> Ending | None:
    try:
        request = credentials.authenticate()
        if may_watch(request, trace):
            return None
        return NOT_ALLOWED if request.user.is_authenticated else EXPIRED
    except ProtocolError:
        return EXPIRED
    except (OperationalError, InterfaceError):  # nobody can be asked
        raise
    except Exception as error:  # this one cannot be asked; the others can
        logger.error("Asking whether a socket may stay fails: %s", describe(error), extra={"trace_id": trace.trace_id})
        return FAILED
