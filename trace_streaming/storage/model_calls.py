"""What is known of calls of models when they end: told by the event, or by the start of the call.

It is measured once, while the event is stored, and kept beside it (:class:`trace_streaming.models.ModelCall`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from trace_streaming.events import TraceEvent, finite_number, possible_ms
from trace_streaming.events.golden_signals import CALL_ENDS, MODEL_ENDS, is_neither
from trace_streaming.events.pairs import first_text, id_text
from trace_streaming.events.texts import cut
from trace_streaming.models import ModelCall

from .event_rows import Numbered
from .pricing import price
from .times import stored_time

MAX_NAME: Final = 200
MAX_REMEMBERED: Final = 10_000
_TOLD: Final = MODEL_ENDS | {"llm_call_start", "step_start"}
_MODEL: Final = '"gen_ai.request.model"'

_asked: dict[tuple[str, str], _Asked] = {}
"""What starts have said, by trace and call; the newest last."""


class _Asked(NamedTuple):
    model: str
    provider: str


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One that ended."""

    index: int
    """Of its event among those that are stored with it."""
    model: str
    is_failed: bool
    is_neither: bool
    latency_ms: float | None
    """What the event itself says."""
    first_chunk_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    """US dollars."""


def of(events: Sequence[TraceEvent]) -> list[EndedCall]:
    """The calls among a trace's events that ended."""
    ended = []
    for index, event in enumerate(events):
        if event.event not in _TOLD:  # most
            continue
        if event.event in MODEL_ENDS:
            ended.append(_ended(index, event))
        elif _MODEL in event.details:
            _remember(event.trace_id, orjson.loads(event.details))
    return ended


def insert(alias: str, numbered: Numbered, ended: Sequence[EndedCall], elapsed: Mapping[int, float | None]) -> None:
    """Keep them beside their events.

    :param elapsed: by index, how long those took that do not say it; in milliseconds
    """
    ModelCall.objects.using(alias).bulk_create(
        ModelCall(
            trace_id=numbered.trace_pk,
            sequence=numbered.first + call.index,
            timestamp=stored_time(numbered.events[call.index].timestamp),
            model=call.model,
            is_failed=call.is_failed,
            is_neither=call.is_neither,
            latency_ms=elapsed.get(call.index) if call.latency_ms is None else call.latency_ms,
            first_chunk_ms=call.first_chunk_ms,
            input_tokens=call.input_tokens,
            output_tokens=call.output_tokens,
            cost=call.cost,
        )
        for call in ended
    )


def _ended(index: int, event: TraceEvent) -> EndedCall:
    details: dict[str, Any] = orjson.loads(event.details)
    # Left there: a transaction that was rolled back asks again.
    asked = _asked.get((event.trace_id, id_text(details.get("call_id")) or ""), _Asked("", ""))
    response = first_text(details, "gen_ai.response.model")
    model = first_text(details, "gen_ai.request.model") or asked.model or first_text(details, "name") or response
    input_tokens, output_tokens = _tokens(details, "input_tokens"), _tokens(details, "output_tokens")
    first_chunk = finite_number(details.get("gen_ai.response.time_to_first_chunk"))
    cost = finite_number(details.get("gen_ai.usage.cost"))
    if cost is None and (input_tokens is not None or output_tokens is not None):
        provider = first_text(details, "gen_ai.provider.name") or asked.provider
        cached = min(_tokens(details, "cache_read.input_tokens") or 0, input_tokens or 0)
        cost = price((response, model), provider, event.timestamp, input_tokens or 0, output_tokens or 0, cached)
    return EndedCall(
        index,
        cut(model, MAX_NAME).replace("\x00", "\ufffd"),
        event.event == "llm_call_error" and not is_neither(details),
        is_neither(details),
        possible_ms(event.duration_ms),
        None if first_chunk is None else possible_ms(first_chunk * 1000),
        input_tokens,
        output_tokens,
        cost if cost is not None and cost >= 0 else None,
    )


def _tokens(details: Mapping[str, Any], name: str) -> int | None:
    number = possible_ms(details.get(f"gen_ai.usage.{name}"))
    return None if number is None else int(number)


def _remember(trace: str, details: Mapping[str, Any]) -> None:
    call_id = id_text(details.get("call_id"))
    if call_id is not None:
        asked = _Asked(first_text(details, "gen_ai.request.model"), first_text(details, "gen_ai.provider.name"))
        _asked[trace, call_id] = asked
        while len(_asked) > MAX_REMEMBERED:
            _asked.pop(next(iter(_asked)), None)


@dataclass(slots=True)
class Totals:
    """What is added to a trace's own."""

    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @classmethod
    def of(cls, events: Sequence[TraceEvent], ended: Sequence[EndedCall]) -> Totals:
        """Of events, and of the calls of models among them."""
        tool_calls = sum(event.event in CALL_ENDS for event in events)
        if not ended:
            return cls(tool_calls=tool_calls)
        costs = [call.cost for call in ended if call.cost is not None]
        return cls(
            len(ended),
            tool_calls,
            sum(call.input_tokens or 0 for call in ended),
            sum(call.output_tokens or 0 for call in ended),
            sum(costs) if costs else None,
        )
