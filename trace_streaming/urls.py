"""The HTTP routes: ``ws/health``, and those under ``api/``."""

from __future__ import annotations

from django.urls import include, path

from .views import HealthView

app_name = "trace_streaming"

urlpatterns = [
    path("ws/health", HealthView.as_view(), name="health"),
    path("api/", include("trace_streaming.api.urls")),
]
