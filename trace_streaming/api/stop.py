"""Requests to stop, over HTTP."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.exceptions import InvalidDecisionError, NotStoppableError
from trace_streaming.models import StopRequest, Trace
from trace_streaming.stopping.requests import may_stop, request_stop_as, standing

from .access import TraceView
from .conflicts import Conflict
from .fields import UtcModelSerializer


class StopRequestSerializer(UtcModelSerializer[StopRequest]):
    """What somebody has asked."""

    requested_by = serializers.CharField(source="requested_by_name", read_only=True)

    class Meta:
        model = StopRequest
        fields = ("requested_at", "requested_by", "channel", "comment", "is_standing")
        read_only_fields = fields


class StopSerializer(serializers.Serializer[Any]):
    """What asks."""

    comment = serializers.CharField(required=False, allow_blank=True, help_text="For the agent.")


class StopView(TraceView):
    """Whether a trace's run is asked to stop, and may be."""

    serializer_class = StopSerializer

    def get(self, request: Request, trace_id: str) -> Response:
        """For those who may watch it: the newest request, or null, and whether the requester may stop the run now."""
        trace = self.stored_trace()
        asked = standing(trace.trace_id)
        is_running = trace.state == Trace.State.RUNNING
        return Response(
            {
                "stop": None if asked is None else StopRequestSerializer(asked).data,
                "can_stop": is_running and may_stop(request, trace, self),
            }
        )

    def post(self, request: Request, trace_id: str) -> Response:
        """Ask; 200 also where it was asked before, 409 where the trace does not run."""
        trace = self.stored_trace()
        said = StopSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        try:
            asked = request_stop_as(request, trace.trace_id, said.validated_data.get("comment"), "api")
        except InvalidDecisionError as error:
            raise ValidationError({"comment": [str(error)]}) from None
        except NotStoppableError as error:
            raise Conflict({"detail": str(error)}) from None
        return Response(StopRequestSerializer(asked).data)
