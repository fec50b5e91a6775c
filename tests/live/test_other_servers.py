"""Delivery on other servers than daphne and uvicorn by itself: through ASGI alone, but for uvicorn in other forms."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.servers import OTHER_KINDS, Server, no_connections
from tests.live.test_delivery import (
    test_a_reader_that_stops_reading_delays_no_other,
    test_a_recorded_run_arrives_once_in_order_and_unchanged,
    test_details_of_25_kilobytes_and_more_arrive_whole,
)
from tests.live.test_going_away import COUNT
from tests.live.watching import PROFILES, Watcher, watching

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=15)]

__all__ = [
    "test_a_reader_that_stops_reading_delays_no_other",
    "test_a_recorded_run_arrives_once_in_order_and_unchanged",
    "test_details_of_25_kilobytes_and_more_arrive_whole",
]


@pytest.fixture(params=OTHER_KINDS)
async def server(request: pytest.FixtureRequest, shared_servers: Callable[[str], Server]) -> AsyncIterator[Server]:
    """As of the tests of delivery."""
    server = shared_servers(request.param)
    yield server
    await no_connections(server)


@pytest.fixture(params=OTHER_KINDS)
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server that a test ends."""
    server = Server(request.param, tmp_path)
    server.start()
    yield server
    server.stop()
    if server.kind != "hypercorn":  # which tells with a traceback of its own that it cuts connections off
        assert "Traceback" not in server.log, server.log


async def test_what_was_emitted_in_it_is_stored(own_server: Server, trace_id: str) -> None:
    """When it is told to end, and nobody has waited for it."""
    await asyncio.to_thread(own_server.get, f"/emit-and-return/{trace_id}/{COUNT}/server")
    await asyncio.to_thread(own_server.stop)
    with closing(sqlite3.connect(own_server.folder / "db.sqlite3")) as database:
        assert database.execute("SELECT COUNT(*) FROM trace_streaming_event").fetchone() == (COUNT,)


@PROFILES
async def test_clients_go_on_where_they_were(own_server: Server, trace_id: str, profile: str | None) -> None:
    """However their connections end with it."""
    async with watching(Watcher(own_server, trace_id, profile, comes_back=True)) as (watcher,):
        for life in (1, 2, 3):
            await watcher.connected(life)
            events = [["plan_created", {"by": "server", "number": 50 * (life - 1) + n}, "success"] for n in range(50)]
            await own_server.emit(trace_id, events)
            if life < 3:
                await asyncio.to_thread(own_server.stop)
                await asyncio.to_thread(own_server.start)
        await watcher.has(150)
    assert [event["sequence"] for event in watcher.received] == list(range(1, 151))
    assert [event["details"]["number"] for event in watcher.received] == list(range(150))
    codes = [frame.get("code", frame.get("details", {}).get("code")) for frame in watcher.other_frames]
    assert codes == ([4001, 4001] if own_server.kind in {"uvicorn with uvloop", "gunicorn"} else [])
