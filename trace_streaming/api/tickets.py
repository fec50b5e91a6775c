"""Tickets for sockets, for whoever can show credentials over HTTP alone."""

from __future__ import annotations

import time

from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle

from trace_streaming.access.tickets import TICKET_SECONDS, issue
from trace_streaming.access.views import DoorView
from trace_streaming.conf import conf
from trace_streaming.events import check_trace_id
from trace_streaming.exceptions import InvalidTraceIdError
from trace_streaming.permissions import find_trace, may_watch


class TicketThrottle(UserRateThrottle):
    """``LIMITS["tickets_per_user"]``, counted in Django's cache."""

    scope = "trace_streaming_ticket"
    # REST framework's own becomes a method where it is imported while a test has stopped the clock.
    timer = staticmethod(time.time)

    def get_rate(self) -> str | None:
        """Not from DRF's settings."""
        rate = conf.limits.tickets_per_user
        return None if rate is None else f"{rate.times}/s"

    def parse_rate(self, rate: str | None) -> tuple[int | None, int | None]:
        """As the limit was read before."""
        return conf.limits.tickets_per_user or (None, None)


class TicketView(DoorView):
    """A ticket for one socket, for clients that can show their credentials over HTTP alone."""

    throttle_classes = (TicketThrottle,)
    has_pages = False
    permission_classes = (AllowAny,)  # the trace's own are asked

    def post(self, request: Request, trace_id: str) -> Response:
        """201 with ``ticket`` and ``expires_in`` (seconds); 400, 401, 403 or 429 with ``detail``."""
        try:
            check_trace_id(trace_id)
        except InvalidTraceIdError as error:
            raise ValidationError({"detail": str(error)}) from None
        if not may_watch(request, find_trace(trace_id), self):
            self.permission_denied(request)
        return Response(
            {"ticket": issue(request, trace_id), "expires_in": TICKET_SECONDS},
            status=status.HTTP_201_CREATED,
        )
