"""A trace's events: read page by page, exported, added to, and ended."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.emitting.project_events import told_time
from trace_streaming.events import END_STATES, TraceEnd
from trace_streaming.exporting.pages import chrome_trace, json_lines, json_page, otlp_json
from trace_streaming.exporting.responses import streamed

from . import ingest
from .access import TextView

MAX_LIMIT = 1_000
NDJSON = "application/x-ndjson"


class SplicedJSONRenderer(JSONRenderer):
    """JSON, from bytes that are JSON already, too."""

    def render(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Nothing is parsed."""
        return data if isinstance(data, bytes) else super().render(data, *args, **kwargs)


class JSONLinesRenderer(JSONRenderer):
    """Chosen by ``Accept: application/x-ndjson`` or ``?format=jsonl``; the view streams it."""

    media_type = NDJSON
    format = "jsonl"


class ChromeRenderer(JSONRenderer):
    """Chosen by ``?format=chrome``; the view streams it."""

    format = "chrome"


class OtlpRenderer(JSONRenderer):
    """Chosen by ``?format=otlp``; the view streams it."""

    format = "otlp"


class EventsView(TextView):
    """The events of a trace."""

    renderer_classes = (SplicedJSONRenderer, JSONLinesRenderer)

    def get(self, request: Request, trace_id: str) -> HttpResponseBase:
        """Those behind ``since``: one page as JSON, or all as JSON lines."""
        trace, watch, limit = self.stored_trace(), self.watch_request(), self._limit()
        if request.accepted_renderer.format == JSONLinesRenderer.format:
            return streamed(request, json_lines(trace, watch, limit), NDJSON)
        return Response(json_page(trace, watch, 100 if limit is None else min(limit, MAX_LIMIT)))

    def post(self, request: Request, trace_id: str) -> Response:
        """Add one event, or ``{"events": [...]}``."""
        trace = self.writable_trace()
        taken = ingest.take(trace, request.user, ingest.body_of(request))
        return Response(taken.as_data(), status=taken.status_code)

    def _limit(self) -> int | None:
        text = self.request.query_params.get("limit")
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) < 1:
            raise ValidationError({"limit": ["A whole number above 0 is expected"]})
        return int(text)


class ExportView(TextView):
    """A whole trace as a file."""

    renderer_classes = (JSONLinesRenderer, ChromeRenderer, OtlpRenderer)
    has_pages = False

    def get(self, request: Request, trace_id: str) -> HttpResponseBase:
        """``format=jsonl``: lines for ``play_trace``. ``format=chrome``: for Perfetto. ``format=otlp``: OTLP's JSON."""
        trace, watch = self.stored_trace(), self.watch_request()
        if request.accepted_renderer.format == ChromeRenderer.format:
            response = streamed(request, chrome_trace(trace, watch), "application/json")
            name = f"{trace.trace_id}.trace.json"
        elif request.accepted_renderer.format == OtlpRenderer.format:
            response = streamed(request, otlp_json(trace, watch), "application/json")
            name = f"{trace.trace_id}.otlp.json"
        else:
            response = streamed(request, json_lines(trace, watch, None), NDJSON)
            name = f"{trace.trace_id}.jsonl"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class EndSerializer(serializers.Serializer[Any]):
    """How a trace ends."""

    state = serializers.ChoiceField(choices=END_STATES, default="success")
    timestamp = serializers.CharField(required=False, allow_null=True)


class EndView(TextView):
    """The end of a trace."""

    serializer_class = EndSerializer

    def post(self, request: Request, trace_id: str) -> Response:
        """End it; what was sent before is stored before."""
        trace = self.writable_trace()
        asked = EndSerializer(data=ingest.body_of(request))
        asked.is_valid(raise_exception=True)
        try:
            timestamp = told_time(asked.validated_data.get("timestamp"))
        except ValueError as error:
            raise ValidationError({"timestamp": [str(error)]}) from None
        with ingest.recording(trace.trace_id) as receipt:
            ingest.begin(trace, request.user).end(asked.validated_data["state"], timestamp=timestamp)
        if receipt.refuses(TraceEnd):
            raise ValidationError({"state": [ingest.REFUSED]})
        return Response(
            {"state": asked.validated_data["state"], "stored": receipt.is_stored},
            status=status.HTTP_200_OK if receipt.is_stored else status.HTTP_202_ACCEPTED,
        )
