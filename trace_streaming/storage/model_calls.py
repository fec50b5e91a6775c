"""What is known of calls of models when they end: told by the event, or by the start of the call.

It is measured once, while the event is stored, and kept beside it (:class:`trace_streaming.models.ModelCall`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from django.db import connections

from trace_streaming.events import TraceEvent, format_timestamp, possible_ms
from trace_streaming.events.golden_signals import MODEL_ENDS
from trace_streaming.events.model_signals import Call, call_of, tokens
from trace_streaming.events.pairs import first_text, id_text, is_move
from trace_streaming.events.texts import cut
from trace_streaming.models import ModelCall

from . import rows
from .event_rows import Numbered
from .pricing import price
from .signal_inputs import Measured
from .times import time_column

MAX_NAME: Final = 200
MAX_REMEMBERED: Final = 10_000
_TOLD: Final = MODEL_ENDS | {"llm_call_start", "step_start"}
_MODEL: Final = '"gen_ai.request.model"'

_COLUMNS: Final = ("trace_id", "sequence", "timestamp", *Call._fields)

_asked: dict[tuple[str, str], _Asked] = {}
"""What starts have said, by trace and call; the newest last."""


class _Asked(NamedTuple):
    model: str
    provider: str


class EndedCall(NamedTuple):
    """One that ended."""

    place: int
    """Of its event among those that are stored with it."""
    call: Call
    """Its latency is what the event itself says."""


def of(events: Sequence[TraceEvent]) -> list[EndedCall]:
    """The calls among a trace's events that ended."""
    ended = []
    for index, event in enumerate(events):
        if event.event not in _TOLD:  # most
            continue
        if event.event in MODEL_ENDS:
            ended.append(_ended(index, event))
        elif _asked or _MODEL in event.details:
            _remember(event.trace_id, orjson.loads(event.details))
    return ended


def insert(
    alias: str, batches: Sequence[Numbered], ended: Sequence[Sequence[EndedCall]], measured: Sequence[Measured]
) -> list[Call]:
    """Keep them beside their events, those of all traces at once; returns what is kept.

    :param ended: of each of the batches
    :param measured: of each of the batches: how long those took that do not say it
    """
    connection = connections[alias]
    as_column = time_column(connection)
    made, kept = [], []
    for numbered, calls, (_, model_ms) in zip(batches, ended, measured, strict=True):
        for index, call in calls:
            latency = model_ms.get(index) if call.latency_ms is None else call.latency_ms
            at = as_column(format_timestamp(numbered.events[index].timestamp))
            kept.append(call._replace(latency_ms=latency))
            made.append((numbered.trace_pk, numbered.first + index, at, *kept[-1]))
    if made:
        rows.insert(connection, ModelCall._meta.db_table, _COLUMNS, made, len(made))
    return kept


def _ended(index: int, event: TraceEvent) -> EndedCall:
    details: dict[str, Any] = orjson.loads(event.details)
    # Left there: a transaction that was rolled back asks again.
    asked = _asked.get((event.trace_id, id_text(details.get("call_id")) or ""), _Asked("", ""))
    call = call_of(event.event, details, asked.model, possible_ms(event.duration_ms))
    call = call._replace(model=cut(call.model, MAX_NAME).replace("\x00", "\ufffd"))
    if call.cost is None and (call.input_tokens is not None or call.output_tokens is not None):
        provider = first_text(details, "gen_ai.provider.name") or asked.provider
        models = (first_text(details, "gen_ai.response.model"), call.model)
        sent, got = call.input_tokens or 0, call.output_tokens or 0
        cached = min(tokens(details, "cache_read.input_tokens") or 0, sent)
        written = min(tokens(details, "cache_creation.input_tokens") or 0, sent - cached)
        call = call._replace(cost=price(models, provider, event.timestamp, sent, got, cached, written))
    return EndedCall(index, call)


def _remember(trace: str, details: Mapping[str, Any]) -> None:
    call_id = id_text(details.get("call_id"))
    if call_id is None or is_move(details):
        return
    _asked.pop((trace, call_id), None)  # a trace may have been deleted, and begin again
    if model := first_text(details, "gen_ai.request.model"):
        _asked[trace, call_id] = _Asked(model, first_text(details, "gen_ai.provider.name"))
        while len(_asked) > MAX_REMEMBERED:
            _asked.pop(next(iter(_asked)), None)
