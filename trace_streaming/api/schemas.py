"""What requests and answers hold, as OpenAPI has it: parameters, bodies and refusals."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from trace_streaming.events import END_STATES, STATUSES

from .approvals import ListedApprovalSerializer
from .stop import StopRequestSerializer

PATH: Final = OpenApiParameter(
    "trace_id",
    {"type": "string", "pattern": r"^(?!\.{1,2}$)[A-Za-z0-9._~:@-]{1,128}$"},
    OpenApiParameter.PATH,
    examples=[OpenApiExample("trace", "t-1")],
)
SINCE: Final = OpenApiParameter(
    "since", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, description="Only events behind this sequence."
)
EVENTS: Final = OpenApiParameter("events", str, description="Only events of these names, separated by commas.")
STATUS: Final = OpenApiParameter(
    "status", str, description=f"Only events of these statuses, separated by commas: {', '.join(STATUSES)}."
)
LIMIT: Final = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    description="At most so many events; of JSON 100, and never more than 1000, of JSON lines all.",
)

_DETAIL: Final = inline_serializer("Refusal", {"detail": serializers.CharField()})
ANY: Final = OpenApiTypes.OBJECT
BAD: Final = OpenApiResponse(ANY, "What is wrong with the request, by field.")
NOT_FOUND: Final = OpenApiResponse(_DETAIL, "No such trace, or not to be seen by the requester.")
REFUSALS: Final = {
    401: OpenApiResponse(_DETAIL, "Not authenticated."),
    403: OpenApiResponse(_DETAIL, "Not authenticated, or not allowed."),
    503: OpenApiResponse(_DETAIL, "The database does not answer; see Retry-After."),
}
READING: Final = {400: BAD, 404: NOT_FOUND, 406: OpenApiResponse(_DETAIL, "No such format."), **REFUSALS}
WRITING: Final = {
    **READING,
    413: OpenApiResponse(_DETAIL, "Too many events, or too many bytes."),
    415: OpenApiResponse(_DETAIL, "Not application/json."),
}

_EVENT_FIELDS: Final[dict[str, Any]] = {
    "event": serializers.CharField(max_length=64, help_text="A canonical name, or one of the project's own."),
    "details": serializers.JSONField(required=False, help_text="Anything; redacted before it is stored."),
    "status": serializers.ChoiceField(choices=STATUSES, required=False),
    "timestamp": serializers.DateTimeField(required=False, help_text="ISO 8601; now, when it is absent."),
}
NEW_EVENT: Final = inline_serializer(
    "NewEvent",
    {
        **_EVENT_FIELDS,
        "event_id": serializers.RegexField(
            "^[!-~]{1,64}$", required=False, help_text="The sender's own name for it: a repeat is not stored again."
        ),
    },
)
NEW_EVENTS: Final = inline_serializer(
    "NewEvents",
    {
        "events": serializers.ListField(child=NEW_EVENT, max_length=1000),
        "metadata": serializers.JSONField(required=False, help_text="Of a trace that begins with this request."),
        "name": serializers.CharField(required=False, help_text="What the trace is called."),
        "conversation": serializers.CharField(required=False, help_text="What several traces are parts of."),
        "tags": serializers.ListField(child=serializers.CharField(), max_length=50, required=False),
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
PAGE: Final = inline_serializer(
    "EventPage",
    {
        "trace_id": serializers.CharField(),
        "epoch": serializers.CharField(),
        "last_sequence": serializers.IntegerField(),
        "next": serializers.IntegerField(allow_null=True, help_text="since of the next page; null behind the last."),
        "events": serializers.ListField(child=_EVENT),
    },
)
_STOP: Final[dict[str, serializers.Field[Any, Any, Any, Any]]] = {
    "requested_by": serializers.CharField(),
    "comment": serializers.CharField(),
}
TAKEN: Final = inline_serializer(
    "Taken",
    {
        "accepted": serializers.IntegerField(),
        "stored": serializers.BooleanField(),
        "errors": inline_serializer(
            "BadEvent",
            {"index": serializers.IntegerField(allow_null=True), "error": serializers.CharField()},
            many=True,
        ),
        "stop": inline_serializer(
            "AskedToStop", _STOP, required=False, help_text="Where somebody asks the trace's run to stop."
        ),
    },
)
STOP: Final = inline_serializer(
    "StopState",
    {
        "stop": StopRequestSerializer(allow_null=True, help_text="The newest request."),
        "can_stop": serializers.BooleanField(help_text="Whether the requester may ask, now."),
    },
)
END: Final = {
    "type": "object",
    "properties": {
        "state": {"type": "string", "enum": list(END_STATES), "default": "success"},
        "timestamp": {"type": "string", "format": "date-time", "nullable": True, "description": "Now when absent."},
    },
}
ENDED: Final = inline_serializer("Ended", {"state": serializers.CharField(), "stored": serializers.BooleanField()})
BEAT: Final = inline_serializer(
    "BeatTaken",
    {
        "held": serializers.IntegerField(),
        "expires_in": serializers.FloatField(
            allow_null=True, help_text="Seconds until the traces are left unfinished; beat some times as often."
        ),
        "stops": serializers.DictField(help_text="By trace id: what somebody asks of a run, to stop."),
    },
)
MESSAGE: Final = {
    "type": "object",
    "description": "One message of the stream. Without a name it is a trace's event, and its id the sequence.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["message", "connected", "live", "gap", "delta", "ended", "refused"]},
        "data": {"type": "string", "description": "JSON"},
        "retry": {"type": "integer", "description": "Milliseconds"},
    },
}
HEALTH: Final = inline_serializer(
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
OPEN: Final = inline_serializer(
    "Approvals",
    {
        "now": serializers.DateTimeField(
            help_text="The server's time, which those of the approvals are to be held to."
        ),
        "approvals": ListedApprovalSerializer(many=True),
        "more": serializers.BooleanField(help_text="Whether there may be others."),
    },
)
_MODELS: Final = inline_serializer(
    "ModelSignals",
    {
        "model": serializers.CharField(),
        "calls": serializers.IntegerField(help_text="Those that succeeded or failed."),
        "errors": serializers.IntegerField(help_text="Those that failed."),
        "input_tokens": serializers.IntegerField(allow_null=True),
        "output_tokens": serializers.IntegerField(allow_null=True),
        "cost": serializers.FloatField(allow_null=True, help_text="US dollars."),
        "latency": _numbers("ModelLatency", "p50", "p95"),
        "time_to_first_token": _numbers("TimeToFirstToken", "p50", "p95"),
    },
    many=True,
    required=False,
    help_text="By model; absent where none was called.",
)
_MODELS_AND_WAITS: Final[dict[str, Any]] = {
    "models": _MODELS,
    "approval_wait_time": _numbers("ApprovalWait", "p95", "mean"),
}
_POINT: Final = {"at": serializers.DateTimeField(help_text="When the step begins."), **_PART, **_MODELS_AND_WAITS}
_SIGNALS: Final = {
    **_PART,
    **_MODELS_AND_WAITS,
    **{name: serializers.FloatField(allow_null=True) for name in ("mean_steps_per_task", "budget_utilization")},
}
WINDOW: Final = inline_serializer(
    "WindowSignals",
    {
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "traces": serializers.IntegerField(help_text="Those with a signal in the window."),
        **_SIGNALS,
    },
)
TRACE_SIGNALS: Final = inline_serializer(
    "TraceSignals",
    {
        "trace_id": serializers.CharField(),
        "duration_ms": serializers.FloatField(),
        "total_events": serializers.IntegerField(),
        **_SIGNALS,
    },
)
_TOOL: Final = {"tool": serializers.CharField(allow_null=True), **_PART}
SERIES: Final = inline_serializer(
    "SignalSeries",
    {
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "step_seconds": serializers.IntegerField(),
        "points": inline_serializer("SignalPoint", _POINT, many=True),
    },
)
TOOLS: Final = inline_serializer(
    "ToolSignals",
    {
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "tools": serializers.IntegerField(help_text="How many tools were called."),
        "slowest": inline_serializer("SlowTool", {**_TOOL}, many=True),
        "failing": inline_serializer("FailingTool", {**_TOOL}, many=True),  # a copy, as it is emptied
    },
)
