"""What calls of agents elsewhere say while they say it: passed on to who watches, and not stored."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.emitting.emitter import tell
from trace_streaming.emitting.project_events import redacted
from trace_streaming.emitting.text_streams import MOST_CHARACTERS
from trace_streaming.events import CALL_ID_PATTERN
from trace_streaming.events.deltas import TextDelta

from . import ingest
from .access import TextView


class DeltaSerializer(serializers.Serializer[Any]):
    """A piece of a call's text."""

    call_id = serializers.RegexField(rf"\A(?:{CALL_ID_PATTERN.pattern})\Z")
    offset = serializers.IntegerField(min_value=0, max_value=2**53)
    text = serializers.CharField(max_length=MOST_CHARACTERS, trim_whitespace=False)


class DeltasView(TextView):
    """Pieces of texts of a trace's calls."""

    serializer_class = DeltaSerializer

    def post(self, request: Request, trace_id: str) -> Response:
        """Tell who watches of a piece; its sender has redacted it, and it is redacted again."""
        trace = self.writable_trace()
        asked = DeltaSerializer(data=ingest.body_of(request))
        asked.is_valid(raise_exception=True)
        piece = asked.validated_data
        text = str(redacted({"text": piece["text"]}, trace.trace_id).get("text", ""))
        tell(TextDelta(trace.trace_id, piece["call_id"], piece["offset"], text))
        return Response(status=status.HTTP_204_NO_CONTENT)
