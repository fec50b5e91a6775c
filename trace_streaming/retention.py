"""What is deleted in time: whole traces that have long been silent, a range of events at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet

from .models import Event, Trace
from .store import database

RANGE_EVENTS: Final = 5_000
"""Events in one DELETE: bounds how long emitters wait for its locks."""


def silent_traces(older_than: datetime, keep_errors: bool = False) -> QuerySet[Trace]:
    """Traces without an event since a time, running ones included; oldest first.

    :param keep_errors: leave out traces that ended with ``error`` or hold an event with that status
    """
    traces = Trace.objects.using(database()).filter(last_event_at__lt=older_than).order_by("last_event_at")
    return traces.exclude(Q(state=Trace.State.ERROR) | Q(error_count__gt=0)) if keep_errors else traces


def prune(trace: Trace, older_than: datetime) -> Iterator[int]:
    """Delete a trace and its events; yields how many events went with each range.

    Safe while others emit: a trace that goes on meanwhile keeps its row, its numbers and its new events, and watchers
    are told of the gap.
    """
    events = Event.objects.using(database()).filter(trace=trace)
    ends = events.aggregate(first=Min("sequence"), last=Max("sequence"))
    first, last = ends["first"] or 0, ends["last"] or -1
    for start in range(first, last + 1, RANGE_EVENTS):
        deleted, _ = events.filter(sequence__range=(start, min(start + RANGE_EVENTS - 1, last))).delete()
        yield deleted
    with transaction.atomic(using=database()):
        # Locked and judged again: an append that came before us has moved its last event.
        silent = Trace.objects.using(database()).select_for_update()
        if (unchanged := silent.filter(pk=trace.pk, last_event_at__lt=older_than).first()) is not None:
            unchanged.delete()
