"""A trace as OTLP's JSON, with GenAI attributes: what Jaeger, Phoenix and Langfuse open, and this app takes in again.

Each span is one of OpenTelemetry's. What is no span, such as a plan, is one that takes no time. Attributes that begin
with ``trace_streaming.`` say what no convention says, so that the tree is the same when it comes in again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from trace_streaming.conventions.messages import INPUT, OUTPUT
from trace_streaming.conventions.otel_spans import NAME_ATTRIBUTE, TRACE_ATTRIBUTE
from trace_streaming.events import possible_ms
from trace_streaming.events.conversations import Conversations
from trace_streaming.events.pairs import FAMILIES, OUTCOMES, SPAN_KINDS, id_text, is_move, pair_key, part_of, span_name

from .otlp_values import attributes, hex_id, json_text, nanoseconds, span_id, text_of

MAX_OPEN: Final = 10_000
"""So many spans are waited for; beyond it the oldest is written without its other half."""

_OPERATIONS: Final = {"llm_call": "chat", "tool_call": "execute_tool", "agent": "invoke_agent"}
_FAMILY: Final = {kind: family for family, kind in FAMILIES.items()}
_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_PAIRING: Final = frozenset(
    "tool tool_name name call_id parent_call_id duration_ms outcome error error_type traceback kind moved attributes "
    "history_call_id history_count args arguments input result".split()
)
"""Of details, what has a place of its own."""

Event = Mapping[str, Any]


class _Whole(NamedTuple):
    """A span: its start, its end, or both."""

    begun: Event | None
    ended: Event | None

    @property
    def details(self) -> dict[str, Any]:
        """What both say; the end counts more."""
        return {key: value for event in (self.begun, self.ended) if event for key, value in event["details"].items()}


class Known:
    """What has to be known of a whole trace before its spans are written; fed with its events."""

    def __init__(self) -> None:
        self.conversations = Conversations()
        self.moved: dict[str, str] = {}
        """What spans are inside of, where that was told later."""

    def add(self, event: Event) -> None:
        """Take the next one."""
        self.conversations.add(event)
        details = event["details"]
        call_id, parent = id_text(details.get("call_id")), id_text(details.get("parent_call_id"))
        if call_id and parent and part_of(event["event"]).begins and is_move(details):
            self.moved[call_id] = parent


def resource(trace_id: str, name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Who has made the spans, as OTLP's JSON has it."""
    named = {
        "service.name": metadata.get("service") or "trace_streaming",
        TRACE_ATTRIBUTE: trace_id,
        NAME_ATTRIBUTE: name or None,
    }
    return {"attributes": attributes(named)}


def spans(trace_id: str, events: Iterable[Event], known: Known, conversation: str = "") -> Iterator[dict[str, Any]]:
    """The spans, in the order in which they end; those that have not ended come last.

    :param events: as the wire has them, in order; seen by ``known`` before
    """
    said = {"gen_ai.conversation.id": conversation} if conversation else {}
    for each in _paired(events):
        yield _single(trace_id, each) if isinstance(each, Mapping) else _span(trace_id, each, known, said)


def _paired(events: Iterable[Event]) -> Iterator[_Whole | Event]:
    """By the rule of :mod:`trace_streaming.events.pairs`."""
    begun: dict[str, list[Event]] = {}
    early: dict[str, list[Event]] = {}
    for event in events:
        part, details = part_of(event["event"]), event["details"]
        if part.kind not in SPAN_KINDS:
            yield event
            continue
        if part.begins and is_move(details):
            continue
        key = pair_key(part, details)
        mine, others = (begun, early) if part.begins else (early, begun)
        if key in others:
            other = _take(others, key)
            yield _Whole(event, other) if part.begins else _Whole(other, event)
        elif part.ends and not key.startswith("id:"):
            yield _Whole(None, event)
        else:
            mine.setdefault(key, []).append(event)
            if len(mine) > MAX_OPEN:
                first = _take(mine, next(iter(mine)))
                yield _Whole(first, None) if part.begins else _Whole(None, first)
    yield from (_Whole(None, event) for waiting in early.values() for event in waiting)
    yield from (_Whole(event, None) for waiting in begun.values() for event in waiting)


def _take(waiting: dict[str, list[Event]], key: str) -> Event:
    event = waiting[key].pop(0)
    if not waiting[key]:
        del waiting[key]
    return event


def _span(trace_id: str, whole: _Whole, known: Known, said: Mapping[str, Any]) -> dict[str, Any]:
    last = whole.ended or whole.begun
    assert last is not None  # noqa: S101  one of both is there  # nosec B101
    details = whole.details
    family = _FAMILY[part_of(last["event"]).kind]
    name = span_name(last["event"], details)
    call_id = id_text(details.get("call_id"))
    parent = known.moved.get(call_id or "") or id_text(details.get("parent_call_id"))
    end = nanoseconds(last)
    took = round((possible_ms(details.get("duration_ms")) or 0) * 10**6)
    start = nanoseconds(whole.begun) if whole.begun else end - took
    failed = whole.ended is not None and whole.ended["status"] == "error"
    told = {**(said if not parent else {}), **_said(family, name, details, known)}
    if whole.ended is None:
        told["trace_streaming.outcome"] = "open"
    elif details.get("outcome") in OUTCOMES:
        told["trace_streaming.outcome"] = details["outcome"]
    span = {
        "traceId": hex_id(trace_id, 32),
        "spanId": span_id(trace_id, call_id or f"event {last['sequence']}"),
        **({"parentSpanId": span_id(trace_id, parent)} if parent else {}),
        "name": f"{_OPERATIONS[family]} {name}".rstrip() if family in _OPERATIONS else name or "step",
        "kind": _CLIENT if family == "llm_call" else _INTERNAL,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes(told),
        "status": {"code": _ERROR, "message": text_of(details.get("error", ""))} if failed else {"code": _OK},
    }
    return {**span, "events": [_exception(details, end)]} if failed else span


def _said(family: str, name: str, details: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """Attributes: those of the conventions, then what else the details hold."""
    told: dict[str, Any] = {"trace_streaming.kind": family, "trace_streaming.name": name or None}
    told["trace_streaming.duration_ms"] = possible_ms(details.get("duration_ms"))
    if family in _OPERATIONS:
        told["gen_ai.operation.name"] = _OPERATIONS[family]
    given = next((details[key] for key in ("args", "arguments", "input") if details.get(key) is not None), None)
    match family:
        case "llm_call":
            told["gen_ai.request.model"] = name
            call_id = id_text(details.get("call_id"))
            if INPUT in details and call_id is not None:
                told[INPUT] = json_text(known.conversations.messages(call_id))
        case "tool_call":
            told |= {"gen_ai.tool.name": name, "gen_ai.tool.call.arguments": json_text(given)}
            told["gen_ai.tool.call.result"] = json_text(details.get("result"))
        case "agent":
            told["gen_ai.agent.name"] = name
            told |= {INPUT: _message("user", given), OUTPUT: _message("assistant", details.get("result"))}
        case "step":
            told["trace_streaming.step"] = details.get("kind")
            told |= {"input.value": json_text(given), "output.value": json_text(details.get("result"))}
    rest = {key: value for key, value in details.items() if key not in _PAIRING and key not in {INPUT, OUTPUT}}
    if OUTPUT in details:
        told[OUTPUT] = json_text(details[OUTPUT])
    more = details.get("attributes")
    return {**(more if isinstance(more, Mapping) else {}), **told, **rest}


def _message(role: str, content: Any) -> str | None:
    """What an agent was asked, or has answered, as messages."""
    is_text = isinstance(content, str)
    return json_text([{"role": role, "parts": [{"type": "text", "content": content}]}] if is_text else content)


def _single(trace_id: str, event: Event) -> dict[str, Any]:
    """An event that is no span."""
    parent = id_text(event["details"].get("parent_call_id"))
    told = {
        "trace_streaming.event": event["event"],
        "trace_streaming.status": event["status"],
        "trace_streaming.details": json_text(event["details"]),
    }
    at = str(nanoseconds(event))
    return {
        "traceId": hex_id(trace_id, 32),
        "spanId": span_id(trace_id, f"event {event['sequence']}"),
        **({"parentSpanId": span_id(trace_id, parent)} if parent else {}),
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
