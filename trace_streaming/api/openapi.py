"""What drf-spectacular cannot see by itself. Loaded with that app, and not without it."""

from __future__ import annotations

from types import new_class
from typing import Any, Final

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

from trace_streaming.approval_views import ApprovalSerializer, DecisionSerializer, OpenApprovalSerializer
from trace_streaming.events import END_STATES, STATUSES
from trace_streaming.signal_views import SeriesSerializer, ToolsSerializer, WindowSerializer

from .events import NDJSON
from .stream import EVENT_STREAM_TYPE
from .traces import TraceSerializer

_PATH: Final = OpenApiParameter(
    "trace_id",
    {"type": "string", "pattern": "^[A-Za-z0-9._~:@-]{1,128}$"},
    OpenApiParameter.PATH,
    examples=[OpenApiExample("trace", "t-1")],
)
_SINCE: Final = OpenApiParameter(
    "since", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, description="Only events behind this sequence."
)
_EVENTS: Final = OpenApiParameter("events", str, description="Only events of these names, separated by commas.")
_STATUS: Final = OpenApiParameter(
    "status", str, description=f"Only events of these statuses, separated by commas: {', '.join(STATUSES)}."
)
_LIMIT: Final = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    description="At most so many events; of JSON 100, and never more than 1000, of JSON lines all.",
)

_DETAIL: Final = inline_serializer("Refusal", {"detail": serializers.CharField()})
_ANY: Final = OpenApiTypes.OBJECT
_BAD: Final = OpenApiResponse(_ANY, "What is wrong with the request, by field.")
_NOT_FOUND: Final = OpenApiResponse(_DETAIL, "No such trace, or not to be seen by the requester.")
_REFUSALS: Final = {
    401: OpenApiResponse(_DETAIL, "Not authenticated."),
    403: OpenApiResponse(_DETAIL, "Not authenticated, or not allowed."),
    503: OpenApiResponse(_DETAIL, "The database does not answer; see Retry-After."),
}
_READING: Final = {400: _BAD, 404: _NOT_FOUND, 406: OpenApiResponse(_DETAIL, "No such format."), **_REFUSALS}
_WRITING: Final = {
    **_READING,
    413: OpenApiResponse(_DETAIL, "Too many events, or too many bytes."),
    415: OpenApiResponse(_DETAIL, "Not application/json."),
}

_EVENT_FIELDS: Final[dict[str, Any]] = {
    "event": serializers.CharField(max_length=64, help_text="A canonical name, or one of the project's own."),
    "details": serializers.JSONField(required=False, help_text="Anything; redacted before it is stored."),
    "status": serializers.ChoiceField(choices=STATUSES, required=False),
    "timestamp": serializers.DateTimeField(required=False, help_text="ISO 8601; now, when it is absent."),
}
_NEW_EVENT: Final = inline_serializer(
    "NewEvent",
    {
        **_EVENT_FIELDS,
        "event_id": serializers.RegexField(
            "^[!-~]{1,64}$", required=False, help_text="The sender's own name for it: a repeat is not stored again."
        ),
    },
)
_NEW_EVENTS: Final = inline_serializer(
    "NewEvents",
    {
        "events": serializers.ListField(child=_NEW_EVENT, max_length=1000),
        "metadata": serializers.JSONField(required=False, help_text="Of a trace that begins with this request."),
    },
)
_EVENT: Final = inline_serializer(
    "Event",
    {
        "event": serializers.CharField(),
        "trace_id": serializers.CharField(),
        "timestamp": serializers.DateTimeField(),
        "details": serializers.DictField(),
        "status": serializers.ChoiceField(choices=STATUSES),
        "sequence": serializers.IntegerField(),
        "tool_name": serializers.CharField(required=False),
        "duration_ms": serializers.FloatField(required=False),
    },
)
_PAGE: Final = inline_serializer(
    "EventPage",
    {
        "trace_id": serializers.CharField(),
        "epoch": serializers.CharField(),
        "last_sequence": serializers.IntegerField(),
        "next": serializers.IntegerField(allow_null=True, help_text="since of the next page; null behind the last."),
        "events": serializers.ListField(child=_EVENT),
    },
)
_TAKEN: Final = inline_serializer(
    "Taken",
    {
        "accepted": serializers.IntegerField(),
        "stored": serializers.BooleanField(),
        "errors": inline_serializer(
            "BadEvent", {"index": serializers.IntegerField(), "error": serializers.CharField()}, many=True
        ),
    },
)
_END: Final = {
    "type": "object",
    "properties": {"state": {"type": "string", "enum": list(END_STATES), "default": "success"}},
}
_ENDED: Final = inline_serializer("Ended", {"state": serializers.CharField(), "stored": serializers.BooleanField()})
_MESSAGE: Final = {
    "type": "object",
    "description": "One message of the stream. Without a name it is a trace's event, and its id the sequence.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["message", "connected", "live", "gap", "ended", "refused"]},
        "data": {"type": "string", "description": "JSON"},
        "retry": {"type": "integer", "description": "Milliseconds"},
    },
}
_HEALTH: Final = inline_serializer(
    "Health",
    {
        "status": serializers.CharField(),
        "service": serializers.CharField(),
        "active_connections": serializers.IntegerField(),
        "active_traces": serializers.ListField(child=serializers.CharField()),
    },
)


def _numbers(name: str, *names: str) -> serializers.Serializer[Any]:
    """Numbers that may not be known."""
    return inline_serializer(name, {each: serializers.FloatField(allow_null=True) for each in names})


_PART: Final[dict[str, Any]] = {
    "total_steps": serializers.IntegerField(help_text="Calls that completed."),
    "errors": serializers.IntegerField(help_text="Calls that failed."),
    **{name: serializers.FloatField(allow_null=True) for name in ("success_rate", "error_rate", "tool_error_rate")},
    "latency": _numbers("Latency", "p50", "p95", "p99", "mean"),
}
_OPEN: Final = inline_serializer(
    "OpenApprovals",
    {
        "now": serializers.DateTimeField(
            help_text="The server's time, which those of the approvals are to be held to."
        ),
        "approvals": OpenApprovalSerializer(many=True),
    },
)
_POINT: Final = {
    "at": serializers.DateTimeField(help_text="When the step begins."),
    **_PART,
    "approval_wait_time": _numbers("ApprovalWait", "p95", "mean"),
}
_TOOL: Final = {"tool": serializers.CharField(allow_null=True), **_PART}
_SERIES: Final = inline_serializer(
    "SignalSeries",
    {
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "step_seconds": serializers.IntegerField(),
        "points": inline_serializer("SignalPoint", _POINT, many=True),
    },
)
_TOOLS: Final = inline_serializer(
    "ToolSignals",
    {
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "tools": serializers.IntegerField(help_text="How many tools were called."),
        "slowest": inline_serializer("SlowTool", _TOOL, many=True),
        "failing": inline_serializer("FailingTool", _TOOL, many=True),
    },
)


def _extension(target: str, name: str, **methods: Any) -> type[OpenApiViewExtension]:
    """Describes the methods of a view."""

    def view_replacement(self: OpenApiViewExtension) -> type[Any]:
        bases: tuple[Any, ...] = (self.target_class,)
        return extend_schema_view(**methods)(type(name, bases, {}))

    body = {"target_class": f"trace_streaming.{target}", "view_replacement": view_replacement}
    made: type[OpenApiViewExtension] = new_class(
        f"{name}Extension", (OpenApiViewExtension,), {}, lambda it: it.update(body)
    )
    return made


_extension(
    "views.HealthView",
    "HealthView",
    get=extend_schema(
        responses={200: OpenApiResponse(_HEALTH, "Healthy."), 503: OpenApiResponse(_HEALTH, "Unhealthy.")}
    ),
)
_extension(
    "api.traces.TraceList",
    "TraceList",
    get=extend_schema(responses={200: TraceSerializer(many=True), **_READING}),
)
_extension(
    "api.traces.TraceDetail",
    "TraceDetail",
    get=extend_schema(parameters=[_PATH], responses={200: TraceSerializer, **_READING}),
)
_extension(
    "api.events.EventsView",
    "EventsView",
    get=extend_schema(
        parameters=[_PATH, _SINCE, _LIMIT, _EVENTS, _STATUS],
        responses={(200, "application/json"): _PAGE, (200, NDJSON): OpenApiTypes.STR, **_READING},
    ),
    post=extend_schema(
        parameters=[_PATH],
        request=PolymorphicProxySerializer(
            "NewEventOrEvents", [_NEW_EVENT, _NEW_EVENTS], resource_type_field_name=None
        ),
        responses={
            200: OpenApiResponse(_TAKEN, "All are stored."),
            202: OpenApiResponse(_TAKEN, "Taken, and not known to be stored yet."),
            207: OpenApiResponse(_TAKEN, "The good ones are stored, the bad ones named."),
            **_WRITING,
        },
    ),
)
_extension(
    "api.events.ExportView",
    "ExportView",
    get=extend_schema(
        parameters=[_PATH, _SINCE, _EVENTS, _STATUS],
        responses={(200, NDJSON): OpenApiTypes.STR, (200, "application/json"): OpenApiTypes.OBJECT, **_READING},
    ),
)
_extension(
    "api.events.EndView",
    "EndView",
    post=extend_schema(
        parameters=[_PATH],
        request={"application/json": _END},
        responses={
            200: OpenApiResponse(_ENDED, "It is stored."),
            202: OpenApiResponse(_ENDED, "Taken, and not known to be stored yet."),
            **_WRITING,
        },
    ),
)
_extension(
    "api.stream.StreamView",
    "StreamView",
    get=extend_schema(
        parameters=[
            _PATH,
            _SINCE,
            OpenApiParameter("epoch", str, description="The epoch that since belongs to."),
            _EVENTS,
            _STATUS,
            OpenApiParameter(
                "Last-Event-ID", str, OpenApiParameter.HEADER, description="As since; what an EventSource sends."
            ),
        ],
        responses={
            (200, EVENT_STREAM_TYPE): _MESSAGE,
            204: OpenApiResponse(None, "The trace has ended, and all behind Last-Event-ID was sent."),
            (400, "application/json"): _BAD,
            (401, "application/json"): _REFUSALS[401],
            (403, "application/json"): _REFUSALS[403],
            (404, "application/json"): _NOT_FOUND,
            (503, "application/json"): _REFUSALS[503],
        },
    ),
)
_extension(
    "views.TicketView",
    "TicketView",
    post=extend_schema(
        parameters=[_PATH],
        request=None,
        responses={
            201: inline_serializer(
                "Ticket",
                {"ticket": serializers.CharField(), "expires_in": serializers.IntegerField(help_text="Seconds")},
            ),
            **{status: _REFUSALS[status] for status in (401, 403)},
            400: _BAD,
            429: OpenApiResponse(None, "Too many tickets; Retry-After says how many seconds to wait."),
        },
    ),
)
_extension(
    "approval_views.ApprovalsView",
    "ApprovalsView",
    get=extend_schema(parameters=[_PATH], responses={200: ApprovalSerializer(many=True), **_READING}),
)
_extension(
    "approval_views.ApprovalView",
    "ApprovalView",
    post=extend_schema(
        parameters=[_PATH],
        request={"application/json": DecisionSerializer},
        responses={
            200: OpenApiResponse(ApprovalSerializer, "It is decided so, now or before."),
            409: OpenApiResponse(_ANY, "It is decided otherwise, or the time is over."),
            **_WRITING,
        },
    ),
)
_extension(
    "signal_views.WindowSignalsView",
    "WindowSignalsView",
    get=extend_schema(parameters=[WindowSerializer], responses={200: _ANY, **_READING}),
)
_extension(
    "signal_views.SeriesView",
    "SeriesView",
    get=extend_schema(parameters=[SeriesSerializer], responses={200: _SERIES, **_READING}),
)
_extension(
    "signal_views.ToolsView",
    "ToolsView",
    get=extend_schema(parameters=[ToolsSerializer], responses={200: _TOOLS, **_READING}),
)
_extension(
    "approval_views.OpenApprovalsView",
    "OpenApprovalsView",
    get=extend_schema(responses={200: _OPEN, **_READING}),
)
_extension(
    "signal_views.TraceSignalsView",
    "TraceSignalsView",
    get=extend_schema(parameters=[_PATH], responses={200: _ANY, **_READING}),
)
_extension(
    "metrics_views.MetricsView",
    "MetricsView",
    get=extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR, **_READING}),
)
