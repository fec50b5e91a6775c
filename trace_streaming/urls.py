"""The HTTP routes: ``ws/health``, ``metrics``, ``dashboard/`` and ``api/``."""

from __future__ import annotations

from django.urls import include, path, re_path

from .monitoring.dashboard import dashboard, dashboard_approvals, dashboard_trace, dashboard_traces
from .monitoring.health import HealthView
from .monitoring.metrics import MetricsView

app_name = "trace_streaming"

urlpatterns = [
    path("ws/health", HealthView.as_view(), name="health"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("dashboard/", dashboard, name="dashboard"),
    path("dashboard/approvals/", dashboard_approvals, name="dashboard-approvals"),
    path("dashboard/traces/", dashboard_traces, name="dashboard-traces"),
    re_path(r"^dashboard/traces/(?P<trace_id>[^/]+)/?$", dashboard_trace, name="dashboard-trace"),
    path("api/", include("trace_streaming.api.urls")),
]
