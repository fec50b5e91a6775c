"""The WebSocket route, ``ws/traces/{trace_id}``; and what servers tell that begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from django.urls import re_path

from .connections import ending
from .consumers import TraceConsumer

# Any text is a trace id here: the consumer answers a bad one, where no route would be a server error.
websocket_urlpatterns = [re_path(r"^ws/traces/(?P<trace_id>(?s:.*))\Z", TraceConsumer.as_asgi())]


async def lifespan(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """For ``ProtocolTypeRouter``, as ``"lifespan"``: stores what was emitted before the server's process ends.

    daphne, which has no lifespan, and uvicorn see to that by themselves; others may end without Python's own end.
    """
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await ending.close_connections()
            await asyncio.to_thread(ending.end_process)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
