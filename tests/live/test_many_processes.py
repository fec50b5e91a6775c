"""Several serving and several emitting processes on one database, and what they share dies and comes back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live.conftest import StartSite
from tests.live.services import Postgres, Redis
from tests.live.watching import WAIT_SECONDS, all_have, watching

EACH_LAYER = pytest.mark.parametrize("layer", ["pubsub", pytest.param("core", marks=pytest.mark.thorough)])
LIVE_SECONDS = 5.0
"""What comes through Redis comes well within this, also on a busy machine; of several events that wait for a look at
the heads, which comes every 10 seconds, all but the first do not."""
IDLE_SECONDS = 5.25
"""A little more than redis-py's read timeout. A hub that this cuts off says so."""


@EACH_LAYER
@pytest.mark.takes(seconds=10)
async def test_an_event_of_another_process_arrives_at_once_also_after_an_idle_time(
    start_site: StartSite, trace_id: str, layer: str
) -> None:
    """Redis carries the news: redis-py's 5 seconds without a message do not make anybody wait for the look."""
    site = start_site(layer)  # it looks at the heads every 10 seconds
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:

        async def emit_one_by_one(first: int) -> None:
            for number in range(first, first + 5):
                await process.emit(trace_id, count=1)
                await process.stored()
                await all_have(watchers, number)
                assert max(watcher.delays[-1] for watcher in watchers) < LIVE_SECONDS

        await emit_one_by_one(1)
        await asyncio.sleep(IDLE_SECONDS)  # the idle time itself is what is tested
        await emit_one_by_one(6)
    for watcher in watchers:
        watcher.got_each_once(10)
    for server in site.servers:
        assert "The channel layer fails" not in server.log, server.log


@EACH_LAYER
@pytest.mark.takes(seconds=10)
async def test_while_redis_is_away_watchers_get_events_through_the_looks_and_are_live_again_after_it(
    start_site: StartSite, redis: Redis, trace_id: str, layer: str
) -> None:
    """Invariant 2 without the channel layer: the log is the database, and Redis only makes it quick."""
    look_seconds = 2.0
    site = start_site(layer, TEST_HEAD_CHECK_SECONDS=str(look_seconds))
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:
        await process.emit(trace_id, count=300, pause=0.01)
        await all_have(watchers, 50)
        redis.kill()
        await all_have(watchers, 200)
        redis.start()
        await process.stored()
        await all_have(watchers, 300)
        count, quick_in_a_row = 300, 0
        async with asyncio.timeout(WAIT_SECONDS):
            while quick_in_a_row < 5:
                count += 1
                await process.emit(trace_id, count=1)
                await process.stored()
                await all_have(watchers, count)
                # By looks alone, each of these would take all of the time between two looks.
                is_quick = max(watcher.delays[-1] for watcher in watchers) < look_seconds / 4
                quick_in_a_row = quick_in_a_row + 1 if is_quick else 0
    for watcher in watchers:
        watcher.got_each_once(count)
    for server in site.servers:
        # Invariant 9, once per burst: when Redis goes, and when a connection of before is used again.
        assert server.log.count("The channel layer fails") <= 2, server.log


@EACH_LAYER
async def test_a_process_whose_sockets_read_redis_is_healthy(start_site: StartSite, trace_id: str, layer: str) -> None:
    """The health check and the hub read the layer side by side, on two event loops."""
    site = start_site(layer)
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:
        for server in site.servers:
            health = await asyncio.to_thread(server.get, "/ws/health")
            assert health["status"] == "healthy"
            assert 2 <= health["active_connections"] <= 4  # of the other process, what it has said last
        await process.emit(trace_id, count=1)
        await process.stored()
        await all_have(watchers, 1)
    for server in site.servers:
        # A machine that is busy with other tests may be slower than a layer is waited for.
        assert not re.search(r"fails \((?!TimeoutError)", server.log), server.log


@pytest.mark.takes(seconds=10)
@pytest.mark.parametrize(
    ("end", "layer"), [(Postgres.stop, "pubsub"), (Postgres.kill, "core")], ids=["stopped", "killed-pool"]
)
async def test_while_the_database_is_away_emitted_events_are_kept_and_sockets_stay(
    start_site: StartSite, postgres: Postgres, trace_id: str, end: Callable[[Postgres], None], layer: str
) -> None:
    """Invariants 2 and 3: emit goes on, nothing is lost, and no watcher is cut off.

    New ones are told to come again, unless nothing has to be asked for them; the handshake is not kept waiting for it.
    """
    site = start_site(layer, TEST_HEAD_CHECK_SECONDS="1")
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:
        await process.emit(trace_id, count=150, pause=0.01)
        await all_have(watchers, 50)
        end(postgres)
        await process.says("emitted")
        assert not any(len(watcher.received) == 150 for watcher in watchers)
        for server in site.servers:
            async with connect(server.url(f"{trace_id}-another"), open_timeout=4) as socket:
                assert orjson.loads(await socket.recv())["details"]["code"] == 4001
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
                assert socket.close_code == 4001
        postgres.start()
        await process.says("stored")
        await all_have(watchers, 150)
        await process.emit(trace_id, count=50)
        await process.stored()
        await all_have(watchers, 200)
    for watcher in watchers:
        watcher.got_each_once(200)
        assert watcher.connections == 1


@pytest.mark.thorough
@pytest.mark.takes(seconds=15)
async def test_processes_that_begin_a_trace_at_the_same_moment_lose_nothing(
    start_site: StartSite, trace_id: str
) -> None:
    """Invariant 1 from the first event on: whoever comes second goes on from the first one's number."""
    site = start_site("pubsub")
    traces = [f"{trace_id}-{number}" for number in range(150)]
    async with site.emitting(3) as processes:
        for trace in traces:
            for process in processes:
                await process.emit(trace, count=2)
            for process in processes:
                await process.stored()
    for trace in traces:
        assert [sequence for sequence, _ in site.log(trace)] == [1, 2, 3, 4, 5, 6]
