"""The traces that somebody may watch, and one of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

from django.apps import apps
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from trace_streaming.models import Trace
from trace_streaming.permissions import may_watch, traces_to_watch
from trace_streaming.store import database

from .access import TraceView
from .filters import TraceFilter

MAX_JUDGED: Final = 2_000
"""Where only a trace itself can be judged, so many are looked at for a page."""


class TraceSerializer(serializers.ModelSerializer[Trace]):
    """What is known of a trace without its events."""

    owner = serializers.CharField(source="owner.get_username", default=None, read_only=True, allow_null=True)
    duration_ms = serializers.SerializerMethodField(help_text="From the start to the end, or to the last event.")
    metadata = serializers.JSONField(read_only=True)

    class Meta:
        model = Trace
        fields = [
            "trace_id",
            "state",
            "owner",
            "started_at",
            "last_event_at",
            "ended_at",
            "duration_ms",
            "epoch",
            "last_sequence",
            "event_count",
            "error_count",
            "lost_count",
            "metadata",
        ]
        read_only_fields = fields

    def get_duration_ms(self, trace: Trace) -> float:
        """Milliseconds."""
        return trace.duration.total_seconds() * 1000


class _Judged:
    """Of a queryset, those that may be watched, one by one; as much of a queryset as pagination asks for."""

    def __init__(self, traces: QuerySet[Trace], request: Request, view: APIView) -> None:
        self._traces = traces
        self._request = request
        self._view = view

    def order_by(self, *fields: str) -> _Judged:
        return _Judged(self._traces.order_by(*fields), self._request, self._view)

    def filter(self, *conditions: Any, **more: Any) -> _Judged:
        return _Judged(self._traces.filter(*conditions, **more), self._request, self._view)

    def __getitem__(self, wanted: slice) -> list[Trace]:
        return list(islice(self._allowed(), wanted.start, wanted.stop))

    def _allowed(self) -> Iterator[Trace]:
        for trace in self._traces[:MAX_JUDGED].iterator(chunk_size=100):
            if may_watch(self._request, trace, self._view):
                yield trace


class TracePagination(CursorPagination):
    """Newest first; a page and its cursors hold nothing of a trace that may not be watched."""

    ordering = ("-started_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Narrow to what may be watched: in the query where the policy can, otherwise trace by trace."""
        allowed = traces_to_watch(request, queryset)
        return super().paginate_queryset(
            cast("Any", _Judged(queryset, request, view)) if allowed is None else allowed, request, view
        )


class FilterBackend(DjangoFilterBackend):
    """Its form in the browsable API comes with the app ``django_filters``, which need not be installed."""

    def to_html(self, request: Request, queryset: Any, view: APIView) -> str | None:
        """The form, if there is one."""
        return super().to_html(request, queryset, view) if apps.is_installed("django_filters") else None


class TraceList(TraceView, ListAPIView[Trace]):
    """Traces that the requester may watch, newest first."""

    serializer_class = TraceSerializer
    pagination_class = TracePagination
    filter_backends = (FilterBackend,)
    filterset_class = TraceFilter
    queryset = Trace.objects.all()

    def get_queryset(self) -> QuerySet[Trace]:
        """Of the database that holds the log."""
        return Trace.objects.using(database()).select_related("owner")


class TraceDetail(TraceView):
    """One trace."""

    def get(self, request: Request, trace_id: str) -> Response:
        """What is known of it without its events."""
        return Response(TraceSerializer(self.stored_trace()).data)
