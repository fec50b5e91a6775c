"""What can go wrong while a site serves and emits: each has begun and is over when its function returns."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psutil
import psycopg

from tests.live.services import Postgres, Redis, Service
from tests.live.sites import Emitting, Site, Worker
from tests.live.system_services import MariaDB
from tests.live.watching import Watcher, cut

OUTAGE_SECONDS = 1.5
"""How long something is away, hangs or is locked: the outage itself is what is tested."""
CUTS = 3


@dataclass
class Part:
    """What one process emits in a run."""

    process: Emitting
    traces: Sequence[str]
    pause: float = 0.01
    """Seconds between an event for each of the traces and the next."""
    before: int = 0
    """The number of the last event that it emitted before."""
    ended: bool = False
    last: int = 0
    """The number of the last event that must not be lost."""

    async def begin(self) -> None:
        """Emit until told to stop."""
        self.before = self.process.last_emitted
        await self.process.emit(*self.traces, count=None, pause=self.pause, tell=True)

    async def finish(self) -> None:
        """Stop, and wait until all is stored."""
        await self.process.stop_emitting()
        await self.process.stored()
        self.last = self.process.last_emitted


@dataclass
class Run:
    """A site that emits and is watched, and into which a fault is injected."""

    site: Site
    parts: list[Part]
    watchers: Sequence[Watcher]

    @property
    def redis(self) -> Redis:
        assert self.site.redis is not None
        return self.site.redis

    @property
    def database(self) -> Service:
        assert self.site.database is not None
        return self.site.database


Fault = Callable[[Run], Awaitable[None]]


async def nothing(run: Run) -> None:
    """The baseline."""


async def emitter_ends(signal_number: int, run: Run) -> None:
    """Another process goes on in its place. What a killed one had not stored yet is not promised."""
    part = run.parts[0]
    part.ended = True
    assert await part.process.end_by(signal_number) == -signal_number
    part.last = part.process.last_stored if signal_number == signal.SIGKILL else part.process.last_emitted
    run.parts.append(Part(await run.site.start_emitting(), part.traces, part.pause))
    await run.parts[-1].begin()


async def redis_restarts(run: Run) -> None:
    await asyncio.to_thread(run.redis.restart)


async def redis_is_away(run: Run) -> None:
    run.redis.kill()
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(run.redis.start)


async def hang(processes: Sequence[psutil.Process]) -> None:
    def each(what: Callable[[psutil.Process], None]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it was about to end
                what(process)

    each(psutil.Process.suspend)
    try:
        await asyncio.sleep(OUTAGE_SECONDS)
    finally:
        each(psutil.Process.resume)


async def redis_hangs(run: Run) -> None:
    await hang(run.redis.family())


async def database_restarts(end: Callable[[Any], None], run: Run) -> None:
    await asyncio.to_thread(end, run.database)
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(run.database.start)


async def database_hangs(run: Run) -> None:
    parent = run.database.family()[0]
    parent.suspend()  # first, so that no more children come
    await hang(run.database.family())


async def postgres_takes_no_writes(run: Run) -> None:
    """As a replica behind a failover, until it is promoted."""

    def set_to(value: LiteralString) -> None:
        with psycopg.connect(run.database.url, autocommit=True) as database:
            database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            database.execute("SELECT pg_reload_conf()")

    await asyncio.to_thread(set_to, "on")
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(set_to, "off")


async def postgres_lacks_a_migration(run: Run) -> None:
    """As where the code is new already, and the tables are old."""

    def rename(before: LiteralString, after: LiteralString) -> None:
        with psycopg.connect(run.database.url, autocommit=True) as database:
            database.execute(f"ALTER TABLE trace_streaming_event RENAME COLUMN {before} TO {after}")

    await asyncio.to_thread(rename, "measure", "later")
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(rename, "later", "measure")


async def sqlite_is_locked(run: Run) -> None:
    with closing(sqlite3.connect(run.site.database_file, isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(OUTAGE_SECONDS)


async def servers_are_killed(run: Run) -> None:
    """All at once."""

    def kill(server: Worker) -> None:
        server.stop(signal.SIGKILL)
        server.start()

    await asyncio.to_thread(run.site.each, kill)


async def servers_restart(run: Run) -> None:
    """One after the other, in order."""
    for server in run.site.servers:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)


async def servers_hang(run: Run) -> None:
    await hang([server.as_psutil for server in run.site.servers])


async def connections_are_cut(run: Run) -> None:
    for times in range(1, CUTS + 1):
        for watcher in run.watchers:
            assert watcher.socket is not None
            cut(watcher.socket)
        await asyncio.gather(*(watcher.connected(times + 1) for watcher in run.watchers))


ALWAYS: dict[str, Fault] = {
    "none": nothing,
    "emitting process killed": partial(emitter_ends, signal.SIGKILL),
    "emitting process terminated": partial(emitter_ends, signal.SIGTERM),
    "servers killed": servers_are_killed,
    "servers restarted one by one": servers_restart,
    "servers hang": servers_hang,
    "connections cut": connections_are_cut,
}
OF_REDIS: dict[str, Fault] = {
    "Redis restarts": redis_restarts,
    "Redis away": redis_is_away,
    "Redis hangs": redis_hangs,
}
OF_POSTGRES: dict[str, Fault] = {
    "PostgreSQL stopped": partial(database_restarts, Postgres.stop),
    "PostgreSQL crashes": partial(database_restarts, Postgres.kill),
    "PostgreSQL hangs": database_hangs,
    "PostgreSQL read-only": postgres_takes_no_writes,
    "a migration missing": postgres_lacks_a_migration,
}
OF_MARIADB: dict[str, Fault] = {
    "MariaDB stopped": partial(database_restarts, MariaDB.stop),
    "MariaDB crashes": partial(database_restarts, MariaDB.kill),
    "MariaDB hangs": database_hangs,
}
OF_SQLITE: dict[str, Fault] = {"SQLite locked": sqlite_is_locked}
OF_DATABASE = {"SQLite": OF_SQLITE, "PostgreSQL": OF_POSTGRES, "MariaDB": OF_MARIADB}


def faults(layer: str, database: str) -> dict[str, Fault]:
    """What can go wrong with this channel layer and this database."""
    return ALWAYS | (OF_REDIS if layer != "none" else {}) | OF_DATABASE[database]
