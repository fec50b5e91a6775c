"""trace_streaming on the demonstration site's settings: it redacts, stores and numbers every event."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.peers import Order, answer, details
from cuga_site.asgi import application as site
from trace_streaming import TraceEmitter


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The site, and ``/emit``."""
    if scope["type"] == "http" and scope["path"] == "/emit":
        order = Order(scope["query_string"].decode())
        await asyncio.to_thread(emit, order)
        await answer(send)
    else:
        await site(scope, receive, send)


def emit(order: Order) -> None:
    """As an agent does, in a thread of its own."""
    emitters = [TraceEmitter(trace) for trace in order.traces]
    for number in range(1, order.count + 1):
        for emitter in emitters:
            emitter.emit("tool_call_complete", details(number, order.size), "success")
        if order.pause:
            time.sleep(order.pause)
    emitters[-1].flush(60)
