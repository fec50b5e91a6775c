"""Whose traces are, and what they are called: whenever it is said, by whom, and in which transaction."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import connections, transaction

from trace_streaming.events import TraceStart
from trace_streaming.models import Trace, TraceTag

from .json_columns import storable

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 3600.0
"""How long an owner is waited for whose row is not committed: longer than any transaction should be open."""
MAX_WAITING: Final = 10_000
RETRY_SECONDS: Final = 1.0


class _Waiting(NamedTuple):
    alias: str
    name: str
    """Of the database: a test run has another under the same alias."""
    start: TraceStart
    since: float


_waiting: dict[tuple[str, str, str], _Waiting] = {}
"""By database, trace and owner: starts whose owner is not there yet, in the order in which they were said."""
_lock = Lock()
_tried_at = 0.0
# What a parent waits for is the parent's.
os.register_at_fork(after_in_child=_waiting.clear)


def with_owner(trace: Trace) -> Trace:
    """The same, which knows its owner: a router might send who asks for him to a replica, which has none yet."""
    if trace.owner_id is not None:
        trace.owner = get_user_model()._base_manager.using(trace._state.db).filter(pk=trace.owner_id).first()
    return trace


def unknown(alias: str, starts: Iterable[TraceStart]) -> frozenset[Any]:
    """Primary keys of owners whose rows are not there; they are named once they are.

    Such a row may have been made in a transaction that is still open; a trace does not wait for it.
    """
    named = [start for start in starts if start.owner_id is not None]
    known = _known(alias, {start.owner_id for start in named})
    missing = [start for start in named if str(start.owner_id) not in known]
    if missing:
        transaction.on_commit(partial(_wait_for, alias, missing), using=alias)
    return frozenset(start.owner_id for start in missing)


def are_awaited() -> bool:
    """Whether there are any."""
    return bool(_waiting)


def name_the_awaited(*, at_once: bool = False) -> None:
    """Look again for owners that were not there, at most once a second; raises what the database raises."""
    global _tried_at  # noqa: PLW0603  of this process
    if not _waiting or (monotonic() - _tried_at < RETRY_SECONDS and not at_once):
        return
    _tried_at = monotonic()
    for alias in {waiting.alias for waiting in list(_waiting.values())}:
        mine = [waiting for waiting in list(_waiting.values()) if waiting.alias == alias]
        mine = [waiting for waiting in mine if waiting.name == str(connections.settings[alias]["NAME"])]
        known = _known(alias, {waiting.start.owner_id for waiting in mine})
        found = [waiting for waiting in mine if str(waiting.start.owner_id) in known]
        with transaction.atomic(using=alias):
            say(alias, [waiting.start for waiting in found])
        late = [waiting for waiting in mine if _tried_at - waiting.since > WAIT_SECONDS]
        for waiting in {*found, *late}:
            _waiting.pop(_key(alias, waiting.start), None)
        for waiting in set(late) - set(found):
            _warn(waiting.start.trace_id, "The owner of a trace was never there; it has none")


def say(alias: str, starts: Collection[TraceStart]) -> None:
    """Write what starts say of traces that are there; within a transaction.

    The first word stays, but that of somebody who has only sent events over the API makes way for the project's.
    """
    if not starts:
        return
    traces = Trace.objects.using(alias).filter(trace_id__in=[start.trace_id for start in starts])
    rows = {trace.trace_id: trace for trace in traces.select_for_update().order_by("trace_id")}
    for start in starts:
        if (trace := rows.get(start.trace_id)) is not None:
            _say(trace, start)


def begin(trace: Trace, start: TraceStart) -> None:
    """Put what the first start says into a row that is not stored yet; but for tags, which have rows of their own."""
    trace.owner_id, trace.owned_by_sender = start.owner_id, start.owner_id is not None and start.by_sender
    trace.metadata = storable(start.metadata)
    _call(trace, start)


def _say(trace: Trace, start: TraceStart) -> None:
    before = _told(trace)
    metadata = storable(start.metadata)
    if trace.owned_by_sender and not start.by_sender:
        trace.metadata = {**trace.metadata, **metadata}
    elif not start.by_sender or _is_of_its_sender(trace, start):
        trace.metadata = {**metadata, **trace.metadata}
    if start.owner_id is not None:
        _name_owner(trace, start)
    if start.owner_id is None or str(start.owner_id) == str(trace.owner_id):
        _call(trace, start)
        if start.tags is not None and (_may_replace(trace, start) or not trace.tags):
            _tag(trace, [_storable(tag) for tag in start.tags])
    if before != _told(trace):
        trace.save(update_fields=["owner", "owned_by_sender", "metadata", "name", "conversation", "tags"])


def _is_of_its_sender(trace: Trace, start: TraceStart) -> bool:
    """Whether who sends has begun the trace, as far as it is known here."""
    return trace.owned_by_sender and (start.owner_id is None or str(start.owner_id) == str(trace.owner_id))


def _call(trace: Trace, start: TraceStart) -> None:
    """What the trace is called: the last word stays; but who has only sent events replaces none of the project's."""
    if start.name is not None and (_may_replace(trace, start) or not trace.name):
        trace.name = _storable(start.name)
    if start.conversation is not None and (_may_replace(trace, start) or not trace.conversation):
        trace.conversation = _storable(start.conversation)


def _may_replace(trace: Trace, start: TraceStart) -> bool:
    return trace.owned_by_sender or not start.by_sender


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")  # which PostgreSQL's text cannot hold


def _told(trace: Trace) -> tuple[Any, ...]:
    told = (trace.owner_id, trace.owned_by_sender, trace.metadata, trace.name, trace.conversation)
    return (*told, list(trace.tags))


def _tag(trace: Trace, tags: list[str]) -> None:
    if tags == trace.tags:
        return
    trace.tags = tags
    rows = TraceTag.objects.using(trace._state.db)
    rows.filter(trace=trace).delete()
    rows.bulk_create(TraceTag(trace=trace, tag=tag) for tag in tags)


def _name_owner(trace: Trace, start: TraceStart) -> None:
    is_another = str(start.owner_id) != str(trace.owner_id)
    if not start.by_sender and (trace.owner_id is None or trace.owned_by_sender):
        if is_another and trace.owner_id is not None:
            _warn(trace.trace_id, "The project names another owner than who began the trace over the API")
        trace.owner_id, trace.owned_by_sender = start.owner_id, False
    elif is_another:
        _warn(trace.trace_id, "Another owner is named of a trace that is there already; it stays as it is")


def _known(alias: str, owner_ids: Collection[Any]) -> set[str]:
    if not owner_ids:
        return set()
    users = get_user_model()._base_manager.using(alias).filter(pk__in=owner_ids)
    return {str(pk) for pk in users.values_list("pk", flat=True)}


def _key(alias: str, start: TraceStart) -> tuple[str, str, str]:
    return alias, start.trace_id, str(start.owner_id)


def _wait_for(alias: str, starts: Iterable[TraceStart]) -> None:
    with _lock:
        for start in starts:
            name = str(connections.settings[alias]["NAME"])
            # What the trace is called was said already, and may be said anew until the owner is there.
            nameless = replace(start, name=None, conversation=None, tags=None)
            _waiting[_key(alias, start)] = _Waiting(alias, name, nameless, monotonic())
        while len(_waiting) > MAX_WAITING:
            _waiting.pop(next(iter(_waiting)))


def _warn(trace_id: str, text: str) -> None:
    logger.warning(text, extra={"trace_id": trace_id})
