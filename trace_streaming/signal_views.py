"""Golden signals over HTTP: of one trace, and of all that a user may see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .authentication import authenticators
from .permissions import VIEW_TRACE, find_trace, may_watch
from .signal_windows import trace_signals, window_signals

DEFAULT_WINDOW = timedelta(hours=1)
METADATA_PREFIX = "metadata."


class WindowSerializer(serializers.Serializer[Any]):
    """The query of a window; ``metadata.KEY=TEXT`` may be asked for, too."""

    owner = serializers.CharField(required=False, help_text="Primary key of a user; `me` is the one who asks.")
    tool = serializers.CharField(required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is no name in Python."""
        times = {
            name: serializers.DateTimeField(required=False, default_timezone=UTC, help_text="ISO 8601")
            for name in ("from", "to")
        }
        return {**super().get_fields(), **times}


class WindowSignalsView(APIView):
    """Signals of a window: of all traces for those who may view all, otherwise of one's own."""

    permission_classes = (IsAuthenticated,)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def get(self, request: Request) -> Response:
        """200 with the signals; without ``from`` and ``to``, of the last hour."""
        asked = WindowSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        query = asked.validated_data
        end: datetime = query.get("to") or datetime.now(UTC)
        start: datetime = query.get("from") or end - DEFAULT_WINDOW
        params = request.query_params.items()
        metadata = {key.removeprefix(METADATA_PREFIX): text for key, text in params if key.startswith(METADATA_PREFIX)}
        owner = self._owner(request, query.get("owner"))
        return Response(window_signals(start, end, owner=owner, tool=query.get("tool"), metadata=metadata))

    def _owner(self, request: Request, owner: str | None) -> object:
        """Whose traces are counted; None is everybody's."""
        user = request.user
        if owner == "me":
            return user.pk
        if user.is_staff or user.has_perm(VIEW_TRACE):
            return None if owner is None else _primary_key(owner)
        if owner is not None and owner != str(user.pk):
            self.permission_denied(request, "You may see the signals of your own traces only")
        return user.pk


class TraceSignalsView(APIView):
    """Signals of one trace, for those who may watch it."""

    permission_classes = (AllowAny,)  # the trace's own are asked

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The same as a socket's."""
        return authenticators()

    def get(self, request: Request, trace_id: str) -> Response:
        """200 with the signals, or 404."""
        trace = find_trace(trace_id)
        if not may_watch(request, trace, self):
            self.permission_denied(request)
        if trace.pk is None:
            raise NotFound
        return Response(trace_signals(trace))


def _primary_key(text: str) -> object:
    try:
        return get_user_model()._meta.pk.to_python(text)
    except DjangoValidationError:
        raise serializers.ValidationError({"owner": ["Not the primary key of a user"]}) from None
