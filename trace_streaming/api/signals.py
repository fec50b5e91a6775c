"""Golden signals over HTTP: of one trace, and of all that a user may see."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.views import DoorView
from trace_streaming.analytics.series import MAX_STEPS, series_signals, tool_signals, usual_step
from trace_streaming.analytics.windows import trace_signals, window_signals
from trace_streaming.models import Trace
from trace_streaming.permissions import VIEW_TRACE, MaySeeSignals, has_perm, may_watch_all

from .access import TraceView
from .fields import UtcDateTimeField

MAX_SECONDS = 366 * 86400
METADATA_PREFIX = "metadata."
MAX_PLACE = 2**31
MAX_KEYS = 50


class WindowSerializer(serializers.Serializer[Any]):
    """The query of a window; ``metadata.KEY=TEXT`` may be asked for, too."""

    owner = serializers.CharField(required=False, help_text="Primary key of a user; `me` is the one who asks.")
    tool = serializers.CharField(required=False)
    last = serializers.IntegerField(
        default=3600, min_value=1, max_value=MAX_SECONDS, help_text="Seconds before `to`, where there is no `from`."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is no name in Python."""
        times = {
            name: UtcDateTimeField(required=False, help_text="ISO 8601, of the years 1970 to 9998")
            for name in ("from", "to")
        }
        return {**super().get_fields(), **times}


class SeriesSerializer(WindowSerializer):
    """The query of a series."""

    step = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_SECONDS, help_text="Seconds; without it, the window has at most 60."
    )


class ToolsSerializer(WindowSerializer):
    """The query of the tools of a window."""

    tool = None  # type: ignore[assignment]
    limit = serializers.IntegerField(default=10, min_value=1, max_value=100, help_text="At most so many in each list.")


class WindowSignalsView(DoorView):
    """Signals of a window: of all traces for those who may view all, otherwise of one's own."""

    permission_classes = (MaySeeSignals,)
    queryset = Trace.objects.none()
    query: type[WindowSerializer] = WindowSerializer

    def get(self, request: Request) -> Response:
        """200 with the signals; without ``from``, ``to`` and ``last``, of the last hour."""
        asked = self.query(data=request.query_params)
        asked.is_valid(raise_exception=True)
        query = dict(asked.validated_data)
        end: datetime = query.pop("to", None) or datetime.now(UTC)
        last = timedelta(seconds=query.pop("last"))
        start: datetime = query.pop("from", None) or end - last
        params = request.query_params.items()
        metadata = {key.removeprefix(METADATA_PREFIX): text for key, text in params if key.startswith(METADATA_PREFIX)}
        check_keys(metadata)
        query["owner"] = self._owner(request, query.get("owner"))
        return Response(self.signals(start, end, metadata=metadata, **query))

    def signals(self, start: datetime, end: datetime, **query: Any) -> dict[str, Any]:
        """What is answered."""
        return window_signals(start, end, **query)

    def _owner(self, request: Request, owner: str | None) -> object:
        """Whose traces are counted; None is everybody's."""
        user = request.user
        key = getattr(user, "pk", None)
        if owner == "me" and key is not None:
            return key
        if getattr(user, "is_staff", False) or has_perm(user, VIEW_TRACE) or may_watch_all(request, self):
            return None if owner is None else _primary_key(owner)
        if key is None or owner not in (None, str(key)):  # who has no key owns nothing, and is not everybody
            self.permission_denied(request, "You may see the signals of your own traces only")
        return key


class SeriesView(WindowSignalsView):
    """Signals over time, for the same users."""

    query = SeriesSerializer

    def signals(self, start: datetime, end: datetime, **query: Any) -> dict[str, Any]:
        """One set for each step."""
        step = query.pop("step", None) or usual_step(start, end)
        if (end - start).total_seconds() / step > MAX_STEPS:
            raise serializers.ValidationError({"step": [f"More than {MAX_STEPS} steps"]})
        return series_signals(start, end, step, **query)


class ToolsView(WindowSignalsView):
    """The slowest and the failing tools, for the same users."""

    query = ToolsSerializer

    def signals(self, start: datetime, end: datetime, **query: Any) -> dict[str, Any]:
        """Of the window's calls."""
        return tool_signals(start, end, **query)


class TraceSignalsView(TraceView):
    """Signals of one trace, for those who may watch it."""

    def get(self, request: Request, trace_id: str) -> Response:
        """200 with the signals, or 404."""
        return Response(trace_signals(self.stored_trace()))


def check_keys(metadata: Collection[str]) -> None:
    """Refuse a number that is no place in a list: Django asks for one, and databases have none so large, or below 0.

    And more keys than anybody asks for: a thousand are more than SQLite takes, which would seem to be away.
    """
    if len(metadata) > MAX_KEYS:
        raise serializers.ValidationError({METADATA_PREFIX + "KEY": [f"More than {MAX_KEYS} of them"]})
    for key in metadata:
        with suppress(ValueError):
            if not 0 <= int(key) < MAX_PLACE:
                raise serializers.ValidationError({METADATA_PREFIX + key[:64]: ["No key, and no place in a list"]})


def _primary_key(text: str) -> object:
    field = get_user_model()._meta.pk
    try:
        found = field.to_python(text)
        field.run_validators(found)  # of the numbers that the database has
        return found
    except DjangoValidationError:
        raise serializers.ValidationError({"owner": ["Not the primary key of a user"]}) from None
