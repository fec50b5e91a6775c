"""The routes under ``api/``, each with and without its last slash."""

from __future__ import annotations

from django.urls import path, re_path
from rest_framework.routers import APIRootView

from .events import EndView, EventsView, ExportView
from .stream import StreamView
from .traces import TraceDetail, TraceList

TRACE = r"^traces/(?P<trace_id>[^/]+)"

urlpatterns = [
    path("", APIRootView.as_view(api_root_dict={"traces": "api-traces"}), name="api-root"),
    re_path(r"^traces/?$", TraceList.as_view(), name="api-traces"),
    re_path(rf"{TRACE}/events/?$", EventsView.as_view(), name="api-events"),
    re_path(rf"{TRACE}/export/?$", ExportView.as_view(), name="api-export"),
    re_path(rf"{TRACE}/end/?$", EndView.as_view(), name="api-end"),
    re_path(rf"{TRACE}/stream/?$", StreamView.as_view(), name="api-stream"),
    re_path(rf"{TRACE}/?$", TraceDetail.as_view(), name="api-trace"),
]
