"""What happens to traces in time: those that fall silent are incomplete, and old ones are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet

from trace_streaming.conf import conf
from trace_streaming.models import Approval, Event, ModelCall, StopRequest, Ticket, Trace

from . import left_out
from .store import database
from .times import UtcNow, stored_time

CHUNK_TRACES: Final = 1_000
RANGE_EVENTS: Final = 5_000
"""Events in one DELETE: bounds how long emitters wait for its locks."""
DELETED_USER: Final = "[deleted user]"


def silent_traces(older_than: datetime, keep_errors: bool = False, owner: Any = None) -> QuerySet[Trace]:
    """Traces of which nothing was stored since a time, running ones included; oldest first.

    Events tell times of their own, of clocks that may be days off: they do not count here.

    :param keep_errors: leave out traces that ended with ``error`` or hold an event with that status
    :param owner: only this user's
    """
    traces = Trace.objects.using(database()).filter(stored_at__lt=older_than).order_by("stored_at")
    traces = traces if owner is None else traces.filter(owner=owner)
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
        part = (start, min(start + RANGE_EVENTS - 1, last))
        with transaction.atomic(using=database()):
            if trace.model_calls:
                ModelCall.objects.using(database()).filter(trace=trace, sequence__range=part).delete()
            deleted, _ = events.filter(sequence__range=part).delete()
        yield deleted
    with transaction.atomic(using=database()):
        # Locked and judged again: an append that came before us has moved its last event.
        silent = Trace.objects.using(database()).select_for_update()
        if (unchanged := silent.filter(pk=trace.pk, stored_at__lt=older_than).first()) is not None:
            unchanged.delete()


def forget_what_was_asked(sender: object, instance: Trace, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_delete``: what its agent asked, and was asked, goes with a trace.

    Who begins the id again sees none of it.
    """
    left_out.forget_trace(using, instance.trace_id)
    Approval.objects.using(using).filter(trace_id=instance.trace_id).delete()
    StopRequest.objects.using(using).filter(trace_id=instance.trace_id).delete()


def forget_user(sender: object, instance: Any, **kwargs: Any) -> None:
    """Receiver of ``pre_delete`` of a user: the name of who decided, or asked to stop, goes, also from events."""
    events = Event.objects.using(database())
    decided = Approval.objects.using(database()).filter(decided_by=instance.pk)
    for approval in decided:
        received = events.filter(trace__trace_id=approval.trace_id, event="approval_received")
        _forget_name(received.filter(text__contains=approval.approval_id), "decided_by")
    decided.update(decided_by_name=DELETED_USER)
    stops = StopRequest.objects.using(database()).filter(requested_by=instance.pk)
    for stop in stops:
        told = events.filter(trace__trace_id=stop.trace_id, event__in=("stop_requested", "stop_received"))
        _forget_name(told, "requested_by", stop.requested_by_name)
    stops.update(requested_by_name=DELETED_USER)


def _forget_name(events: QuerySet[Event], key: str, name: str | None = None) -> None:
    """Where they say it under this key.

    :param name: whose; None: whosoever's
    """
    for event in events:
        details = orjson.loads(event.details)
        if name is None or details.get(key) == name:
            details[key] = DELETED_USER
            events.filter(pk=event.pk).update(text=event.text_with(orjson.dumps(details).decode()))


def forget_leftovers(older_than: datetime) -> int:
    """Delete approvals since that time whose trace is gone, tickets that are over, and spans that were left out.

    Returns how many approvals.
    """
    left_out.forget(database())
    Ticket.objects.using(database()).filter(expires_at__lt=UtcNow()).delete()
    traces = Trace.objects.using(database()).filter(trace_id=OuterRef("trace_id"))
    old = Approval.objects.using(database()).filter(~Exists(traces), requested_at__lt=older_than)
    return old.delete()[0]


def mark_incomplete() -> int:
    """Take running traces that are silent for ``TRACE_STREAMING_INCOMPLETE_AFTER_SECONDS`` for incomplete.

    Their processes may have died, or never said that they were done; a trace that goes on is running again.
    Returns how many there were.
    """
    if conf.INCOMPLETE_AFTER_SECONDS is None:
        return 0
    cutoff = stored_time(datetime.now(UTC)) - timedelta(seconds=conf.INCOMPLETE_AFTER_SECONDS)
    silent = Trace.objects.using(database()).filter(state=Trace.State.RUNNING, stored_at__lt=cutoff)
    total = 0
    # Some at a time, and each judged again as it is locked: no emitter waits long, and none that goes on is marked.
    while chunk := list(silent.values_list("pk", flat=True)[:CHUNK_TRACES]):
        total += silent.filter(pk__in=chunk).update(state=Trace.State.INCOMPLETE, ended_at=F("last_event_at"))
    return total
