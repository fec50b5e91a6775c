"""Traces as files, from the admin's list and from a trace's page: the same files as the API's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from trace_streaming.api.events import NDJSON
from trace_streaming.exporting.pages import chrome_trace, chrome_traces, json_lines, otlp_json
from trace_streaming.exporting.responses import streamed
from trace_streaming.models import Trace
from trace_streaming.storage.store import database
from trace_streaming.wire.protocol import WatchRequest

from .read_only import ReadOnlyAdmin

JSON_LINES, CHROME, OTLP = "jsonl", "trace.json", "otlp.json"

_FILES: Final = {
    JSON_LINES: lambda trace, watch: json_lines(trace, watch, None),
    CHROME: chrome_trace,
    OTLP: otlp_json,
}
"""Of one trace, by how their names end."""


class ExportAdmin(ReadOnlyAdmin):
    """Whoever may view traces may take them along; that changes nothing, and is not asked twice."""

    def get_urls(self) -> list[URLPattern]:
        """With the files of a trace."""
        view, name = self.admin_site.admin_view(self.export), "trace_streaming_trace_export"
        return [path("<path:object_id>/export/<str:suffix>", view, name=name), *super().get_urls()]

    def export(self, request: HttpRequest, object_id: str, suffix: str) -> HttpResponseBase:
        """A trace as a download: ``jsonl``, ``trace.json`` or ``otlp.json``."""
        trace: Any = self.get_object(request, object_id)
        if not self.has_view_permission(request, trace):
            raise PermissionDenied
        if trace is None or suffix not in _FILES:
            raise Http404
        parts = _FILES[suffix](trace, WatchRequest(trace.trace_id))
        return _download(request, parts, f"{trace.trace_id}.{suffix}")

    @admin.action(description=_("Export selected traces as JSON lines"), permissions=["view"])
    def export_json_lines(self, request: HttpRequest, queryset: QuerySet[Trace]) -> HttpResponseBase:
        """One file, one trace after the other; ``play_trace`` plays it again."""
        each = (json_lines(trace, WatchRequest(trace.trace_id), None) for trace in _one_by_one(queryset))
        return _download(request, chain.from_iterable(each), f"traces.{JSON_LINES}")

    @admin.action(description=_("Export selected traces for Perfetto"), permissions=["view"])
    def export_chrome(self, request: HttpRequest, queryset: QuerySet[Trace]) -> HttpResponseBase:
        """One file, in which each trace is a process."""
        return _download(request, chrome_traces(_one_by_one(queryset)), f"traces.{CHROME}")


def _one_by_one(queryset: QuerySet[Trace]) -> Iterator[Trace]:
    """Each as it is when its turn comes; those that were deleted meanwhile are left out."""
    for key in list(queryset.values_list("pk", flat=True)):
        yield from Trace.objects.using(database()).filter(pk=key)


def _download(request: HttpRequest, parts: Iterator[bytes], name: str) -> HttpResponseBase:
    kind = NDJSON if name.endswith(JSON_LINES) else "application/json"
    response = streamed(Request(request), parts, kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
