"""What all views have in common: one policy, and one way to say no."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import NotAuthenticated, NotFound, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.views import DoorView
from trace_streaming.conf import conf
from trace_streaming.events import check_trace_id, event_names
from trace_streaming.exceptions import InvalidTraceIdError, ProtocolError
from trace_streaming.models import Trace
from trace_streaming.permissions import WHO_ADDS, find_trace, may_add_events, may_watch, watch_permissions
from trace_streaming.wire.protocol import WatchRequest, parse_watch_request


class TraceView(DoorView):
    """A view of the trace that the path names, for those who may watch it.

    For all others it is the same as one that does not exist: they learn nothing by asking.
    """

    queryset: QuerySet[Any] = Trace.objects.none()
    """What DjangoModelPermissions and its like judge by."""

    def get_permissions(self) -> list[BasePermission]:
        """Those that decide who may watch: the same at every door."""
        return watch_permissions()

    def watched_trace(self) -> Trace:
        """The trace; unsaved when it has not begun. 400, 401 or 403, and 404 as this class says."""
        trace = self.named_trace()
        if not may_watch(self.request, trace, self):
            self.refuse()
        return trace

    def stored_trace(self) -> Trace:
        """Like :meth:`watched_trace`, and 404 when it has not begun."""
        trace = self.watched_trace()
        if trace.pk is None:
            raise NotFound
        return trace

    def writable_trace(self) -> Trace:
        """The trace, for those who may add to it; unsaved when it has not begun. 403 for those who may only watch."""
        trace = self.named_trace()
        if not may_add_events(self.request, trace):
            if may_watch(self.request, trace, self) and self.request.user.is_authenticated:
                raise PermissionDenied(f"You may only watch: {WHO_ADDS}")
            self.refuse(f"Not found; {WHO_ADDS}")
        return trace

    def named_trace(self) -> Trace:
        """Whoever asks."""
        try:
            trace_id = check_trace_id(self.kwargs["trace_id"])
        except InvalidTraceIdError as error:
            raise ValidationError({"trace_id": [str(error)]}) from None
        return find_trace(trace_id)

    def refuse(self, message: str | None = None) -> None:
        """Say that there is no such trace, or ask who is there."""
        if not self.request.user.is_authenticated:
            raise NotAuthenticated
        raise NotFound(message)

    def watch_request(self) -> WatchRequest:
        """``since``, ``epoch``, ``events`` and ``status``, as the sockets have them."""
        query = self.request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
        try:
            return parse_watch_request(self.kwargs["trace_id"], query, event_names(conf.EXTRA_EVENTS))
        except ProtocolError as error:
            raise ValidationError({"detail": error.message}) from None


class TextView(TraceView):
    """A view of text that is no JSON: what goes wrong is JSON all the same."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Give an error its renderer."""
        is_error = isinstance(response, Response) and response.status_code >= status.HTTP_400_BAD_REQUEST
        if is_error and not isinstance(getattr(request, "accepted_renderer", None), BrowsableAPIRenderer):
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)
