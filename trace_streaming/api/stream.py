"""A trace as server-sent events: the same subscription as a socket's, for where sockets do not pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.db import connections
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotAuthenticated, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from trace_streaming.access.authentication import Handshake
from trace_streaming.connections.event_source import EventSource
from trace_streaming.events import END_STATES
from trace_streaming.exceptions import ProtocolError
from trace_streaming.models import Trace
from trace_streaming.servers.lines import SCOPE_KEY
from trace_streaming.servers.presence import presence
from trace_streaming.wire.protocol import WatchRequest, parse_since
from trace_streaming.wire.server_sent_events import EVENT_STREAM, EVENT_STREAM_WITH_DELTAS, EventStreamProfile

from .access import TextView

EVENT_STREAM_TYPE: Final = "text/event-stream"


class AsyncOnlyError(APIException):
    """501: under WSGI a stream would never begin."""

    status_code = 501
    default_detail = "Server-sent events need an ASGI server."


class EventStreamRenderer(JSONRenderer):
    """The view streams it."""

    media_type = EVENT_STREAM_TYPE
    format = "event-stream"


class StreamView(TextView):
    """A trace live, as server-sent events."""

    renderer_classes = (EventStreamRenderer,)
    has_pages = False

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Server-sent events, whatever the client accepts."""
        return super().perform_content_negotiation(request, force=True)

    def get(self, request: Request, trace_id: str) -> HttpResponseBase:
        """Replay what is behind ``Last-Event-ID`` or ``since``, then go on live; 204 when all was said already."""
        trace, watch = self.watched_trace(), self.watch_request()
        scope = getattr(request._request, "scope", None)
        if scope is None:
            raise AsyncOnlyError
        if (last_event_id := request.headers.get("Last-Event-ID")) is not None:
            try:
                watch = replace(watch, since=parse_since(last_event_id.strip()))
            except ProtocolError as error:
                raise ValidationError({"detail": f"Last-Event-ID: {error.message}"}) from None
            if _has_all(trace, watch):
                return HttpResponse(status=204)  # an EventSource comes back after every end, but not after this
        if SCOPE_KEY in scope:  # a real server; Django's test client has the other keys of one
            presence.start()
        credentials = self._credentials(scope)
        release_connections()
        content: Any = ()
        if request.method != "HEAD":
            content = EventSource(watch, scope, credentials, request.user, self._profile()).parts()
        return StreamingHttpResponse(
            content,
            content_type=EVENT_STREAM_TYPE,
            headers={
                "Cache-Control": "no-store, no-cache, no-transform",
                "X-Accel-Buffering": "no",  # nginx
                "Content-Encoding": "identity",  # Django's GZipMiddleware would hold events back
            },
        )

    def _profile(self) -> EventStreamProfile:
        """With ``deltas=1``, also what calls say while they say it."""
        asked = self.request.query_params.get("deltas", "0")
        if asked not in {"0", "1"}:
            raise ValidationError({"deltas": ["Must be 0 or 1"]})
        return EVENT_STREAM_WITH_DELTAS if asked == "1" else EVENT_STREAM

    def _credentials(self, scope: dict[str, Any]) -> Handshake:
        """What the request has shown, to be asked again; asked once now, while it is known to be good."""
        request = self.request
        loaded = {"user": request.user, "session": getattr(request._request, "session", None)}
        by_token = request.auth is not None
        credentials = Handshake(scope if by_token else {**scope, **loaded})
        try:
            credentials.authenticate()
        except ProtocolError as error:  # it has ended meanwhile
            raise NotAuthenticated(error.message) from None
        return credentials


def release_connections() -> None:
    """Give this thread's database connections back: what follows may last for hours."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _has_all(trace: Trace, watch: WatchRequest) -> bool:
    is_over = trace.pk is not None and trace.state in END_STATES
    return is_over and watch.since == trace.last_sequence and not watch.contradicts(trace.last_sequence, trace.epoch)
