"""What the list of traces can be narrowed by."""

from __future__ import annotations

import json
from typing import Any

import django_filters
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from trace_streaming.models import Event, Trace


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
