"""A trace as OTLP's JSON, with GenAI attributes: what Jaeger, Phoenix and Langfuse open, and this app takes in again.

Each span is one of OpenTelemetry's. What is no span, such as a plan, is one that takes no time. Attributes that begin
with ``trace_streaming.`` say what no convention says, so that the tree is the same when it comes in again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.otel_spans import NAME_ATTRIBUTE, TRACE_ATTRIBUTE
from trace_streaming.events import parse_timestamp, possible_ms
from trace_streaming.events.pairs import FAMILIES, OUTCOMES, id_text
from trace_streaming.events.spans import Span

from .otlp_values import attributes, hex_id, json_text, nanoseconds, span_id, text_of
from .pairing import Event, Known, paired

_OPERATIONS: Final = {"llm_call": "chat", "tool_call": "execute_tool", "agent": "invoke_agent"}
_FAMILY: Final = {kind: family for family, kind in FAMILIES.items()}
_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_PAIRING: Final = frozenset(
    "tool tool_name name call_id parent_call_id duration_ms outcome error error_type traceback kind moved attributes "
    "history_call_id history_count args arguments input result".split()
)
"""Of details, what has a place of its own."""
_OWN: Final = ("trace_streaming.", "logfire.span_type")
"""What attributes begin with that make a span another when it comes in again: this app alone says them."""


def resource(trace_id: str, name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Who has made the spans, as OTLP's JSON has it."""
    named = {
        "service.name": metadata.get("service") or "trace_streaming",
        TRACE_ATTRIBUTE: trace_id,
        NAME_ATTRIBUTE: name or None,
    }
    return {"attributes": attributes(named)}


def spans(
    trace_id: str, events: Iterable[Event], known: Known, conversation: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The spans, in the order in which they end, each with the sequence of its first event; open ones come last.

    :param events: as the wire has them, in order; seen by ``known`` before
    """
    said = {"gen_ai.conversation.id": conversation} if conversation else {}
    for each in paired(events, known):
        if isinstance(each, Mapping):
            yield each["sequence"], _single(trace_id, each, known)
        elif each.begun is None and each.ended is None:
            yield each.arrival, _move(trace_id, each, known)
        else:
            yield each.arrival, _span(trace_id, each, known, said)


def _place(trace_id: str, span: Span, known: Known) -> dict[str, str]:
    """Its ids, and what it is inside of, by all that was told of that."""
    name = ""
    if (call_id := span.call_id) is not None:
        name = known.name(call_id, span.arrival)
        later = [move for move in known.moves(name) if move["sequence"] != span.arrival]
        span.moves = [*span.moves, *later]
        span.events = sorted([*span.events, *later], key=itemgetter("sequence"))
    return {
        "traceId": hex_id(trace_id, 32),
        "spanId": span_id(trace_id, name or f"event {span.arrival}"),
        **_inside(trace_id, span.parent_id, span.arrival, known),
    }


def _inside(trace_id: str, parent: str | None, sequence: int, known: Known) -> dict[str, str]:
    return {"parentSpanId": span_id(trace_id, known.name(parent, sequence))} if parent else {}


def _span(trace_id: str, span: Span, known: Known, said: Mapping[str, Any]) -> dict[str, Any]:
    place, family, name = _place(trace_id, span, known), _FAMILY[span.kind], span.name
    details = {key: value for event in (span.begun, span.ended) if event for key, value in event["details"].items()}
    start = nanoseconds(span.start)
    end = start if span.end is None else nanoseconds(span.end)
    failed = span.ended is not None and span.ended["status"] == "error"
    told = {
        **(said if "parentSpanId" not in place else {}),
        **_said(family, name, details, _messages(span, details, known)),
        "trace_streaming.kind": family,
        "trace_streaming.name": name,
        **_end(span),
    }
    written = {
        **place,
        "name": f"{_OPERATIONS[family]} {name}".rstrip() if family in _OPERATIONS else name or "step",
        "kind": _CLIENT if family == "llm_call" else _INTERNAL,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes(told),
        "status": {"code": _ERROR, "message": text_of(details.get("error", ""))} if failed else {"code": _OK},
    }
    return {**written, "events": [_exception(details, end)]} if failed else written


def _end(span: Span) -> dict[str, Any]:
    """How it has ended, as far as no status of OTLP says that."""
    if span.ended is None:
        return {"trace_streaming.outcome": "open"}
    status, outcome = span.ended["status"], span.outcome if span.outcome in OUTCOMES else None
    implied = "warning" if outcome else "error" if status == "error" else "success"
    return {
        "trace_streaming.duration_ms": possible_ms(span.ended["details"].get("duration_ms")),
        "trace_streaming.outcome": outcome,
        "trace_streaming.status": None if status == implied else status,
    }


def _messages(span: Span, details: Mapping[str, Any], known: Known) -> Any:
    """What a model was sent, whole; None where nobody says so."""
    call_id = span.call_id
    if span.kind != "llm" or INPUT not in details or call_id is None:
        return None
    is_first = known.name(call_id, span.arrival) == call_id
    return known.conversations.messages(call_id) if is_first else details[INPUT]


def _said(family: str, name: str, details: Mapping[str, Any], messages: Any) -> dict[str, Any]:
    """Attributes: those of the conventions, then what else the details hold."""
    told: dict[str, Any] = {}
    if family in _OPERATIONS:
        told["gen_ai.operation.name"] = _OPERATIONS[family]
    given = next((details[key] for key in ("args", "arguments", "input") if details.get(key) is not None), None)
    match family:
        case "llm_call":
            told |= {"gen_ai.request.model": name, INPUT: json_text(messages)}
        case "tool_call":
            told |= {"gen_ai.tool.name": name, "gen_ai.tool.call.arguments": json_text(given)}
            told["gen_ai.tool.call.result"] = json_text(details.get("result"))
        case "agent":
            told["gen_ai.agent.name"] = name
            told |= {INPUT: _message("user", given), OUTPUT: _message("assistant", details.get("result"))}
        case "step":
            told["trace_streaming.step"] = details.get("kind")
            told |= {"input.value": json_text(given), "output.value": json_text(details.get("result"))}
    if OUTPUT in details:
        told[OUTPUT] = json_text(details[OUTPUT])
    more = details.get("attributes")
    rest = {key: value for key, value in details.items() if key not in _PAIRING and key not in {INPUT, OUTPUT}}
    return {**_foreign(more if isinstance(more, Mapping) else {}), **told, **_foreign(rest)}


def _foreign(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if not key.startswith(_OWN)}


def _message(role: str, content: Any) -> str | None:
    """What an agent was asked, or has answered, as messages."""
    is_text = isinstance(content, str)
    return json_text([{"role": role, "parts": [{"type": "text", "content": content}]}] if is_text else content)


def _single(trace_id: str, event: Event, known: Known) -> dict[str, Any]:
    """An event that is no span."""
    parent, sequence = id_text(event["details"].get("parent_call_id")), event["sequence"]
    place = {
        "traceId": hex_id(trace_id, 32),
        "spanId": span_id(trace_id, f"event {sequence}"),
        **_inside(trace_id, parent, sequence, known),
    }
    return _moment(place, event, event["details"])


def _move(trace_id: str, span: Span, known: Known) -> dict[str, Any]:
    """A move of a span of which nothing had come: an event, with an id that others may be inside of."""
    place, (event,) = _place(trace_id, span, known), span.events[:1]
    named = {"tool" if span.kind == "tool" else "name": span.name} if span.name else {}  # perhaps by a later move
    has_id = {"call_id": place["spanId"]} if span.call_id else {}
    return _moment(place, event, {**event["details"], **named, **has_id})


def _moment(place: Mapping[str, str], event: Event, details: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "trace_streaming.event": event["event"],
        "trace_streaming.status": event["status"],
        "trace_streaming.details": json_text(details),
    }
    at = str(nanoseconds(parse_timestamp(event["timestamp"])))
    return {
        **place,
        "name": event["event"],
        "kind": _INTERNAL,
        "startTimeUnixNano": at,
        "endTimeUnixNano": at,
        "attributes": attributes(told),
        "status": {"code": _ERROR if event["status"] == "error" else _OK},
    }


def _exception(details: Mapping[str, Any], at: int) -> dict[str, Any]:
    told = {
        "exception.type": details.get("error_type"),
        "exception.message": text_of(details.get("error", "")),
        "exception.stacktrace": details.get("traceback"),
    }
    return {"name": "exception", "timeUnixNano": str(at), "attributes": attributes(told)}
