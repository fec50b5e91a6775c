"""Programs elsewhere ask a human, and are told what he decides; what he writes for them nobody else is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.views import StoreAwayError
from trace_streaming.approvals.decisions import approvals, edited_of, with_timeouts, withdraw
from trace_streaming.emitting.asking.contract import Question
from trace_streaming.emitting.asking.requests import Elsewhere, FollowUp, ask, has_hash, new_request
from trace_streaming.emitting.asking.schemas import check_schema
from trace_streaming.emitting.decision import ALLOWED, MAX_ACTION_LENGTH
from trace_streaming.emitting.project_events import redacted
from trace_streaming.models import Approval, Trace
from trace_streaming.storage import hidden_values
from trace_streaming.storage.store import database
from trace_streaming.storage.times import as_utc

from .access import TraceView
from .conflicts import Conflict
from .ingest import begin, recording

TAKEN = "There is another approval of this id"
OTHER = "This approval was asked for with other arguments"


class QuestionSerializer(serializers.Serializer[Any]):
    """What is asked."""

    approval_id = serializers.RegexField(r"^[A-Za-z0-9_-]{16,64}\Z", help_text="Of who asks; again, it is the same.")
    binding = serializers.RegexField(r"^[0-9a-f]{64}\Z", help_text="A keyed digest of the arguments, of who asks.")
    action = serializers.CharField(max_length=MAX_ACTION_LENGTH, trim_whitespace=False)
    tool_name = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)
    risk_level = serializers.CharField(default="medium")
    arguments = serializers.DictField(default=None, allow_null=True)
    timeout = serializers.FloatField(default=300.0, help_text="Seconds.")
    allowed = serializers.ListField(child=serializers.CharField(), default=list(ALLOWED))
    schema = serializers.DictField(default=None, allow_null=True)
    call_id = serializers.CharField(default="", allow_blank=True, max_length=256)
    parent_call_id = serializers.CharField(default="", allow_blank=True, max_length=256)


class AskedSerializer(serializers.Serializer[Any]):
    """What became of it, for who has asked."""

    approval_id = serializers.CharField()
    decision = serializers.CharField(help_text="Empty while it is open.")
    arguments = serializers.DictField(help_text="As they were shown: redacted.")
    edited = serializers.DictField(allow_null=True, help_text="As the human has written them.")
    comment = serializers.CharField()
    decided_by = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)


def ask_for(trace: Trace, user: Any, said: Mapping[str, Any]) -> tuple[Approval, bool]:
    """The approval, and whether it is new; behind it, it is stored.

    :raises ValueError: what is asked cannot be
    :raises Conflict: another has this id
    :raises StoreAwayError: it is not known to be stored; the same may be asked again
    """
    elsewhere = Elsewhere(user.pk, said["binding"])
    stored = approvals().filter(approval_id=said["approval_id"])
    if (found := stored.first()) is not None:
        is_mine = (found.trace_id, found.asked_by_id) == (trace.trace_id, user.pk)
        if not is_mine or not has_hash(elsewhere.bound, found.arguments_hash):
            raise Conflict({"detail": TAKEN})
        return found, False
    if trace.pk is not None:
        hidden_values.learn(database(), [trace.trace_id])
    question = Question(**{name: value for name, value in said.items() if name != "binding"})
    question.check()  # before the trace begins
    if question.schema is not None:
        check_schema(question.schema)
    emitter = begin(trace, user)
    redact = partial(redacted, trace_id=trace.trace_id)
    request = new_request(redact, emitter.emit, trace.trace_id, question, FollowUp(), elsewhere)
    with recording(trace.trace_id):
        ask(replace(request, is_waited_for=False))
    if (found := stored.first()) is None:
        raise StoreAwayError
    return found, True


class AskedView(TraceView):
    """An approval that the requester's own program has asked for."""

    serializer_class = AskedSerializer

    def get(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """What became of it; 409 where ``binding`` is that of other arguments."""
        approval = self._mine(approval_id)
        binding = request.query_params.get("binding")
        if binding is not None and not has_hash(Elsewhere(None, binding).bound, approval.arguments_hash):
            raise Conflict({"detail": OTHER})
        try:
            edited = edited_of(approval)
        except ValueError as error:
            raise Conflict({"detail": str(error)}) from None
        told = {
            "approval_id": approval.approval_id,
            "decision": approval.decision,
            "arguments": approval.arguments,
            "edited": edited,
            "comment": approval.comment,
            "decided_by": approval.decided_by_name,
            "decided_at": None if approval.decided_at is None else as_utc(approval.decided_at),
        }
        return Response(told)

    def delete(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """Withdraw it: ``withdrawn`` says whether it was open."""
        return Response({"withdrawn": withdraw(self._mine(approval_id))})

    def _mine(self, approval_id: str) -> Approval:
        """404 for that of anybody else, as for one that there is not."""
        trace, user = self.writable_trace(), self.request.user
        for approval in with_timeouts([approval_id]):
            is_mine = approval.asked_by_id is not None and approval.asked_by_id == user.pk
            if is_mine and approval.trace_id == trace.trace_id:
                return approval
        raise NotFound


def question_of(request: Request) -> dict[str, Any]:
    """What a body asks; 400 for what is none."""
    said = QuestionSerializer(data=request.data)
    said.is_valid(raise_exception=True)
    return dict(said.validated_data)


def refused(error: ValueError) -> ValidationError:
    """A question that cannot be asked."""
    return ValidationError({"detail": str(error)})
