"""Deciding approvals, the same at every door: who may, and what a request must say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied

from .approvals import approvals, decide
from .exceptions import ApprovalNotFoundError, InvalidDecisionError
from .models import Approval
from .permissions import find_trace, may_decide, may_watch


def find_approval(trace_id: str, approval_id: str) -> Approval:
    """An approval of this trace; raises :exc:`ApprovalNotFoundError`."""
    approval = approvals().filter(trace_id=trace_id, approval_id=approval_id).first()
    if approval is None:
        raise ApprovalNotFoundError("This trace has no such approval")
    return approval


def decide_as(request: Any, trace_id: str, approval_id: object, said: Mapping[str, Any], channel: str) -> Approval:
    """Decide for the user of a request. Synchronous; queries the database.

    :param request: a DRF request, of a socket its handshake
    :param said: ``decision``, and optionally ``comment`` and ``edited``, not yet checked
    :raises PermissionDenied: the user may not watch the trace, or not decide
    :raises ApprovalNotFoundError: the trace has none of this id
    :raises InvalidDecisionError: it says what this approval does not allow
    :raises ApprovalConflictError: somebody has decided differently, or it is too late
    """
    if not may_watch(request, find_trace(trace_id)):
        raise PermissionDenied("You may not watch this trace")
    approval = find_approval(trace_id, str(approval_id))
    if not may_decide(request, approval):
        raise PermissionDenied("You may not decide approvals of this trace")
    decision, comment, edited = said.get("decision"), said.get("comment") or "", said.get("edited")
    if not isinstance(decision, str) or not isinstance(comment, str) or not isinstance(edited, dict | None):
        raise InvalidDecisionError("A decision is a text, and so is a comment; edited arguments are an object")
    return decide(approval, decision, user=request.user, channel=channel, comment=comment, edited=edited)
