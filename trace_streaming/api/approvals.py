"""Approvals over HTTP: what a trace's agent has asked, and the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from trace_streaming.access.authentication import authenticators
from trace_streaming.approvals.decisions import approvals, decide_as, find_approval
from trace_streaming.exceptions import ApprovalConflictError, ApprovalNotFoundError, InvalidDecisionError
from trace_streaming.models import Approval, Trace
from trace_streaming.permissions import MaySeeSignals, find_trace, may_watch, may_watch_all, traces_to_watch
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow

MAX_OPEN: Final = 100


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
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


class Conflict(APIException):
    """Somebody has decided differently, or the time is over."""

    status_code = status.HTTP_409_CONFLICT


class ApprovalsView(ListAPIView[Approval]):
    """The approvals of a trace, newest first, for those who may watch it."""

    serializer_class = ApprovalSerializer
    permission_classes = (AllowAny,)  # the trace's own are asked
    queryset = Approval.objects.none()

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def get_queryset(self) -> QuerySet[Approval]:
        """Of the trace that the URL names."""
        trace_id = self.kwargs["trace_id"]
        if not may_watch(self.request, find_trace(trace_id), self):
            self.permission_denied(self.request)
        return approvals().filter(trace_id=trace_id)


class OpenApprovalSerializer(serializers.ModelSerializer[Approval]):
    """What a list of those that wait says of one: not the arguments, which may be large."""

    class Meta:
        model = Approval
        fields = ("approval_id", "trace_id", "action", "tool_name", "risk_level", "requested_at", "expires_at")
        read_only_fields = fields


class OpenApprovalsView(APIView):
    """The approvals that wait for a decision, of the traces that the requester may watch."""

    permission_classes = (MaySeeSignals,)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def get(self, request: Request) -> Response:
        """200 with at most 100, those first whose time is over first."""
        waiting = approvals().filter(decision="", expires_at__gt=UtcNow()).order_by("expires_at", "pk")
        traces = traces_to_watch(request, Trace.objects.using(database()).all())
        if traces is not None and not may_watch_all(request, self):
            waiting = waiting.filter(trace_id__in=traces.order_by().values("trace_id"))
        found: Sequence[Approval] = list(waiting[:MAX_OPEN])
        if traces is None:
            found = [approval for approval in found if may_watch(request, find_trace(approval.trace_id), self)]
        shown = OpenApprovalSerializer(found, many=True).data
        return Response({"now": timezone.now(), "approvals": shown}, headers={"Cache-Control": "no-store"})


class ApprovalView(APIView):
    """One approval: 200 when it is decided so, now or before; 409 when it is decided otherwise."""

    permission_classes = (AllowAny,)  # the trace's and the approval's own are asked
    serializer_class = DecisionSerializer

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def get(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """What is asked, for those who may watch the trace."""
        if not may_watch(request, find_trace(trace_id), self):
            self.permission_denied(request)
        try:
            approval = find_approval(trace_id, approval_id)
        except ApprovalNotFoundError as error:
            raise NotFound(str(error)) from None
        return Response(ApprovalSerializer(approval).data, headers={"Cache-Control": "no-store"})

    def post(self, request: Request, trace_id: str, approval_id: str) -> Response:
        """Decide."""
        said = DecisionSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        try:
            approval = decide_as(request, trace_id, approval_id, said.validated_data, "api")
        except ApprovalNotFoundError as error:
            raise NotFound(str(error)) from None
        except InvalidDecisionError as error:
            raise ValidationError({"detail": str(error)}) from None
        except ApprovalConflictError as error:
            raise Conflict({"detail": str(error), "decision": error.decision}) from None
        return Response(ApprovalSerializer(approval).data)
