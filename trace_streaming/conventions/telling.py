"""The two events of a span: one at its start, one at its end, with ids of their own, so that each is stored once.

Whoever sends a span that is over tells all at its end, and of its start only what it is: another may have told that
before, live, and of two events with one id the first stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from trace_streaming.events import possible_ms
from trace_streaming.events.names import STATUSES
from trace_streaming.events.pairs import OUTCOMES

from .dialects import gen_ai, google_adk, langfuse, langsmith, mastra, open_inference, traceloop, vercel
from .otel_spans import NO_PARENT, OtelSpan, SpanEvent, time_of
from .shapes import STEP, TOOL, Shape, name_of
from .values import Attributes, first, known, parsed, text

MAX_STACKTRACE: Final = 8 * 1024
"""Characters of the end of one."""
_CONVERSATION: Final = (
    *("gen_ai.conversation.id", "session.id", "langfuse.session.id", "gcp.vertex.agent.session_id"),
    *(f"ai.telemetry.metadata.{name}" for name in ("sessionId", "conversationId", "threadId", "chatId")),
    *(f"traceloop.association.properties.{name}" for name in ("session_id", "conversation_id", "thread_id", "chat_id")),
)
_USER: Final = (
    *("user.id", "enduser.id", "langfuse.user.id"),
    *(f"ai.telemetry.metadata.{name}" for name in ("userId", "user")),
    "traceloop.association.properties.user_id",
)
_CONVERSATIONS, _USERS = frozenset(_CONVERSATION), frozenset(_USER)
"""Most spans say nothing of either."""
_FRAMEWORKS: Final = (
    *(
        "gen_ai.",
        "llm.",
        "ai.",
        "traceloop.",
        "openinference.",
        "logfire.",
        "pydantic_ai.",
    ),
    *(
        "enduser.",
        "langfuse.",
        "langsmith.",
        "gcp.vertex.agent.",
        "trace_streaming.",
        "code.",
        "thread.",
        "server.",
        "mcp.",
    ),
)
"""What attributes of frameworks begin with: what of them is wanted is told under other names."""
_OF_FRAMEWORKS: Final = frozenset(
    "agent_name model_name model_request_parameters tools events all_messages_events final_result tool_arguments "
    "tool_response tool_call.id operation.name resource.name error.type operation.cost session.id user.id agent.name "
    "input.value input.mime_type output.value output.mime_type tag.tags tool.name tool.description tool.parameters "
    "tool.id tool.json_schema".split()
)
_OUTCOMES: Final = {
    "CancelledError": "cancelled",
    "GeneratorExit": "abandoned",
    "StopRequestedError": "cancelled",
    "ApprovalRequired": "interrupted",
    "CallDeferred": "interrupted",
    "GraphInterrupt": "interrupted",
    "NodeInterrupt": "interrupted",
}
"""Exceptions that are no failures, by their names."""


class Told(NamedTuple):
    """An event of a span, not yet checked or redacted."""

    event: str
    details: dict[str, Any]
    status: str
    timestamp: datetime
    event_id: str


def start_id(span_id: str, parent_id: str) -> str:
    """The id of the event at a span's start: with its parent, so that all inside of one are found by their ids."""
    return f"{parent_id or NO_PARENT}{span_id}.start"


def end_id(span_id: str) -> str:
    """The id of the event at its end."""
    return f"{span_id}.end"


def span_id_of(event_id: str) -> str:
    """The span that an event tells of, by the event's id."""
    return event_id.partition(".")[0][-len(NO_PARENT) :]


def start_of(span: OtelSpan, shape: Shape, parent: str, details: Mapping[str, Any] | None = None) -> Told:
    """The event at its start.

    :param parent: the id of what it is inside of here; empty of a root
    :param details: what else is known then
    """
    told = {**_identity(span, shape, parent), **(details or {})}
    return Told(f"{shape.kind}_start", told, "pending", time_of(span.start_ns), start_id(span.span_id, span.parent_id))


def end_of(span: OtelSpan, shape: Shape, parent: str, details: Mapping[str, Any], *, tracebacks: bool = True) -> Told:
    """The event at its end.

    :param details: what is to be told of it, as :func:`details_of` has it
    :param tracebacks: whether an error is told with where it came from
    """
    told = {**_identity(span, shape, parent), **details}
    if (exported_ms := possible_ms(span.attributes.get("trace_streaming.duration_ms"))) is not None:
        told["duration_ms"] = exported_ms
    elif span.end_ns >= span.start_ns:
        told["duration_ms"] = (span.end_ns - span.start_ns) // 1000 / 1000
    name, status = f"{shape.kind}_complete", "success"
    if (outcome := outcome_of(span)) is not None:
        told["outcome"], status = outcome, "warning"
    elif span.is_failed:
        failed = _failed(span)
        if not tracebacks:
            failed.pop("traceback", None)
        told |= failed
        name, status = f"{shape.kind}_error", "error"
    if (exported_status := text(span.attributes, "trace_streaming.status")) in STATUSES:
        status = exported_status
    return Told(name, told, status, time_of(span.end_ns), end_id(span.span_id))


def outcome_of(span: OtelSpan) -> str | None:
    """What became of what neither succeeded nor failed; None of all else. What this app has exported says so itself."""
    if "trace_streaming.kind" in span.attributes:
        exported = text(span.attributes, "trace_streaming.outcome")
        return exported if exported in OUTCOMES else None
    return _OUTCOMES.get(str(_failed(span).get("error_type", "")).rpartition(".")[2])


def left_by(span: OtelSpan, raised: BaseException) -> OtelSpan:
    """The span with the cancellation, or its like, that leaves it: the SDK notes none of what is no ``Exception``."""
    if isinstance(raised, Exception) or any(event.name == "exception" for event in span.events):
        return span
    left = SpanEvent("exception", {"exception.type": type(raised).__name__})
    return span._replace(events=[*span.events, left])


def end_state(root: OtelSpan) -> str:
    """How a trace ends with its root: as :meth:`.Emitter.end` has it."""
    return "incomplete" if outcome_of(root) else "error" if root.is_failed else "success"


def single_of(span: OtelSpan, parent: str) -> Told | None:
    """An event that is no span, of one that this app has exported; None for all others."""
    said = span.attributes
    details = parsed(said.get("trace_streaming.details"))
    if not (name := text(said, "trace_streaming.event")) or not isinstance(details, Mapping):
        return None
    told = {**details, **({"parent_call_id": parent} if parent else {})}
    status = text(said, "trace_streaming.status") or "pending"
    return Told(name, told, status, time_of(span.start_ns), f"{span.span_id}.event")


def moved(event: str, call_id: str, name: str, parent: str, at: datetime) -> Told:
    """A span is inside of another than was told: what it was told to be inside of is left out.

    :param event: the name of the event at its end, or at its start, where it has not ended
    """
    family = event.rpartition("_")[0]
    key = "tool" if family == TOOL else "name"
    told = {**({key: name} if name else {}), "call_id": call_id, "parent_call_id": parent, "moved": True}
    return Told(f"{family}_start", told, "pending", at, f"{call_id}.in.{parent}")


def details_of(span: OtelSpan, shape: Shape) -> dict[str, Any]:
    """What it says, in the words of the conventions; what no framework says is under ``attributes``."""
    said, kind = span.attributes, shape.kind
    told = {
        **traceloop.details(said, kind),
        **vercel.details(said, kind),
        **open_inference.details(said, kind),
        **langfuse.details(said, kind),
        **langsmith.details(said, kind),
        **google_adk.details(said, kind),
        **mastra.details(said, kind),
        **gen_ai.details(span, kind),
        **({key: value for key, value in said.items() if key.startswith("mcp.")}),
    }
    if kind == "agent":
        told["gen_ai.agent.name"] = name_of(span, shape)
    rest = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in said.items()
        if not key.startswith(_FRAMEWORKS) and key not in _OF_FRAMEWORKS and not mastra.is_told(key)
    }
    return {**told, "attributes": rest} if rest else told


def conversation_of(span: OtelSpan) -> str:
    """What several traces are parts of; empty where it does not say so."""
    said = span.attributes
    told = None if _CONVERSATIONS.isdisjoint(said) else first(said, *_CONVERSATION)
    return str(told) if isinstance(told, str | int) else ""


def user_of(span: OtelSpan) -> Any:
    """Whose run it is, as its program calls him; None where it does not say so."""
    said = span.attributes
    return None if _USERS.isdisjoint(said) else first(said, *_USER)


def _identity(span: OtelSpan, shape: Shape, parent: str) -> dict[str, Any]:
    told: dict[str, Any] = {"tool" if shape.kind == TOOL else "name": name_of(span, shape), "call_id": span.span_id}
    if parent:
        told["parent_call_id"] = parent
    if shape.kind == STEP and shape.step:
        told["kind"] = shape.step
    return told


def _failed(span: OtelSpan) -> dict[str, Any]:
    """What is told of an error: by the exception, the status, or the attribute ``error.type``."""
    exception: Attributes = next((event.attributes for event in reversed(span.events) if event.name == "exception"), {})
    kind = first(exception, "exception.type") or first(span.attributes, "error.type")
    message = first(exception, "exception.message") or span.message or kind or ""
    stack = exception.get("exception.stacktrace")
    return known(
        {
            "error": message,
            "error_type": kind,
            "traceback": stack[-MAX_STACKTRACE:] if isinstance(stack, str) and stack else None,
        }
    )
