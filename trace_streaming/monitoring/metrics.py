"""Metrics over HTTP, for Prometheus."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.module_loading import import_string
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from trace_streaming.access.views import DoorView
from trace_streaming.conf import conf
from trace_streaming.telemetry import metrics


class MetricsView(DoorView):
    """Prometheus' text format; 404 without the extra ``metrics``."""

    throttle_classes = ()
    has_pages = False

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Text, whatever the client accepts."""
        return super().perform_content_negotiation(request, force=True)

    def get_permissions(self) -> list[BasePermission]:
        """``TRACE_STREAMING_METRICS_PERMISSION_CLASSES``."""
        return [import_string(path)() for path in conf.METRICS_PERMISSION_CLASSES]

    def get(self, request: Request) -> HttpResponse:
        """All metrics, of all processes in the multiprocess mode."""
        if not metrics.IS_AVAILABLE:
            raise NotFound("Install django-trace-streaming[metrics]")
        text, content_type = metrics.exposition()
        return HttpResponse(text, content_type=content_type)
