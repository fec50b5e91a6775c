"""The log: numbers and appends batches, and reads them back. The only module that queries events to deliver them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from django.db import Error as DatabaseError
from django.db import OperationalError, close_old_connections, connections, router, transaction

from trace_streaming.events import EncodedEvent, TraceRecord
from trace_streaming.models import SpoolSegment, Trace
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import chunked

from . import event_rows, hidden_values, model_calls, notifications, owners, signal_inputs, trace_rows
from .appended import Appended, by_trace
from .faults import is_transient
from .leases import Holder
from .trace_rows import TraceGoneError

P = ParamSpec("P")
T = TypeVar("T")


class Head(NamedTuple):
    """Where a log ends."""

    pk: int
    """Of the trace's row: a trace that began again has another, so pages never mix two lives."""
    epoch: str
    sequence: int
    state: str


def database() -> str:
    """Alias of the database that holds the log. Reads use it too: a replica that lags would show false gaps."""
    return router.db_for_write(Trace)


def with_fresh_connection(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call database code in a thread that no request owns: drops a dead connection before, and an old one after."""
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()


class InDoubtError(OperationalError):
    """The database did not answer to a commit: what was appended may be stored or not."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__("The commit was not answered")
        self.batches = batches


class Spooled(NamedTuple):
    """Where records come from that are in a file, too."""

    segment: str
    first: int
    """Place of the first of them in the file."""
    is_left: bool = False
    """Whether a process that is dead has left them: no trace runs for that they are stored."""


def append(
    records: Sequence[TraceRecord],
    spooled: Spooled | None = None,
    in_doubt: Sequence[Batch] = (),
    alias: str | None = None,
    holder: Holder | None = None,
) -> list[Batch]:
    """Number the events and store them, all in one transaction; return what watchers are to be told.

    Raising ``last_sequence`` takes the trace's row lock until the commit, so number order is commit order, whatever
    number of processes append. Traces are locked in one order; where a new trace breaks it, the database ends the
    deadlock with an ``OperationalError``, and the batch may be appended again.

    :param spooled: the file of the spool that holds them; how far it is stored is kept in the same transaction
    :param in_doubt: of the attempt before this, when it ended with :exc:`InDoubtError`
    :param alias: of the database that they were emitted under; that of the log now, when it is not given
    :param holder: what this process has open there, of which it holds what is appended to; None: nothing is held
    :raises InDoubtError: the database went away in the commit; append again with what it holds
    """
    alias = alias or database()
    while True:
        with suppress(TraceGoneError):
            return _append_in_a_transaction(alias, records, spooled, in_doubt, holder)


def _append_in_a_transaction(
    alias: str,
    records: Sequence[TraceRecord],
    spooled: Spooled | None,
    in_doubt: Sequence[Batch],
    holder: Holder | None,
) -> list[Batch]:
    is_committing = False
    try:
        with transaction.atomic(using=alias):
            if spooled is not None:
                records = _not_stored(alias, records, spooled)
            batches = _append(alias, records, in_doubt, holder, is_left=spooled is not None and spooled.is_left)
            is_committing = True
    except DatabaseError as error:
        if is_committing and is_transient(error):
            raise InDoubtError(batches) from error
        raise
    return batches


def _append(
    alias: str, records: Sequence[TraceRecord], in_doubt: Sequence[Batch], holder: Holder | None, *, is_left: bool
) -> list[Batch]:
    """Within the transaction."""
    if not records:
        return list(in_doubt)
    appended = by_trace(records)
    for new in appended.values():
        new.is_left = is_left
    _leave_out_unknown_owners(alias, appended)
    trace_rows.begin_missing(alias, appended)
    _drop_repeated(alias, appended)
    if not in_doubt:
        appended = {trace_id: new for trace_id, new in appended.items() if new.adds_something}
    if not appended:
        return []
    for new in appended.values():
        new.calls = model_calls.of(new.events)
    heads = {trace_id: Head(*head) for trace_id, head in trace_rows.raise_heads(alias, appended).items()}
    if _are_stored(alias, in_doubt, heads):  # asked under the lock: an attempt that still runs has ended now
        transaction.set_rollback(True, using=alias)
        return list(in_doubt)
    owners.say(alias, [start for trace_id, new in appended.items() for start in new.unsaid(heads[trace_id].epoch)])
    hidden_values.say(alias, {heads[trace_id].pk: new.hidden for trace_id, new in appended.items() if new.hidden})
    hidden_values.hide(alias, appended, heads)
    if holder is not None:
        holder.stored(alias, appended, {trace_id: head.pk for trace_id, head in heads.items()})
    numbered = [
        event_rows.Numbered(heads[trace_id].pk, heads[trace_id].sequence - len(new.events) + 1, new.events)
        for trace_id, new in appended.items()
    ]
    measured = signal_inputs.of(alias, numbered)
    encoded = event_rows.insert(connections[alias], numbered, [each.measures for each in measured])
    if told := model_calls.insert(alias, numbered, [new.calls for new in appended.values()], measured):
        transaction.on_commit(partial(metrics.count_model_calls, told), using=alias)
    trace_rows.insert_approvals(alias, [approval for new in appended.values() for approval in new.approvals])
    notifications.note(alias, appended, heads)
    return [
        batch
        for trace_id, events in zip(appended, encoded, strict=True)
        for batch in _batches(trace_id, heads[trace_id], events)
    ]


def _leave_out_unknown_owners(alias: str, appended: dict[str, Appended]) -> None:
    """Those whose rows are not committed are named later; their traces do not wait."""
    starts = [start for new in appended.values() for start in new.starts]
    unknown = owners.unknown(alias, starts) if starts else frozenset()
    for new in appended.values() if unknown else ():
        new.starts = [replace(each, owner_id=None) if each.owner_id in unknown else each for each in new.starts]


def _not_stored(alias: str, records: Sequence[TraceRecord], spooled: Spooled) -> Sequence[TraceRecord]:
    """Those that no transaction has stored; with this one, all are."""
    segments = SpoolSegment.objects.using(alias)
    last = spooled.first + len(records)
    segment, is_new = segments.get_or_create(name=spooled.segment, defaults={"position": last})
    if is_new:
        return records
    stored, segment.position = segment.position, max(segment.position, last)
    segment.save(update_fields=["position"])
    return records[max(stored - spooled.first, 0) :]


def forget_segment(alias: str, name: str) -> None:
    """A file of the spool is gone: nobody will ask how far it is stored."""
    SpoolSegment.objects.using(alias).filter(name=name).delete()


def _are_stored(alias: str, batches: Sequence[Batch], heads: dict[str, Head]) -> bool:
    """Whether they were committed: then the log has their first event under its number, to the microsecond."""
    for batch in batches:
        if batch.events:
            page = event_rows.read_page(alias, heads[batch.trace_id].pk, batch.events[0].sequence - 1)
            return page[:1] == [batch.events[0]]
    return False


def _drop_repeated(alias: str, appended: dict[str, Appended]) -> None:
    """Leave out events whose id the log has already. Under the trace's lock: whoever stores the same ones waits."""
    named = {
        trace_id: new for trace_id, new in appended.items() if any(event.event_id is not None for event in new.events)
    }
    if not named:
        return
    locked = Trace.objects.using(alias).filter(trace_id__in=named).order_by("trace_id").select_for_update()
    pks = dict(locked.values_list("trace_id", "pk"))
    ids = {
        pk: {event.event_id for event in named[trace_id].events if event.event_id is not None}
        for trace_id, pk in pks.items()
    }
    stored = event_rows.known_ids(alias, ids)
    for trace_id, pk in pks.items():
        new, known, kept = named[trace_id], stored[pk], []
        for event in new.events:
            if event.event_id in known:
                continue
            kept.append(event)
            if event.event_id is not None:
                known.add(event.event_id)
        new.events = kept


def _batches(trace_id: str, head: Head, events: Sequence[EncodedEvent]) -> list[Batch]:
    """Cut into pieces that the channel layer and one frame can carry; only behind the last has the trace ended."""
    pieces = [tuple(chunk) for chunk in chunked(events)] or [()]
    running = Trace.State.RUNNING
    batches = [Batch(trace_id, head.epoch, running, piece[-1].sequence, piece, head.pk) for piece in pieces[:-1]]
    return [*batches, Batch(trace_id, head.epoch, head.state, head.sequence, pieces[-1], head.pk)]


def read_heads(trace_ids: Collection[str], alias: str | None = None) -> dict[str, Head]:
    """Where the logs end, by trace id, in one query per 500; traces that have not begun are absent."""
    rows = trace_rows.read_heads(alias or database(), list(trace_ids))
    return {trace_id: Head(*head) for trace_id, head in rows.items()}


def read_joined(trace_pk: int, after: int, at_most: int) -> event_rows.Joined | None:
    """The next events after a sequence as one value; see :func:`.event_rows.read_joined`."""
    return event_rows.read_joined(database(), trace_pk, after, at_most)


def read_page(trace_pk: int, after: int) -> list[EncodedEvent]:
    """The next events after a sequence: at most ``PAGE_EVENTS``, and no more once ``PAGE_BYTES`` are reached."""
    return event_rows.read_page(database(), trace_pk, after)
