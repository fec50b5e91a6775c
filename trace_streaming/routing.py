"""The WebSocket route: ``ws/traces/{trace_id}``."""

from __future__ import annotations

from django.urls import re_path

from .consumers import TraceConsumer

# Any text is a trace id here: the consumer answers a bad one, where no route would be a server error.
websocket_urlpatterns = [re_path(r"^ws/traces/(?P<trace_id>(?s:.*))\Z", TraceConsumer.as_asgi())]
