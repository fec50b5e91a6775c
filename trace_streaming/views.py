"""What speaks HTTP: the health of this process."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Any

from django.db import connections
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .conf import conf
from .hub import connections_by_trace
from .publisher import new_channel_layer
from .store import database


class HealthView(APIView):
    """Whether this process can serve, and whom it serves. Never slower than its timeout, whatever hangs."""

    authentication_classes: Sequence[type[BaseAuthentication]] = ()  # would need the database
    permission_classes = (AllowAny,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """JSON, whatever the client accepts."""
        return super().perform_content_negotiation(request, force=True)

    def get(self, request: Request) -> Response:
        """200 when the database and the channel layer answer in time, otherwise 503."""
        deadline = monotonic() + conf.HEALTH_TIMEOUT_SECONDS
        probes = [_database_probe.start(), _layer_probe.start()]
        healthy = all(_answers(probe, deadline) for probe in probes)
        connections_now = connections_by_trace()
        return Response(
            {
                "status": "healthy" if healthy else "unhealthy",
                "service": "trace-streaming",
                "active_connections": sum(connections_now.values()),
                "active_traces": sorted(connections_now)[:10],
            },
            status=status.HTTP_200_OK if healthy else status.HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Cache-Control": "no-store"},
        )


class _Probe:
    """One check in a thread. While it hangs, everybody waits for that one: requests pile up no threads."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._running: Future[None] | None = None

    def start(self) -> Future[None]:
        """The check that is running, or a new one."""
        if self._running is None or self._running.done():
            self._running = Future()
            # A daemon, which a pool's threads are not: a check that hangs must not keep the process from ending.
            threading.Thread(target=self._run, args=(self._running,), name="trace-health", daemon=True).start()
        return self._running

    def _run(self, result: Future[None]) -> None:
        try:
            self._check()
        except Exception as error:
            result.set_exception(error)
        else:
            result.set_result(None)


def _answers(probe: Future[Any], deadline: float) -> bool:
    try:
        probe.result(max(deadline - monotonic(), 0))
    except Exception:
        return False
    return True


def check_database() -> None:
    """Run a query; raises what the database raises."""
    connection = connections[database()]
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


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


_database_probe = _Probe(check_database)
_layer_probe = _Probe(check_channel_layer)
