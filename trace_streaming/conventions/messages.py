"""Messages of models, wherever a span has them: in attributes, spread over many of them, or as its events.

The body of an event is its attributes, what is in ``message``, or JSON in ``gen_ai.event.content`` (Azure's clients);
some say the content alone in ``message`` (Strands). Tools and agents have theirs in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from .otel_spans import OtelSpan, SpanEvent
from .values import first, known, listed, parsed, spread, text

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
_SPREAD: Final = ((INPUT, "gen_ai.prompt"), (OUTPUT, "gen_ai.completion"))
_SENT: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
"""Events that are a message, and whose it is."""
_ANSWER: Final = "gen_ai.choice"
_WHOLE: Final = (
    (INPUT, "gen_ai.content.prompt", "gen_ai.prompt", "user"),
    (OUTPUT, "gen_ai.content.completion", "gen_ai.completion", "assistant"),
)
"""Events that are all messages, until 2024: where they are, and whose a text is."""
_BLOCKS: Final = frozenset({"text", "toolUse", "toolResult", "image", "document", "reasoningContent", "cachePoint"})
"""What a part of a message holds that does not say its type, of Bedrock."""


def messages(span: OtelSpan) -> Iterator[tuple[str, Any]]:
    """What was sent and answered, where it is not under its name of today; what comes first counts."""
    for key, prefix in _SPREAD:
        if found := [_spread_message(one) for one in spread(span.attributes, prefix) if isinstance(one, Mapping)]:
            yield key, found
    events = _events(span)
    for event in events:
        for key in (INPUT, OUTPUT):
            if key in event.attributes:
                yield key, parsed(event.attributes[key])
    if sent := [_message(event, _SENT[event.name]) for event in events if event.name in _SENT]:
        yield INPUT, sent
    if answers := [_message(event, "assistant") for event in events if event.name == _ANSWER]:
        yield OUTPUT, answers
    for key, name, where, role in _WHOLE:
        if told := list(_all(events, name, where, role)):
            yield key, told


def tool_values(span: OtelSpan) -> dict[str, Any]:
    """What a tool was given, and what has come of it, where events of its span say it."""
    told: dict[str, Any] = {}
    for event in span.events:
        match event.name:
            case "gen_ai.tool.message":
                told["args"] = parsed(_body(event).get("content"))
            case "gen_ai.choice":
                told["result"] = parsed(_body(event).get("content"))
        for key, where, kind, name in (
            (INPUT, "args", "tool_call", "arguments"),
            (OUTPUT, "result", "tool_call_response", "response"),
        ):
            for part in _parts(parsed(event.attributes.get(key))):
                if part.get("type") == kind:
                    told[where] = parsed(part.get(name))
    return known(told)


def _events(span: OtelSpan) -> Sequence[SpanEvent]:
    """Pydantic AI has had its events in an attribute."""
    told = parsed(span.attributes.get("events"))
    if not isinstance(told, list):
        return span.events
    return [SpanEvent(text(one, "event.name"), one) for one in told if isinstance(one, Mapping)]


def _all(events: Iterable[SpanEvent], name: str, where: str, role: str) -> Iterator[Any]:
    for event in events:
        if event.name == name:
            told = parsed(first(event.attributes, where, "gen_ai.event.content", "content"))
            if told is not None:
                yield from ([{"role": role, "content": told}] if isinstance(told, str) else listed(told) or [told])


def _parts(told: Any) -> Iterator[Mapping[str, Any]]:
    for message in listed(told):
        if isinstance(message, Mapping):
            yield from (part for part in listed(message.get("parts")) if isinstance(part, Mapping))


def _spread_message(one: Mapping[str, Any]) -> dict[str, Any]:
    calls = [
        {"id": call.get("id"), "function": {"name": call.get("name"), "arguments": call.get("arguments")}}
        for call in listed(one.get("tool_calls"))
        if isinstance(call, Mapping)
    ]
    told = {"role": one.get("role", "assistant"), "content": _content(one.get("content")), "tool_calls": calls}
    return known({**told, "finish_reason": one.get("finish_reason"), "tool_call_id": one.get("tool_call_id")})


def _body(event: SpanEvent) -> Mapping[str, Any]:
    """What an event says, whatever is around it; a text, or a list, is its content."""
    said = event.attributes
    for key in ("gen_ai.event.content", "message"):
        inner = parsed(said.get(key))
        if inner is not None:
            said = {**said, **(inner if isinstance(inner, Mapping) else {"content": inner})}
    return said


def _message(event: SpanEvent, role: str) -> dict[str, Any]:
    body = _body(event)
    told = {"role": text(body, "role") or role, "content": _content(body.get("content"))}
    calls = parsed(body.get("tool_calls"))
    return known(
        {
            **told,
            "tool_calls": calls,
            "tool_call_id": first(body, "tool_call_id", "id"),
            "finish_reason": first(body, "finish_reason"),
        }
    )


def _content(value: Any) -> Any:
    """Parts, where a text is JSON of such; what only looks like JSON stays a text."""
    told = parsed(value)
    is_parts = isinstance(told, list) and bool(told) and all(map(_is_part, told))
    return told if is_parts or not isinstance(value, str) else value


def _is_part(item: Any) -> bool:
    return isinstance(item, Mapping) and ("type" in item or not _BLOCKS.isdisjoint(item))
