"""Approvals over HTTP: what a trace's agent has asked, and the decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.views import DoorView
from trace_streaming.approvals.decisions import approvals, decide_as, find_approval, open_approvals
from trace_streaming.exceptions import ApprovalConflictError, ApprovalNotFoundError, InvalidDecisionError
from trace_streaming.models import Approval, Trace
from trace_streaming.permissions import (
    MaySeeSignals,
    find_trace,
    find_traces,
    may_watch,
    may_watch_all,
    traces_to_watch,
    why_not_decide,
)
from trace_streaming.storage.store import database
from trace_streaming.storage.times import as_utc

from .access import TraceView
from .asking import ask_for, question_of, refused
from .conflicts import Conflict
from .fields import UtcModelSerializer

MAX_OPEN: Final = 100
MAX_JUDGED: Final = 2_000
"""Where only a trace itself can be judged, so many are."""


class ApprovalSerializer(UtcModelSerializer[Approval]):
    """An approval as humans see it."""

    class Meta:
        model = Approval
        fields = (
            *("approval_id", "trace_id", "action", "tool_name", "risk_level", "arguments", "arguments_hash", "allowed"),
            *(
                "schema",
                "requested_at",
                "expires_at",
                "decision",
                "decided_at",
                "decided_by_name",
                "channel",
                "comment",
            ),
        )
        read_only_fields = fields


class DecisionSerializer(serializers.Serializer[Any]):
    """What decides one."""

    decision = serializers.CharField(help_text="One of the approval's `allowed`.")
    comment = serializers.CharField(required=False, allow_blank=True)
    arguments_hash = serializers.CharField(
        required=False, help_text="Of what was shown to whom decides; another than the approval's is a conflict."
    )
    edited = serializers.DictField(required=False, help_text="With `edited`: all arguments, as they are to be.")


class ApprovalsView(TraceView, ListAPIView[Approval]):
    """The approvals of a trace, newest first, for those who may watch it."""

    serializer_class = ApprovalSerializer
    pagination_class = None
    filter_backends = ()
    queryset = Approval.objects.none()

    def get_queryset(self) -> QuerySet[Approval]:
        """Of the trace that the URL names."""
        return approvals().filter(trace_id=self.watched_trace().trace_id)

    def post(self, request: Request, trace_id: str) -> Response:
        """Ask for one, from a program elsewhere that may add events: 201; again, 200."""
        trace = self.writable_trace()
        try:
            approval, is_new = ask_for(trace, request.user, question_of(request))
        except ValueError as error:
            raise refused(error) from None
        told = {"approval_id": approval.approval_id, "expires_at": as_utc(approval.expires_at)}
        return Response(told, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class ListedApprovalSerializer(UtcModelSerializer[Approval]):
    """What a list of those that wait, or were decided, says of one: not the arguments, which may be large."""

    trace_name = serializers.SerializerMethodField(help_text="What the trace is called; may be empty.")
    can_decide = serializers.SerializerMethodField(help_text="Whether the requester may decide it, while it is open.")
    refusal = serializers.SerializerMethodField(help_text="Why he may not; empty where he may, or it is decided.")

    class Meta:
        model = Approval
        fields = (
            *(
                "approval_id",
                "trace_id",
                "trace_name",
                "action",
                "tool_name",
                "risk_level",
                "requested_at",
                "expires_at",
            ),
            *("decision", "decided_at", "decided_by_name", "channel", "comment", "can_decide", "refusal"),
        )
        read_only_fields = fields

    def get_trace_name(self, approval: Approval) -> str:
        """Of the traces in the context."""
        trace = self.context["traces"].get(approval.trace_id)
        return "" if trace is None else str(trace.name)

    def get_can_decide(self, approval: Approval) -> bool:
        """As the decision itself is judged."""
        return not approval.decision and not self._refusal(approval)

    def get_refusal(self, approval: Approval) -> str:
        """In the words that a decision would be refused with."""
        return "" if approval.decision else self._refusal(approval)

    def _refusal(self, approval: Approval) -> str:
        return why_not_decide(self.context["request"], approval, self.context["view"])


class StateSerializer(serializers.Serializer[Any]):
    """Which of them."""

    state = serializers.ChoiceField(choices=("open", "decided"), default="open")


class OpenApprovalsView(DoorView):
    """The approvals that wait for a decision, or that were decided, of the traces that the requester may watch."""

    permission_classes = (MaySeeSignals,)
    queryset = Trace.objects.none()

    def get(self, request: Request) -> Response:
        """200 with at most 100; ``more`` tells of others that may be there.

        ``state=open``: those first whose time is over first. ``state=decided``: the newest first.
        """
        asked = StateSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        if asked.validated_data["state"] == "open":
            wanted = open_approvals().order_by("expires_at", "pk")
        else:
            wanted = approvals().exclude(decision="")
        found, more = self._seen(wanted)
        traces = find_traces({approval.trace_id for approval in found})
        context = {"request": request, "view": self, "traces": traces}
        shown = ListedApprovalSerializer(found[:MAX_OPEN], many=True, context=context).data
        return Response({"now": datetime.now(UTC), "approvals": shown, "more": more})

    def _seen(self, wanted: QuerySet[Approval]) -> tuple[list[Approval], bool]:
        """Those of traces that may be watched, and whether there may be others."""
        traces = traces_to_watch(self.request, Trace.objects.using(database()).all(), self)
        if traces is None:
            return self._judged(wanted)
        if not may_watch_all(self.request, self):
            wanted = wanted.filter(trace_id__in=traces.order_by().values("trace_id"))
        found = list(wanted[: MAX_OPEN + 1])
        return found, len(found) > MAX_OPEN

    def _judged(self, waiting: QuerySet[Approval]) -> tuple[list[Approval], bool]:
        """Those whose traces may be watched, each trace judged once, and no more than so many of them."""
        allowed: dict[str, bool] = {}
        found: list[Approval] = []
        for approval in waiting.iterator(chunk_size=MAX_OPEN):
            trace_id = approval.trace_id
            if trace_id not in allowed:
                if len(allowed) == MAX_JUDGED:
                    return found, True
                allowed[trace_id] = may_watch(self.request, find_trace(trace_id), self)
            if allowed[trace_id]:
                found.append(approval)
                if len(found) > MAX_OPEN:
                    return found, True
        return found, False


class ApprovalView(TraceView):
    """One approval: 200 when it is decided so, now or before; 409 when it is decided otherwise."""

    serializer_class = DecisionSerializer

    def get(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """What is asked, for those who may watch the trace."""
        trace = self.watched_trace()
        try:
            approval = find_approval(trace.trace_id, approval_id)
        except ApprovalNotFoundError as error:
            raise NotFound(str(error)) from None
        return Response(ApprovalSerializer(approval).data)

    def post(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """Decide."""
        trace = self.watched_trace()
        said = DecisionSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        try:
            approval = decide_as(request, trace.trace_id, approval_id, said.validated_data, "api")
        except ApprovalNotFoundError as error:
            raise NotFound(str(error)) from None
        except InvalidDecisionError as error:
            raise ValidationError({"detail": str(error)}) from None
        except ApprovalConflictError as error:
            raise Conflict({"detail": str(error), "decision": error.decision}) from None
        return Response(ApprovalSerializer(approval).data)
