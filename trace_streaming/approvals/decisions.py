"""Approvals in the database: one row each, and one winner, whoever decides when, in whichever process.

A decision and its event are one transaction: the row is changed where it is still undecided and in time, by the
database's clock, and the event gets its number in the trace. A timeout is a decision like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import orjson
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare

from trace_streaming.emitting.asking.schemas import first_error
from trace_streaming.emitting.asking.sealing import seal, unseal
from trace_streaming.emitting.decision import TIMEOUT, WITHDRAWN, moved_marker
from trace_streaming.emitting.event_factory import shown_text
from trace_streaming.emitting.project_events import make_event, redacted
from trace_streaming.events import TraceEvent
from trace_streaming.events.kinds import JSON
from trace_streaming.exceptions import ApprovalConflictError, ApprovalNotFoundError, InvalidDecisionError
from trace_streaming.models import Approval, stored_now
from trace_streaming.permissions import find_trace, may_watch, why_not_decide
from trace_streaming.recording.inline import after_commit, announce_alone
from trace_streaming.redaction import REDACTION_FAILED
from trace_streaming.signals import approval_decided
from trace_streaming.storage.json_columns import without_nul
from trace_streaming.storage.store import append, database
from trace_streaming.storage.times import UtcNow, as_utc
from trace_streaming.telemetry import metrics
from trace_streaming.wire.batches import Batch

MAX_COMMENT_LENGTH: Final = 2000


def approvals() -> QuerySet[Approval]:
    """All, in the database of the log."""
    return Approval.objects.using(database())


def open_approvals() -> QuerySet[Approval]:
    """Those that may be decided: undecided, and in time by the database's clock."""
    return approvals().filter(decision="", expires_at__gt=UtcNow())


def decide(
    approval: Approval,
    decision: str,
    *,
    user: Any,
    channel: str,
    comment: str = "",
    edited: Mapping[str, Any] | None = None,
    shown_hash: str | None = None,
) -> Approval:
    """Decide an approval; the first decision counts, and the same one again changes nothing.

    :param user: who decides; anonymous, or None, is nobody
    :param channel: where: ``socket``, ``api``, ``admin``
    :param edited: with the decision ``edited``: arguments that replace those that were asked for, all of them
    :param shown_hash: the ``arguments_hash`` of what was shown to whom decides
    :raises InvalidDecisionError: it is not allowed here, or the arguments do not fit the schema
    :raises ApprovalConflictError: somebody has decided differently, it is too late, or something else was shown
    """
    _check(approval, decision, comment, edited, shown_hash)
    shown = redacted({"comment": comment, "edited": edited}, approval.trace_id)
    told = shown_text(shown, "comment", comment)[:MAX_COMMENT_LENGTH]
    if decision == "responded" and told == REDACTION_FAILED:  # the agent would take that for the answer
        raise InvalidDecisionError("The project's redactor loses the answer: the log says why")
    decider = user if getattr(user, "pk", None) is not None else None
    changes = {
        "decision": decision,
        "decided_by_id": None if decider is None else decider.pk,
        "decided_by_name": "" if decider is None else decider.get_username(),
        "channel": channel,
        "comment": told,
        "edited_arguments": None if edited is None else _shown_edited(shown.get("edited")),
        "edited_sealed": "" if edited is None else seal(edited),
    }
    if _settle(approval, changes, is_late=False):
        return approval
    expire(approval)
    approval.refresh_from_db(using=database())
    if not _is_decided_so(approval, decision, edited):
        raise ApprovalConflictError(approval.decision)
    return approval


def _shown_edited(edited: JSON) -> Mapping[str, Any]:
    return edited if isinstance(edited, dict) else {"redacted": REDACTION_FAILED}


def _is_decided_so(approval: Approval, decision: str, edited: Mapping[str, Any] | None) -> bool:
    try:
        return (approval.decision, edited_of(approval)) == (decision, edited)
    except ValueError:  # nobody can say so any more
        return False


def edited_of(approval: Approval) -> Mapping[str, Any] | None:
    """What a human has written for the agent; an earlier version kept that in clear, with the row's other fields.

    :raises ValueError: it was sealed with a ``SECRET_KEY`` that is not known any more
    """
    if approval.edited_sealed:
        return unseal(approval.edited_sealed)
    edited: Mapping[str, Any] | None = approval.edited_arguments
    return edited


def expire(approval: Approval) -> bool:
    """Decide that nobody has decided in time; False when it is decided, or there is time."""
    return _settle(approval, {"decision": TIMEOUT}, is_late=True)


def withdraw(approval: Approval) -> bool:
    """Take it back for whoever has asked; False when it is decided, or its time is over."""
    return _settle(approval, {"decision": WITHDRAWN}, is_late=False)


def expire_overdue() -> int:
    """Expire what nobody waits for any more, because its process has died. Returns how many there were."""
    overdue = approvals().filter(decision="", expires_at__lte=UtcNow()).order_by("pk")[:1000]
    return sum(expire(approval) for approval in overdue)


def with_timeouts(approval_ids: Collection[str]) -> list[Approval]:
    """Those of these ids that there are; those that are overdue are expired first."""
    for overdue in approvals().filter(approval_id__in=approval_ids, decision="", expires_at__lte=UtcNow()):
        expire(overdue)
    return list(approvals().filter(approval_id__in=approval_ids))


def event_of(approval: Approval) -> TraceEvent:
    """What is recorded of a decision."""
    details: dict[str, Any] = {"approval_id": approval.approval_id, "action": approval.action}
    if approval.tool_name:
        details["tool_name"] = approval.tool_name
    timestamp = datetime.now(UTC) if approval.decided_at is None else as_utc(approval.decided_at)
    if approval.decision == TIMEOUT:
        name, status = "approval_timeout", "error"
    elif approval.decision == WITHDRAWN:
        name, status = "approval_received", "warning"
        details["decision"] = WITHDRAWN
    else:
        name, status = "approval_received", "error" if approval.decision == "rejected" else "success"
        details |= {
            "decision": approval.decision,
            "decided_by": approval.decided_by_name,
            "channel": approval.channel,
            **({"comment": approval.comment} if approval.comment else {}),
            **({} if approval.edited_arguments is None else {"edited": approval.edited_arguments}),
            "waited_ms": round((timestamp - as_utc(approval.requested_at)).total_seconds() * 1000),
        }
    return make_event(approval.trace_id, name, details, status, timestamp=timestamp)[0]


def _settle(approval: Approval, changes: dict[str, Any], *, is_late: bool) -> bool:
    """Change the row if it is undecided, and in time or not; with it, its event is stored, and then published."""
    in_time = {"expires_at__lte": UtcNow()} if is_late else {"expires_at__gt": UtcNow()}
    now = stored_now()
    with transaction.atomic(using=database()):
        undecided = approvals().filter(pk=approval.pk, decision="", **in_time)
        changes = {**changes, "decided_at": now}
        due = {"call_at": UtcNow()} if approval.on_decision else {}  # which is what whoever calls asks for
        if not undecided.update(**changes, **due):
            return False
        for name, value in changes.items():
            setattr(approval, name, value)
        batches = append([event_of(approval)])
        if approval.group:  # under the trace's lock: of those that are decided at the same time the last one calls
            others = approvals().filter(trace_id=approval.trace_id, group=approval.group, call_at__isnull=False)
            called = list(others.exclude(pk=approval.pk).values_list("pk", flat=True))
            approvals().filter(pk__in=called).update(call_at=None)  # read before: MySQL locks whatever it looks at
    after_commit(database(), partial(_announce, approval, batches))
    return True


def _announce(approval: Approval, batches: list[Batch]) -> None:
    metrics.counts.add("emitted")
    decided_at = approval.decided_at or stored_now()
    waited = (decided_at - approval.requested_at).total_seconds()
    metrics.approval_wait_seconds.labels(approval.decision).observe(max(waited, 0))
    announce_alone(batches)
    approval_decided.send_robust(sender=Approval, approval=approval)


def _is_json(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _check(
    approval: Approval, decision: str, comment: str, edited: Mapping[str, Any] | None, shown_hash: str | None
) -> None:
    if shown_hash is not None and not constant_time_compare(shown_hash, approval.arguments_hash):
        raise ApprovalConflictError(approval.decision)
    if decision not in approval.allowed:
        raise InvalidDecisionError(
            f"Not a decision here: {decision[:40]!r}. Must be one of {', '.join(approval.allowed)}"
        )
    if not (_is_json(comment) and _is_json(edited)):  # first: what is nested deeper, no other check survives
        raise InvalidDecisionError(
            "A decision holds no half of a character, no number of more than 64 bits, and no more than 250 levels"
        )
    if [comment, edited] != without_nul([comment, edited]):
        raise InvalidDecisionError("A decision holds no NUL characters")
    if len(comment) > MAX_COMMENT_LENGTH:
        raise InvalidDecisionError(f"A comment has at most {MAX_COMMENT_LENGTH} characters")
    if decision == "responded" and not comment.strip():
        raise InvalidDecisionError("An answer in place of what is asked for is a comment that says something")
    if (decision == "edited") != (edited is not None):
        raise InvalidDecisionError('Edited arguments, all of them, belong to the decision "edited" and to no other')
    if edited is not None:
        _check_edited(approval, edited)


def _check_edited(approval: Approval, edited: Mapping[str, Any]) -> None:
    if (marker := moved_marker(dict(edited), approval.arguments)) is not None:
        raise InvalidDecisionError(
            "What is redacted or shortened stays where it was and as it was, or goes as a whole:"
            f" {marker[-100:]} cannot be put back"
        )
    if approval.schema is not None and (problem := first_error(approval.schema, edited)) is not None:
        raise InvalidDecisionError(f"The arguments do not fit: {problem}")


def find_approval(trace_id: str, approval_id: str) -> Approval:
    """An approval of this trace; raises :exc:`ApprovalNotFoundError`."""
    approval = approvals().filter(trace_id=trace_id, approval_id=approval_id).first()
    if approval is None:
        raise ApprovalNotFoundError("This trace has no such approval")
    return approval


def decide_as(request: Any, trace_id: str, approval_id: object, said: Mapping[str, Any], channel: str) -> Approval:
    """Decide for the user of a request. Synchronous; queries the database.

    :param request: a DRF request, of a socket its handshake
    :param said: ``decision``, and optionally ``comment``, ``edited`` and ``arguments_hash``, not yet checked
    :raises PermissionDenied: the user may not watch the trace, or not decide
    :raises ApprovalNotFoundError: the trace has none of this id
    :raises InvalidDecisionError: it says what this approval does not allow
    :raises ApprovalConflictError: somebody has decided differently, or it is too late
    """
    if not may_watch(request, find_trace(trace_id)):
        raise PermissionDenied("You may not watch this trace")
    approval = find_approval(trace_id, str(approval_id))
    if refusal := why_not_decide(request, approval):
        raise PermissionDenied(refusal)
    decision, comment, edited = said.get("decision"), said.get("comment") or "", said.get("edited")
    shown_hash = said.get("arguments_hash")
    if not isinstance(decision, str) or not isinstance(comment, str) or not isinstance(edited, dict | None):
        raise InvalidDecisionError("A decision is a text, and so is a comment; edited arguments are an object")
    if not isinstance(shown_hash, str | None):
        raise InvalidDecisionError("The hash of the arguments is a text")
    user = request.user
    return decide(approval, decision, user=user, channel=channel, comment=comment, edited=edited, shown_hash=shown_hash)
