"""What is measured: each an ASGI application or a script, written in the plainest way that its documentation teaches.

All of them serve a WebSocket at any path but ``/emit``; ``/emit?count=&size=&pause_ms=`` makes them send events to
every client, and answers when they have been handed over; those that know traces send each to ``traces=`` of them. An
event is the text of ``event_text`` wherever the peer has no format of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

RECORDING = Path(__file__).parents[2] / "cuga_site/recordings/swe-agent-marshmallow-1867.jsonl"
PADDING = RECORDING.read_text() * 8
"""An agent's thoughts and outputs."""


def details(number: int, size: int) -> dict[str, Any]:
    """What an event carries: its number, when it was sent (ns), and padding up to about ``size`` bytes in all."""
    return {"n": number, "sent": time.time_ns(), "text": PADDING[: max(size - 200, 0)]}


def event_text(number: int, size: int, trace: str = "t") -> str:
    """An event as ours looks on the wire."""
    event = {
        "event": "tool_call_complete",
        "trace_id": trace,
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "details": details(number, size),
        "status": "success",
        "sequence": number,
    }
    return json.dumps(event, separators=(",", ":"))


class Order:
    """What ``/emit`` asks for."""

    def __init__(self, query_string: str) -> None:
        query = {name: values[0] for name, values in parse_qs(query_string).items()}
        first = int(query.get("first", "0"))
        self.traces = [f"t-{first + n}" for n in range(int(query.get("traces", "0")))] or ["t"]
        self.count = int(query.get("count", "1"))
        self.size = int(query.get("size", "300"))
        self.pause = float(query.get("pause_ms", "0")) / 1000

    async def numbers(self) -> AsyncIterator[int]:
        """1 to count, at the pace that was asked for."""
        for number in range(1, self.count + 1):
            yield number
            if self.pause:
                await asyncio.sleep(self.pause)


def collect_seldom() -> None:
    """What the site's ``asgi.py`` does of it, for all: Python looks through what lives for garbage less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 100)


async def answer(send: Any) -> None:
    """200, as ASGI says it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
