"""The traces that somebody may watch, and one of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import django_filters
from django import forms
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from trace_streaming.models import Event, ModelCall, Trace, TraceTag
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage.owners import with_owner
from trace_streaming.storage.store import database
from trace_streaming.storage.times import stored_time

from .access import TraceView
from .fields import UtcModelSerializer, check_year
from .pages import TracePagination

_MOST: Final = Decimal(2**63 - 1)


class TraceSerializer(UtcModelSerializer[Trace]):
    """What is known of a trace without its events."""

    owner = serializers.CharField(source="owner.get_username", default=None, read_only=True, allow_null=True)
    duration_ms = serializers.SerializerMethodField(help_text="From the start to the end, or to the last event.")
    metadata = serializers.JSONField(read_only=True)
    tags = serializers.ListField(child=serializers.CharField(), read_only=True)

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
            "name",
            "conversation",
            "tags",
            "model_calls",
            "tool_calls",
            "input_tokens",
            "output_tokens",
            "cost",
        ]
        read_only_fields = fields

    def get_duration_ms(self, trace: Trace) -> float:
        """Milliseconds."""
        return trace.duration.total_seconds() * 1000


class TimeField(forms.DateTimeField):
    """ISO 8601 alone; without a zone, in UTC."""

    def to_python(self, value: Any) -> datetime | None:
        """As a column holds it."""
        if value in self.empty_values:
            return None
        try:
            time = check_year(datetime.fromisoformat(value))
            return stored_time((time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC))
        except (ValueError, OverflowError):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None


class TimeFilter(django_filters.IsoDateTimeFilter):
    """Of such a time."""

    field_class = TimeField


class AnyCase(Func):
    """A text to be searched in any case."""

    template = "%(expressions)s"
    output_field = TextField()

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """There, whether cases are told apart is the column's business, and ours tell them apart."""
        return self.as_sql(compiler, connection, template="LOWER(%(expressions)s) COLLATE utf8mb4_bin", **context)

    @staticmethod
    def of(traces: QuerySet[Trace], value: str) -> str:
        """What is searched for, likewise."""
        return value.lower() if connections[traces.db].vendor == "mysql" else value


class TraceFilter(django_filters.FilterSet):
    """By state, owner, time, events, tools, models, what the trace is called, its metadata, its cost and its tokens."""

    state = django_filters.ChoiceFilter(choices=Trace.State.choices)
    owner = django_filters.CharFilter(method="of_owner", label="Owner's user name")
    started_after = TimeFilter(field_name="started_at", lookup_expr="gte", label="Started after")
    started_before = TimeFilter(field_name="started_at", lookup_expr="lt", label="Started before")
    event = django_filters.CharFilter(method="with_event", max_length=64, label="Has an event of this name")
    tool = django_filters.CharFilter(method="with_tool", max_length=200, label="Has called a tool of this name")
    model = django_filters.CharFilter(method="with_model", max_length=200, label="Has called this model")
    name = django_filters.CharFilter(method="with_name", max_length=200, label="Name")
    conversation = django_filters.CharFilter(method="of_conversation", max_length=200, label="Conversation")
    tag = django_filters.CharFilter(method="with_tag", max_length=100, label="Tag")
    text = django_filters.CharFilter(
        method="with_any_text", max_length=200, label="Text in what it is called, or in the metadata"
    )
    cost_min = django_filters.NumberFilter(field_name="cost", lookup_expr="gte", label="Costs at least, in US dollars")
    cost_max = django_filters.NumberFilter(field_name="cost", lookup_expr="lte", label="Costs at most, in US dollars")
    tokens_min = django_filters.NumberFilter(method="with_tokens", label="Has at least so many tokens, in and out")
    tokens_max = django_filters.NumberFilter(method="with_tokens", label="Has at most so many tokens, in and out")
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

    def with_tool(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Holding an event of this tool; asked trace by trace, as :meth:`with_event` does."""
        return traces.filter(Exists(Event.objects.using(traces.db).filter(trace=OuterRef("pk"), tool_name=value)))

    def with_model(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """With a call of this model that ended."""
        return traces.filter(Exists(ModelCall.objects.using(traces.db).filter(trace=OuterRef("pk"), model=value)))

    def with_name(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Called so, to the letter."""
        return traces.exclude(name="").filter(name=value)

    def of_conversation(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Parts of this one."""
        return traces.exclude(conversation="").filter(conversation=value)

    def with_tag(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """With this one among their tags."""
        return traces.filter(Exists(TraceTag.objects.using(traces.db).filter(trace=OuterRef("pk"), tag=value)))

    def with_any_text(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Whose name, conversation, tags or metadata hold this text, in any case."""
        value = AnyCase.of(traces, value)
        called = Q(name_text__icontains=value) | Q(conversation_text__icontains=value)
        tags = TraceTag.objects.using(traces.db).alias(tag_text=AnyCase("tag"))
        tagged = tags.filter(trace=OuterRef("pk"), tag_text__icontains=value)
        texts = self._with_metadata_text(traces).alias(
            name_text=AnyCase("name"), conversation_text=AnyCase("conversation")
        )
        return texts.filter(called | Exists(tagged) | _in_metadata(value))

    def with_tokens(self, traces: QuerySet[Trace], name: str, value: Decimal) -> QuerySet[Trace]:
        """Of all calls of models together; a trace without such calls has none."""
        total = traces.filter(model_calls__gt=0).alias(tokens=F("input_tokens") + F("output_tokens"))
        # Whole numbers that the database has: it knows no index for others.
        whole = max(min(value.to_integral_value(ROUND_CEILING if name == "tokens_min" else ROUND_FLOOR), _MOST), -_MOST)
        return total.filter(**{"tokens__gte" if name == "tokens_min" else "tokens__lte": int(whole)})

    def with_text(self, traces: QuerySet[Trace], name: str, value: str) -> QuerySet[Trace]:
        """Whose metadata, as JSON text, holds this one in any case; SQLite keeps other letters than ASCII escaped."""
        return self._with_metadata_text(traces).filter(_in_metadata(AnyCase.of(traces, value)))

    @staticmethod
    def _with_metadata_text(traces: QuerySet[Trace]) -> QuerySet[Trace]:
        return traces.alias(metadata_text=AnyCase(Cast("metadata", TextField())))


def _in_metadata(value: str) -> Q:
    escaped: Any = json.dumps(value)[1:-1]
    return Q(metadata_text__icontains=value) | Q(metadata_text__icontains=escaped)


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
        recorder.leases.watch()
        return Trace.objects.using(database()).select_related("owner")


class TraceDetail(TraceView):
    """One trace."""

    def get(self, request: Request, trace_id: str) -> Response:
        """What is known of it without its events."""
        recorder.leases.watch()
        return Response(TraceSerializer(with_owner(self.stored_trace())).data)
