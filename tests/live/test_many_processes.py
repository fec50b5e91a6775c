"""Several serving and several emitting processes on one database, and what they share dies and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.live.conftest import KINDS, ROOT, Server
from tests.live.services import Postgres, Redis
from tests.live.test_delivery import V1, events

LAYERS = {
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
}
WAIT_SECONDS = 30
LIVE_SECONDS = 0.5
"""What comes through Redis comes well within this; what waits for a look at the heads does not."""
IDLE_SECONDS = 5.25
"""A little more than redis-py's read timeout. The hub comes back one second after that has cut it off, so an event
that comes now is late exactly when it did."""


class Worker(Server):
    """One of several serving processes on one database."""

    def __init__(self, kind: str, folder: Path, shared: dict[str, str]) -> None:
        self.shared = shared
        super().__init__(kind, folder)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "DJANGO_SETTINGS_MODULE": "tests.live.settings_processes", **self.shared}

    def migrate(self) -> None:
        """Done already, once for all."""


class Emitting:
    """A process that does nothing but emit."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    async def emit(self, *trace_ids: str, count: int, pause: float = 0) -> None:
        """Begin to emit ``count`` events into each of the traces."""
        command = {"traces": trace_ids, "count": count, "pause": pause, "by": self.name}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def says(self, *words: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_SECONDS):
            for word in words:
                assert (await self._process.stdout.readline()).decode().strip() == word

    async def stored(self) -> None:
        """Wait until all of one ``emit`` is in the database."""
        await self.says("emitted", "stored")

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise


@dataclass
class Watcher:
    """A client of one server and one trace; may come back after its connection broke, as a real one does."""

    server: Server
    trace_id: str
    profile: str | None
    comes_back: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    """Seconds from emit to arrival, by event."""
    other_frames: list[dict[str, Any]] = field(default_factory=list)
    """What says that something is missing or wrong."""
    connections: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        query: dict[str, object] = {"since": 0}
        while True:
            try:
                await self._watch(query)
            except (ConnectionClosed, InvalidHandshake, OSError):
                if not self.comes_back:
                    raise
                query["since"] = self.received[-1]["sequence"] if self.received else 0
                await asyncio.sleep(0.05)  # a client that comes back does not hammer

    async def _watch(self, query: dict[str, object]) -> None:
        url = self.server.url(self.trace_id, **query)
        subprotocols: Any = [self.profile] if self.profile else None
        async with connect(url, subprotocols=subprotocols, compression=None) as socket:
            connected = orjson.loads(await socket.recv())
            if connected["epoch"]:
                query["epoch"] = connected["epoch"]
            self.connections += 1
            self._changed.set()
            async for event in events(socket):
                if "sequence" in event:
                    self.received.append(event)
                    self.delays.append(time.time() - datetime.fromisoformat(event["timestamp"]).timestamp())
                else:
                    self.other_frames.append(event)
                self._changed.set()
        raise ConnectionClosed(None, None)

    async def connected(self) -> None:
        while not self.connections:
            await self._change()

    async def has(self, count: int) -> None:
        """Wait until this many events have come."""
        while len(self.received) < count:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        async with asyncio.timeout(WAIT_SECONDS):
            await self._changed.wait()

    def got_each_once(self, count: int) -> None:
        """Invariants 1 and 2: 1..n, and what each process emitted in the order it emitted it."""
        sequences = [event["sequence"] for event in self.received]
        assert sequences == list(range(1, count + 1)), f"{len(sequences)} of {count}, {_first_wrong(sequences)}"
        assert self.other_frames == []
        numbers = defaultdict[str, list[int]](list)
        for event in self.received:
            numbers[event["details"]["by"]].append(event["details"]["number"])
        assert all(of_one == sorted(set(of_one)) for of_one in numbers.values())


def _first_wrong(sequences: list[int]) -> str:
    wrong = next((n for n, sequence in enumerate(sequences, 1) if n != sequence), len(sequences) + 1)
    return f"wrong from {wrong}: {sequences[max(wrong - 3, 0) : wrong + 5]}"


@asynccontextmanager
async def watching(*watchers: Watcher) -> AsyncIterator[Sequence[Watcher]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher.run()) for watcher in watchers]
        await asyncio.gather(*(watcher.connected() for watcher in watchers))
        yield watchers
        for task in tasks:
            task.cancel()


async def all_have(watchers: Sequence[Watcher], count: int) -> None:
    await asyncio.gather(*(watcher.has(count) for watcher in watchers))


class Site:
    """A daphne and a uvicorn process, and any number that emit, on one database."""

    def __init__(self, folder: Path, shared: dict[str, str]) -> None:
        self.servers: list[Worker] = []
        for kind in KINDS:
            (folder / kind).mkdir()
            self.servers.append(Worker(kind, folder / kind, shared))

    def start(self) -> None:
        self._each(Worker.start)

    def stop(self) -> None:
        self._each(Worker.stop)

    def _each(self, function: Callable[[Worker], None]) -> None:
        with ThreadPoolExecutor(len(self.servers)) as threads:
            list(threads.map(function, self.servers))

    def watchers(self, *trace_ids: str, comes_back: bool = False) -> list[Watcher]:
        """One of each profile on each server, for each trace."""
        return [
            Watcher(server, trace_id, profile, comes_back)
            for server in self.servers
            for trace_id in trace_ids
            for profile in (None, V1)
        ]

    @asynccontextmanager
    async def emitting(self, count: int = 1) -> AsyncIterator[list[Emitting]]:
        command = [sys.executable, "-m", "tests.live.emitting"]
        async with AsyncExitStack() as stack:
            processes = []
            for number in range(count):
                process = await asyncio.create_subprocess_exec(
                    *command, cwd=ROOT, env=self.servers[0].env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
                processes.append(Emitting(f"process {number}", process))
                stack.push_async_callback(processes[-1].end)
            yield processes


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = Redis(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.stop()


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """Running, whatever the test before did to it."""
    redis_server.start()
    return redis_server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    postgres = Postgres(tmp_path_factory.mktemp("postgres"))
    try:
        postgres.start()
        migrate({"DATABASE_URL": postgres.url})
        yield postgres
        postgres.stop()
    finally:
        postgres.remove()


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """Running, whatever the test before did to it."""
    postgres_server.start()
    return postgres_server


def migrate(shared: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **shared}, check=True)


StartSite = Callable[..., Site]


@pytest.fixture
def start_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartSite]:
    """Starts the serving processes on a layer.

    ``pubsub`` goes with PostgreSQL, ``core`` with PostgreSQL and a connection pool, ``none`` with SQLite.
    """
    sites: list[Site] = []

    def start(layer: str, **environment: str) -> Site:
        if layer == "none":
            shared = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
            migrate(shared)
        else:
            redis: Redis = request.getfixturevalue("redis")
            postgres: Postgres = request.getfixturevalue("postgres")
            shared = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "TEST_CHANNEL_LAYER": LAYERS[layer]}
            if layer == "core":
                shared["TEST_DATABASE_POOL"] = "1"
        sites.append(Site(tmp_path, {**shared, **environment}))
        sites[0].start()
        return sites[0]

    yield start
    for site in sites:
        site.stop()


@pytest.mark.parametrize("layer", [*LAYERS, "none"])
async def test_three_processes_emit_into_the_same_trace_and_each_watcher_gets_each_event_once(
    start_site: StartSite, trace_id: str, layer: str
) -> None:
    """Invariants 1 and 2, across processes: one numbering, whoever emits; one order, whoever serves."""
    site = start_site(layer)
    own = [f"{trace_id}-{number}" for number in range(3)]
    async with site.emitting(3) as processes, watching(*site.watchers(trace_id, *own)) as watchers:
        for process, trace in zip(processes, own, strict=True):
            await process.emit(trace_id, trace, count=400, pause=0.001)
        of_all = [watcher for watcher in watchers if watcher.trace_id == trace_id]
        await all_have(of_all, 300)
        async with watching(*site.watchers(trace_id)) as late:
            for process in processes:
                await process.stored()
            await all_have([*of_all, *late], 1200)
        await all_have(watchers, 400)
    for watcher in [*watchers, *late]:
        watcher.got_each_once(1200 if watcher.trace_id == trace_id else 400)


@pytest.mark.parametrize("layer", LAYERS)
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


@pytest.mark.parametrize("layer", LAYERS)
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


@pytest.mark.parametrize("layer", LAYERS)
async def test_a_process_whose_sockets_read_redis_is_healthy(start_site: StartSite, trace_id: str, layer: str) -> None:
    """The health check and the hub read the layer side by side, on two event loops."""
    site = start_site(layer)
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:
        for server in site.servers:
            health = await asyncio.to_thread(server.get, "/ws/health")
            assert (health["status"], health["active_connections"]) == ("healthy", 2)
        await process.emit(trace_id, count=1)
        await process.stored()
        await all_have(watchers, 1)
    for server in site.servers:
        assert "fails" not in server.log, server.log


@pytest.mark.parametrize(
    ("end", "layer"), [(Postgres.stop, "pubsub"), (Postgres.kill, "core")], ids=["stopped", "killed-pool"]
)
async def test_while_the_database_is_away_emitted_events_are_kept_and_sockets_stay(
    start_site: StartSite, postgres: Postgres, trace_id: str, end: Callable[[Postgres], None], layer: str
) -> None:
    """Invariants 2 and 3: emit goes on, nothing is lost, and no watcher is cut off; new ones are told to come again."""
    site = start_site(layer, TEST_HEAD_CHECK_SECONDS="1")
    async with site.emitting() as (process,), watching(*site.watchers(trace_id)) as watchers:
        await process.emit(trace_id, count=150, pause=0.01)
        await all_have(watchers, 50)
        end(postgres)
        await process.says("emitted")
        assert not any(len(watcher.received) == 150 for watcher in watchers)
        for server in site.servers:
            async with connect(server.url(trace_id)) as socket:
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


async def test_clients_of_a_killed_server_resume_on_its_next_life_while_others_emit(
    start_site: StartSite, trace_id: str
) -> None:
    """Invariant 2 over a kill -9 of each server: since and epoch lead back to the place in the log."""
    site = start_site("pubsub")
    async with site.emitting() as (process,), watching(*site.watchers(trace_id, comes_back=True)) as watchers:
        await process.emit(trace_id, count=400, pause=0.01)
        for seen, server in zip([50, 200], site.servers, strict=True):
            await all_have(watchers, seen)
            server.stop(signal.SIGKILL)
            await asyncio.to_thread(server.start)
        assert not any(len(watcher.received) == 400 for watcher in watchers)
        await process.stored()
        await all_have(watchers, 400)
    for watcher in watchers:
        watcher.got_each_once(400)
        assert watcher.connections > 1
