"""Whether this process can serve, and whom all of them serve."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, Generic, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError
from django.db import connections
from django.utils.module_loading import import_string
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from trace_streaming.access.views import DoorView
from trace_streaming.conf import conf
from trace_streaming.models import Trace
from trace_streaming.servers.presence import Fleet, alone, fleet
from trace_streaming.storage.store import database
from trace_streaming.watching.channel_layer import new_channel_layer

T = TypeVar("T")


class HealthView(DoorView):
    """Whether this process can serve, and whom all serve. Never slower than its timeout, whatever hangs."""

    permission_classes = (AllowAny,)
    throttle_classes = ()
    has_pages = False

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """JSON, whatever the client accepts."""
        return super().perform_content_negotiation(request, force=True)

    def perform_authentication(self, request: Request) -> None:
        """Not before somebody asks for the user: it needs the database."""

    def get(self, request: Request) -> Response:
        """200 when the database and the channel layer answer in time, otherwise 503."""
        deadline = monotonic() + conf.HEALTH_TIMEOUT_SECONDS
        fleet, layer = _fleet_probe.start(), _layer_probe.start()
        healthy = _answers(fleet, deadline) and _answers(layer, deadline)
        watched = fleet.result() if _answers(fleet, deadline) else alone()
        return Response(
            {
                "status": "healthy" if healthy else "unhealthy",
                "service": "trace-streaming",
                "active_connections": watched.connections,
                "active_traces": watched.first_traces if healthy and self._may_see_traces(request) else [],
            },
            status=status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE,
        )

    def _may_see_traces(self, request: Request) -> bool:
        permissions = [import_string(path)() for path in conf.HEALTH_PERMISSION_CLASSES]
        try:
            return all(permission.has_permission(request, self) for permission in permissions)
        except (APIException, PermissionDenied, DatabaseError):
            return False


class _Probe(Generic[T]):
    """One check in a thread. While it hangs, everybody waits for that one: requests pile up no threads."""

    def __init__(self, check: Callable[[], T]) -> None:
        self._check = check
        self._running: Future[T] | None = None

    def start(self) -> Future[T]:
        """The check that is running, or a new one."""
        if self._running is None or self._running.done():
            running = Future[T]()
            # A daemon, which a pool's threads are not: a check that hangs must not keep the process from ending.
            threading.Thread(target=self._run, args=(running,), name="trace-health", daemon=True).start()
            self._running = running
        return self._running

    def _run(self, result: Future[T]) -> None:
        try:
            found = self._check()
        except Exception as error:
            result.set_exception(error)
        else:
            result.set_result(found)


def _answers(probe: Future[Any], deadline: float) -> bool:
    try:
        probe.result(max(deadline - monotonic(), 0))
    except Exception:
        return False
    return True


def ask_database() -> Fleet:
    """Look for traces with their owners, and count the fleet; raises what the database raises."""
    try:
        Trace.objects.using(database()).select_related("owner").first()
        return fleet()
    finally:
        connections[database()].close()


def check_channel_layer() -> None:
    """Send a message through the channel layer and receive it; raises what the layer raises."""
    asyncio.run(_round_trip())


async def _round_trip() -> None:
    layer = new_channel_layer()
    word = secrets.token_hex(4)
    async with asyncio.timeout(conf.HEALTH_TIMEOUT_SECONDS):
        channel = await layer.new_channel()
        await layer.send(channel, {"type": "trace.health", "word": word})
        while (await layer.receive(channel)).get("word") != word:
            pass


_fleet_probe = _Probe(ask_database)
_layer_probe = _Probe(check_channel_layer)
