"""Signals of models' calls, by model: beside the golden ones, which are those of tools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from .encoding import finite_number, parse_timestamp, possible_ms
from .golden_signals import MODEL_ENDS, Starts, is_neither, percentile
from .pairs import first_text, id_text

Event = Mapping[str, Any]

PERCENTS: Final = (50, 95)
MAX_TOKENS: Final = 10**12
"""Of one call; the sum of millions of such calls is a number of 64 bits."""


class Call(NamedTuple):
    """One that ended."""

    model: str
    is_failed: bool
    is_neither: bool
    latency_ms: float | None
    first_chunk_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    """US dollars."""


class Calls:
    """The calls of one trace; fed with its events in order."""

    def __init__(self) -> None:
        self._starts = Starts()
        self._asked: dict[str, str] = {}
        """Models by call, as starts say them."""

    def take(self, event: Event) -> Call | None:
        """An event; the call that it ends."""
        name, details = event["event"], event["details"]
        ends = name in MODEL_ENDS
        if not ends and not name.endswith("_start"):
            return None
        elapsed = self._starts.elapsed_ms(name, details, parse_timestamp(event["timestamp"]))
        call_id = id_text(details.get("call_id")) or ""
        if not ends:
            if asked := first_text(details, "gen_ai.request.model"):
                self._asked[call_id] = asked
            return None
        told = possible_ms(details.get("duration_ms"))
        return call_of(name, details, self._asked.pop(call_id, ""), elapsed if told is None else told)


def call_of(name: str, details: Mapping[str, Any], asked: str, latency_ms: float | None) -> Call:
    """What the end of a call says.

    :param asked: the model that its start named, if any
    """
    first_chunk = finite_number(details.get("gen_ai.response.time_to_first_chunk"))
    is_open = is_neither(details)
    return Call(
        model_of(details, asked),
        name == "llm_call_error" and not is_open,
        is_open,
        latency_ms,
        None if first_chunk is None else possible_ms(first_chunk * 1000),
        tokens(details, "input_tokens"),
        tokens(details, "output_tokens"),
        possible_ms(details.get("gen_ai.usage.cost")),  # within the same bounds, so that no sum of them is infinite
    )


def model_of(details: Mapping[str, Any], asked: str) -> str:
    """The model that was asked for, or else the name of the call, or the model that has answered."""
    return first_text(details, "gen_ai.request.model") or asked or first_text(details, "name", "gen_ai.response.model")


def tokens(details: Mapping[str, Any], name: str) -> int | None:
    """A number of ``gen_ai.usage``; None for what is none, or more than ``MAX_TOKENS``."""
    number = finite_number(details.get(f"gen_ai.usage.{name}"))
    return int(number) if number is not None and 0 <= number <= MAX_TOKENS else None


def model_signals(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """Signals of each model, that with the most calls first.

    - ``calls``: those that succeeded or failed; ``errors``: those that failed.
    - ``input_tokens``, ``output_tokens``, ``cost`` (US dollars): of all that ended; null where no call tells it.
    - ``latency`` and ``time_to_first_token``: ``p50`` and ``p95`` in ms, nearest-rank, of those that succeeded or
      failed.
    """
    by_model: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_model[call.model].append(call)
    return in_order(_signals(model, of_one) for model, of_one in by_model.items())


def in_order(models: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the most calls first, then by name."""
    return sorted(models, key=lambda signals: (-signals["calls"], signals["model"]))


def _signals(model: str, calls: list[Call]) -> dict[str, Any]:
    ended = [call for call in calls if not call.is_neither]
    return {
        "model": model,
        "calls": len(ended),
        "errors": sum(call.is_failed for call in ended),
        "input_tokens": _sum(call.input_tokens for call in calls),
        "output_tokens": _sum(call.output_tokens for call in calls),
        "cost": _sum(call.cost for call in calls),
        "latency": _ranks(call.latency_ms for call in ended),
        "time_to_first_token": _ranks(call.first_chunk_ms for call in ended),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ranks(values: Iterable[float | None]) -> dict[str, float | None]:
    ordered = sorted(value for value in values if value is not None)
    return {f"p{percent}": percentile(ordered, percent) if ordered else None for percent in PERCENTS}
