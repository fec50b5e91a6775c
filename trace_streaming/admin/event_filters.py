"""By what events are filtered: by what they may be called. To ask the table what they are called reads all of it."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from trace_streaming.conf import conf
from trace_streaming.events.names import STATUSES, event_names
from trace_streaming.models import Event


class _ColumnFilter(admin.SimpleListFilter):
    """By the column that the parameter is called after."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        """Also for a value that was declared only before."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class NameFilter(_ColumnFilter):
    """The names that this project declares."""

    title = _("event")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Event]) -> Iterable[tuple[str, str]]:
        """In their order."""
        return [(name, name) for name in event_names(conf.EXTRA_EVENTS)]


class StatusFilter(_ColumnFilter):
    """What a status may be."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Event]) -> Iterable[tuple[str, str]]:
        """In their order."""
        return [(status, status) for status in STATUSES]
