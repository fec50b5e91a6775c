"""Requests to stop, in the database: whoever may decide a trace's approvals may ask its run to stop, while it runs."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet

from trace_streaming.conf import conf
from trace_streaming.emitting.event_factory import shown_text
from trace_streaming.emitting.project_events import make_event, redacted
from trace_streaming.exceptions import InvalidDecisionError, NotStoppableError
from trace_streaming.models import Approval, StopRequest, Trace, stored_now
from trace_streaming.permissions import find_trace, may_decide, may_watch
from trace_streaming.recording.inline import after_commit, announce_alone
from trace_streaming.signals import stop_requested
from trace_streaming.storage.json_columns import without_nul
from trace_streaming.storage.store import append, database
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch

MAX_COMMENT_LENGTH: Final = 2000
_EVENT: Final = "stop_requested"


def stop_requests() -> QuerySet[StopRequest]:
    """All, in the database of the log."""
    return StopRequest.objects.using(database())


def standing(trace_id: str) -> StopRequest | None:
    """What its run is asked now, or was asked when it ended."""
    return stop_requests().filter(trace_id=trace_id).order_by("-pk").first()


def may_stop(request: Any, trace: Trace, view: Any = None) -> bool:
    """Whether this request's user may ask the run to stop: as if the agent had asked for an approval."""
    return may_decide(request, Approval(trace_id=trace.trace_id), view)


def request_stop(trace: Trace, *, user: Any, channel: str, comment: str = "") -> StopRequest:
    """Ask a trace's run to stop; once it is asked, more of the same change nothing.

    Its event, ``stop_requested``, is stored with it, where the project has declared that (``AGENT_EVENTS``).

    :param user: who asks; anonymous, or None, is nobody
    :param channel: where: ``socket``, ``api``, ``admin``
    :param comment: for the agent, up to 2,000 characters; redacted
    :raises NotStoppableError: it does not run
    """
    by = user if getattr(user, "pk", None) is not None else None
    with transaction.atomic(using=database()):
        running = Trace.objects.using(database()).select_for_update().filter(pk=trace.pk, state=Trace.State.RUNNING)
        if running.first() is None:
            raise NotStoppableError("This trace does not run")
        if (before := stop_requests().filter(trace_id=trace.trace_id, is_standing=True).first()) is not None:
            return before
        shown = redacted({"comment": comment}, trace.trace_id)
        asked = StopRequest(
            trace_id=trace.trace_id,
            requested_at=stored_now(),
            requested_by_id=None if by is None else by.pk,
            requested_by_name="" if by is None else by.get_username(),
            channel=channel,
            comment=shown_text(shown, "comment", comment)[:MAX_COMMENT_LENGTH],
        )
        asked.save(using=database(), force_insert=True)
        batches = append([make_event(trace.trace_id, _EVENT, _details(asked), "warning")[0]]) if _is_declared() else []
    after_commit(database(), partial(_announce, asked, batches))
    return asked


def request_stop_as(request: Any, trace_id: str, comment: object, channel: str) -> StopRequest:
    """Ask for the user of a request. Synchronous; queries the database.

    :param request: a Django or DRF request, of a socket its handshake
    :param comment: not yet checked; None is none
    :raises PermissionDenied: the user may not watch the trace, or not stop it
    :raises InvalidDecisionError: the comment is none
    :raises NotStoppableError: the trace does not run
    """
    trace = find_trace(trace_id)
    if not may_watch(request, trace):
        raise PermissionDenied("You may not watch this trace")
    if not may_stop(request, trace):
        raise PermissionDenied("You may not stop this trace")
    if not isinstance(comment, str | None) or len(comment or "") > MAX_COMMENT_LENGTH:
        raise InvalidDecisionError(f"A comment is a text of at most {MAX_COMMENT_LENGTH} characters")
    return request_stop(trace, user=request.user, channel=channel, comment=without_nul(comment or ""))


def _is_declared() -> bool:
    return _EVENT in conf.EXTRA_EVENTS


def _details(asked: StopRequest) -> dict[str, str]:
    told = {"requested_by": asked.requested_by_name, "channel": asked.channel, "comment": asked.comment}
    return {name: value for name, value in told.items() if value}


def _announce(asked: StopRequest, batches: list[Batch]) -> None:
    metrics.counts.add("emitted", len(batches))
    announce_alone(batches)
    stop_requested.send_robust(sender=StopRequest, stop=asked)
