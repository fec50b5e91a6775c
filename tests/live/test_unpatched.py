"""Servers as they are: what the app changes of them is an advantage, and no need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.live.servers import KINDS, Server, no_connections, started
from tests.live.watching import PROFILES, collect, watch

EVENTS = [["tool_call_complete", {"n": n, "text": "ü" * n}, "success"] for n in range(300)]


@pytest.fixture(params=KINDS)
def unpatched(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("UNPATCHED", "1")
    yield from started(request.param, tmp_path)


@PROFILES
async def test_each_event_comes_once_through_asgi(unpatched: Server, trace_id: str, profile: str | None) -> None:
    """Stored before the socket opened, and behind that; the socket is closed as any other."""
    await unpatched.emit(trace_id, EVENTS[:150])
    async with AsyncExitStack() as stack:
        socket = await watch(stack, unpatched.url(trace_id, since=0), profile)
        await unpatched.emit(trace_id, EVENTS[150:])
        events = await collect(socket, len(EVENTS), seconds=60)
        assert [event["details"]["n"] for event in events] == list(range(len(EVENTS)))
        assert [event["sequence"] for event in events] == list(range(1, len(EVENTS) + 1))
    await no_connections(unpatched)
