"""Signals of models' calls, by model: of a trace, of a window, and over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connections
from django.db.models import Count, Q, QuerySet, Sum, Value
from django.db.models.fields.json import KeyTransform

from trace_streaming.events.model_signals import PERCENTS, Call, in_order, model_signals
from trace_streaming.models import ModelCall, Trace
from trace_streaming.storage.store import database
from trace_streaming.storage.times import stored_time

from .percentiles import Percentiles

_COLUMNS: Final = (
    *("model", "is_failed", "is_neither", "latency_ms", "first_chunk_ms", "input_tokens", "output_tokens", "cost"),
)


def of_trace(trace: Trace) -> list[dict[str, Any]]:
    """Of all its calls."""
    return _by_part(ModelCall.objects.using(database()).filter(trace=trace), None, str).get("", [])


def of_window(start: datetime, end: datetime, owner: Any, metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of those that ended from one time up to, and without, another."""
    return _by_part(_calls(start, end, owner, metadata), None, str).get("", [])


def by_step(
    start: datetime, end: datetime, owner: Any, metadata: Mapping[str, Any], begun: Any, number: Callable[[Any], int]
) -> dict[int, list[dict[str, Any]]]:
    """Of each step of a window.

    :param begun: the time at which a call's step has begun, for PostgreSQL
    :param number: of the step, from such a time, or from the call's own
    """
    return _by_part(_calls(start, end, owner, metadata), begun, number)


def _calls(start: datetime, end: datetime, owner: Any, metadata: Mapping[str, Any]) -> QuerySet[ModelCall]:
    calls = ModelCall.objects.using(database()).filter(
        timestamp__gte=stored_time(start), timestamp__lt=stored_time(end)
    )
    if owner is not None:
        calls = calls.filter(trace__owner=owner)
    for index, (key, value) in enumerate(metadata.items()):
        name = f"metadata_{index}"
        calls = calls.alias(**{name: KeyTransform(key, "trace__metadata")}).filter(**{name: value})
    return calls.order_by()


def _by_part(
    calls: QuerySet[ModelCall], expression: Any, part: Callable[[Any], Any]
) -> dict[Any, list[dict[str, Any]]]:
    """By step; the whole is one, ``""``."""
    if connections[calls.db].vendor == "postgresql":
        return _aggregated(calls, expression, part)
    found: defaultdict[Any, list[Call]] = defaultdict(list)
    for time, *row in calls.values_list("timestamp", *_COLUMNS).iterator():
        found["" if expression is None else part(time)].append(Call(*row))
    return {each: model_signals(of_one) for each, of_one in found.items()}


def _aggregated(
    calls: QuerySet[ModelCall], expression: Any, part: Callable[[Any], Any]
) -> dict[Any, list[dict[str, Any]]]:
    ended = Q(is_neither=False)
    whole: Any = Value("") if expression is None else expression
    rows = calls.values("model", part=whole).annotate(
        calls=Count("pk", filter=ended),
        errors=Count("pk", filter=ended & Q(is_failed=True)),
        sent=Sum("input_tokens"),
        got=Sum("output_tokens"),
        dollars=Sum("cost"),
        latency=Percentiles("latency_ms", PERCENTS, filter=ended & Q(latency_ms__isnull=False)),
        first=Percentiles("first_chunk_ms", PERCENTS, filter=ended & Q(first_chunk_ms__isnull=False)),
    )
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        signals = {name: row[name] for name in ("model", "calls", "errors")}
        signals |= {"input_tokens": _whole(row["sent"]), "output_tokens": _whole(row["got"]), "cost": row["dollars"]}
        signals |= {"latency": _ranks(row["latency"]), "time_to_first_token": _ranks(row["first"])}
        found["" if expression is None else part(row["part"])].append(signals)
    return {each: in_order(models) for each, models in found.items()}


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


def _ranks(ranked: list[float] | None) -> dict[str, float | None]:
    return {f"p{percent}": None if ranked is None else ranked[index] for index, percent in enumerate(PERCENTS)}
