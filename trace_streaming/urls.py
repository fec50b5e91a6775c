"""The HTTP routes: ``ws/health``, ``metrics``, ``dashboard/`` and ``api/``."""

from __future__ import annotations

from django.urls import include, path

from .api.approvals import ApprovalsView, ApprovalView, OpenApprovalsView
from .api.signals import SeriesView, ToolsView, TraceSignalsView, WindowSignalsView
from .api.tickets import TicketView
from .monitoring.dashboard import dashboard, dashboard_trace
from .monitoring.health import HealthView
from .monitoring.metrics import MetricsView

app_name = "trace_streaming"

urlpatterns = [
    path("ws/health", HealthView.as_view(), name="health"),
    path("api/traces/<str:trace_id>/ticket", TicketView.as_view(), name="ticket"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("api/signals/", WindowSignalsView.as_view(), name="signals"),
    path("api/signals/series", SeriesView.as_view(), name="signals-series"),
    path("api/signals/tools", ToolsView.as_view(), name="signals-tools"),
    path("api/approvals/", OpenApprovalsView.as_view(), name="open-approvals"),
    path("dashboard/", dashboard, name="dashboard"),
    path("dashboard/traces/<str:trace_id>", dashboard_trace, name="dashboard-trace"),
    path("api/traces/<str:trace_id>/signals", TraceSignalsView.as_view(), name="trace-signals"),
    path("api/traces/<str:trace_id>/approvals", ApprovalsView.as_view(), name="approvals"),
    path("api/traces/<str:trace_id>/approvals/<str:approval_id>", ApprovalView.as_view(), name="approval"),
    path("api/", include("trace_streaming.api.urls")),
]
