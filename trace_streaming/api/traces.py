"""The traces that somebody may watch, and one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

import django_filters
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from trace_streaming.models import Event, Trace
from trace_streaming.permissions import may_watch, traces_to_watch
from trace_streaming.storage.store import database

from .access import TraceView

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


class TraceFilter(django_filters.FilterSet):
    """``state``, ``owner``, ``started_after``, ``started_before``, ``event`` and ``metadata``."""

    state = django_filters.ChoiceFilter(choices=Trace.State.choices)
    owner = django_filters.CharFilter(method="of_owner", label="Owner's user name")
    started_after = django_filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="gte", label="Started after")
    started_before = django_filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="lt", label="Started before")
    event = django_filters.CharFilter(method="with_event", max_length=64, label="Has an event of this name")
    metadata = django_filters.CharFilter(method="with_text", max_length=200, label="Text in the metadata")

    class Meta:
        model = Trace
        fields: list[str] = []

    def of_owner(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Of the user of this name, as the project's user model has it."""
        return traces.filter(**{f"owner__{get_user_model().USERNAME_FIELD}": value})

    def with_event(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Holding an event of this name; asked trace by trace, newest first, until a page is full."""
        return traces.filter(Exists(Event.objects.using(traces.db).filter(trace=OuterRef("pk"), event=value)))

    def with_text(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Whose metadata, as JSON text, holds this one in any case; SQLite keeps other letters than ASCII escaped."""
        escaped: Any = json.dumps(value)[1:-1]
        texts = traces.alias(metadata_text=Cast("metadata", TextField()))
        return texts.filter(Q(metadata_text__icontains=value) | Q(metadata_text__icontains=escaped))


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
