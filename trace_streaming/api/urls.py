"""The routes under ``api/``, each with and without its last slash."""

from __future__ import annotations

from django.urls import path, re_path

from .approvals import ApprovalsView, ApprovalView, OpenApprovalsView
from .asking import AskedView
from .beats import BeatView
from .deltas import DeltasView
from .events import EndView, EventsView, ExportView
from .root import RootView
from .signals import SeriesView, ToolsView, TraceSignalsView, WindowSignalsView
from .stop import StopView
from .stream import StreamView
from .tickets import TicketView
from .traces import TraceDetail, TraceList

TRACE = r"^traces/(?P<trace_id>[^/]+)"

urlpatterns = [
    path("", RootView.as_view(), name="api-root"),
    re_path(r"^beat/?$", BeatView.as_view(), name="api-beat"),
    re_path(r"^signals/?$", WindowSignalsView.as_view(), name="signals"),
    re_path(r"^signals/series/?$", SeriesView.as_view(), name="signals-series"),
    re_path(r"^signals/tools/?$", ToolsView.as_view(), name="signals-tools"),
    re_path(r"^approvals/?$", OpenApprovalsView.as_view(), name="open-approvals"),
    re_path(r"^traces/?$", TraceList.as_view(), name="api-traces"),
    re_path(rf"{TRACE}/events/?$", EventsView.as_view(), name="api-events"),
    re_path(rf"{TRACE}/export/?$", ExportView.as_view(), name="api-export"),
    re_path(rf"{TRACE}/end/?$", EndView.as_view(), name="api-end"),
    re_path(rf"{TRACE}/deltas/?$", DeltasView.as_view(), name="api-deltas"),
    re_path(rf"{TRACE}/stream/?$", StreamView.as_view(), name="api-stream"),
    re_path(rf"{TRACE}/stop/?$", StopView.as_view(), name="api-stop"),
    re_path(rf"{TRACE}/ticket/?$", TicketView.as_view(), name="ticket"),
    re_path(rf"{TRACE}/signals/?$", TraceSignalsView.as_view(), name="trace-signals"),
    re_path(rf"{TRACE}/approvals/?$", ApprovalsView.as_view(), name="approvals"),
    re_path(rf"{TRACE}/approvals/(?P<approval_id>[^/]+)/decision/?$", AskedView.as_view(), name="asked-approval"),
    re_path(rf"{TRACE}/approvals/(?P<approval_id>[^/]+)/?$", ApprovalView.as_view(), name="approval"),
    re_path(rf"{TRACE}/?$", TraceDetail.as_view(), name="api-trace"),
]
