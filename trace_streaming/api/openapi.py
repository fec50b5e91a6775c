"""What drf-spectacular cannot see by itself. Loaded with that app, and not without it."""

from __future__ import annotations

from types import new_class
from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

from .approvals import ApprovalSerializer, DecisionSerializer, StateSerializer
from .asking import AskedSerializer, QuestionSerializer
from .beats import BeatSerializer
from .events import NDJSON
from .schemas import (
    ANY,
    BAD,
    BEAT,
    END,
    ENDED,
    EVENTS,
    HEALTH,
    LIMIT,
    MESSAGE,
    NEW_EVENT,
    NEW_EVENTS,
    NOT_FOUND,
    OPEN,
    PAGE,
    PATH,
    READING,
    REFUSALS,
    SERIES,
    SINCE,
    STATUS,
    STOP,
    TAKEN,
    TOOLS,
    TRACE_SIGNALS,
    WINDOW,
    WRITING,
)
from .signals import SeriesSerializer, ToolsSerializer, WindowSerializer
from .stop import StopRequestSerializer, StopSerializer
from .stream import EVENT_STREAM_TYPE
from .traces import TraceSerializer


def _extension(target: str, name: str, *, optional: bool = False, **methods: Any) -> type[OpenApiViewExtension]:
    """Describes the methods of a view.

    :param optional: whether what the view needs may not be installed
    """

    def view_replacement(self: OpenApiViewExtension) -> type[Any]:
        bases: tuple[Any, ...] = (self.target_class,)
        return extend_schema_view(**methods)(type(name, bases, {}))

    body = {"target_class": f"trace_streaming.{target}", "view_replacement": view_replacement, "optional": optional}
    made: type[OpenApiViewExtension] = new_class(
        f"{name}Extension", (OpenApiViewExtension,), {}, lambda it: it.update(body)
    )
    return made


_extension(
    "monitoring.health.HealthView",
    "HealthView",
    get=extend_schema(responses={200: OpenApiResponse(HEALTH, "Healthy."), 503: OpenApiResponse(HEALTH, "Unhealthy.")}),
)
_extension(
    "api.traces.TraceList",
    "TraceList",
    get=extend_schema(responses={200: TraceSerializer(many=True), **READING}),
)
_extension(
    "api.traces.TraceDetail",
    "TraceDetail",
    get=extend_schema(parameters=[PATH], responses={200: TraceSerializer, **READING}),
)
_extension(
    "api.events.EventsView",
    "EventsView",
    get=extend_schema(
        parameters=[PATH, SINCE, LIMIT, EVENTS, STATUS],
        responses={(200, "application/json"): PAGE, (200, NDJSON): OpenApiTypes.STR, **READING},
    ),
    post=extend_schema(
        parameters=[PATH],
        request=PolymorphicProxySerializer("NewEventOrEvents", [NEW_EVENT, NEW_EVENTS], resource_type_field_name=None),
        responses={
            200: OpenApiResponse(TAKEN, "All are stored."),
            202: OpenApiResponse(TAKEN, "Taken, and not known to be stored yet."),
            207: OpenApiResponse(TAKEN, "The good ones are stored, the bad ones named."),
            **WRITING,
        },
    ),
)
_extension(
    "api.events.ExportView",
    "ExportView",
    get=extend_schema(
        parameters=[PATH, SINCE, EVENTS, STATUS],
        responses={(200, NDJSON): OpenApiTypes.STR, (200, "application/json"): OpenApiTypes.OBJECT, **READING},
    ),
)
_extension(
    "api.events.EndView",
    "EndView",
    post=extend_schema(
        parameters=[PATH],
        request={"application/json": END},
        responses={
            200: OpenApiResponse(ENDED, "It is stored."),
            202: OpenApiResponse(ENDED, "Taken, and not known to be stored yet."),
            **WRITING,
        },
    ),
)
_extension(
    "api.deltas.DeltasView",
    "DeltasView",
    post=extend_schema(
        parameters=[PATH], responses={204: OpenApiResponse(description="Told to who watches; not stored."), **WRITING}
    ),
)
_extension(
    "api.beats.BeatView",
    "BeatView",
    post=extend_schema(
        request={"application/json": BeatSerializer},
        responses={200: OpenApiResponse(BEAT, "Of so many of the traces it is known that they are open."), **WRITING},
    ),
)
_extension(
    "api.stream.StreamView",
    "StreamView",
    get=extend_schema(
        parameters=[
            PATH,
            SINCE,
            OpenApiParameter("epoch", str, description="The epoch that since belongs to."),
            EVENTS,
            STATUS,
            OpenApiParameter("deltas", {"type": "string", "enum": ["0", "1"]}, description="1: `delta`, too."),
            OpenApiParameter(
                "Last-Event-ID", str, OpenApiParameter.HEADER, description="As since; what an EventSource sends."
            ),
        ],
        responses={
            (200, EVENT_STREAM_TYPE): MESSAGE,
            204: OpenApiResponse(None, "The trace has ended, and all behind Last-Event-ID was sent."),
            (400, "application/json"): BAD,
            (401, "application/json"): REFUSALS[401],
            (403, "application/json"): REFUSALS[403],
            (404, "application/json"): NOT_FOUND,
            (503, "application/json"): REFUSALS[503],
        },
    ),
)
_extension(
    "api.tickets.TicketView",
    "TicketView",
    post=extend_schema(
        parameters=[PATH],
        request=None,
        responses={
            201: inline_serializer(
                "Ticket",
                {"ticket": serializers.CharField(), "expires_in": serializers.IntegerField(help_text="Seconds")},
            ),
            **{status: REFUSALS[status] for status in (401, 403)},
            400: BAD,
            429: OpenApiResponse(None, "Too many tickets; Retry-After says how many seconds to wait."),
        },
    ),
)
_extension(
    "api.approvals.ApprovalsView",
    "ApprovalsView",
    get=extend_schema(parameters=[PATH], responses={200: ApprovalSerializer(many=True), **READING}),
    post=extend_schema(
        parameters=[PATH],
        operation_id="api_traces_approvals_ask",
        request={"application/json": QuestionSerializer},
        responses={
            200: OpenApiResponse(ANY, "It was asked before."),
            201: OpenApiResponse(ANY, "It is asked, and stored: its `approval_id`, and when it `expires_at`."),
            409: OpenApiResponse(ANY, "Another approval has this id."),
            **WRITING,
        },
    ),
)
_extension(
    "api.asking.AskedView",
    "AskedView",
    get=extend_schema(
        parameters=[PATH, OpenApiParameter("binding", description="As it was asked with; another is a conflict.")],
        responses={200: AskedSerializer, 409: OpenApiResponse(ANY, "It is of other arguments."), **READING},
    ),
    delete=extend_schema(parameters=[PATH], responses={200: ANY, **READING}),
)
_extension(
    "api.approvals.ApprovalView",
    "ApprovalView",
    get=extend_schema(parameters=[PATH], responses={200: ApprovalSerializer, **READING}),
    post=extend_schema(
        parameters=[PATH],
        request={"application/json": DecisionSerializer},
        responses={
            200: OpenApiResponse(ApprovalSerializer, "It is decided so, now or before."),
            409: OpenApiResponse(ANY, "It is decided otherwise, or the time is over."),
            **WRITING,
        },
    ),
)
_extension(
    "api.stop.StopView",
    "StopView",
    get=extend_schema(parameters=[PATH], responses={200: STOP, **READING}),
    post=extend_schema(
        parameters=[PATH],
        request={"application/json": StopSerializer},
        responses={
            200: OpenApiResponse(StopRequestSerializer, "It is asked, now or before."),
            409: OpenApiResponse(ANY, "The trace does not run."),
            **WRITING,
        },
    ),
)
_extension(
    "api.signals.WindowSignalsView",
    "WindowSignalsView",
    get=extend_schema(parameters=[WindowSerializer], responses={200: WINDOW, **READING}),
)
_extension(
    "api.signals.SeriesView",
    "SeriesView",
    get=extend_schema(parameters=[SeriesSerializer], responses={200: SERIES, **READING}),
)
_extension(
    "api.signals.ToolsView",
    "ToolsView",
    get=extend_schema(parameters=[ToolsSerializer], responses={200: TOOLS, **READING}),
)
_extension(
    "api.approvals.OpenApprovalsView",
    "OpenApprovalsView",
    get=extend_schema(
        parameters=[StateSerializer],
        responses={200: OPEN, **READING},
    ),
)
_extension(
    "api.signals.TraceSignalsView",
    "TraceSignalsView",
    get=extend_schema(parameters=[PATH], responses={200: TRACE_SIGNALS, **READING}),
)
_extension(
    "monitoring.metrics.MetricsView",
    "MetricsView",
    get=extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR, **READING}),
)
_OTLP = {"application/x-protobuf": OpenApiTypes.BINARY, "application/json": OpenApiTypes.OBJECT}
_extension(
    "otlp.views.SpansView",
    "SpansView",
    optional=True,
    post=extend_schema(
        request=_OTLP,
        responses={
            **{(200, kind): OpenApiResponse(what, "An ExportTraceServiceResponse.") for kind, what in _OTLP.items()},
            **{
                (code, kind): OpenApiResponse(what, "A google.rpc.Status.")
                for code in (400, 401, 403, 411, 413, 415, 429, 503)
                for kind, what in _OTLP.items()
            },
        },
    ),
)
