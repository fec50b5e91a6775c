"""Several serving and several emitting processes on one database, with or without Redis."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import psycopg
import pymysql

from tests.live.servers import KINDS, ROOT, Server, migrated_file
from tests.live.services import Redis, Service
from tests.live.watching import V1, WAIT_SECONDS, Watcher

LAYERS = {
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
}

MARKER = "m4rker-0f-a-payload"
"""A part of every event that the processes emit."""


Log = list[tuple[int, dict[str, Any]]]
"""Sequence and details of what is stored."""


def read_log(database_url: str, trace_id: str) -> Log:
    """By plain SQL."""
    return read_logs(database_url, [trace_id])[trace_id]


def read_logs(database_url: str, trace_ids: Collection[str]) -> dict[str, Log]:
    """Of some traces."""
    sql = (
        "SELECT sequence, text FROM trace_streaming_event"
        " WHERE trace_id = (SELECT id FROM trace_streaming_trace WHERE trace_id = '{}') ORDER BY sequence"
    )
    logs = {}
    with closing(_connected(database_url)) as database, closing(database.cursor()) as cursor:
        for trace_id in trace_ids:
            cursor.execute(sql.format(trace_id))
            logs[trace_id] = [(sequence, json.loads(text)["details"]) for sequence, text in cursor.fetchall()]
    return logs


def _connected(database_url: str) -> Any:
    match urlsplit(database_url):
        case SplitResult(scheme="sqlite", path=path):
            return sqlite3.connect(path[1:])
        case SplitResult(scheme="mysql") as url:
            where = {"host": url.hostname, "port": url.port, "user": url.username, "database": url.path[1:]}
            return pymysql.connect(**where)
        case _:
            return psycopg.connect(database_url)


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
        self.last_emitted = self.last_stored = 0
        """Numbers of the newest event that it is known to have emitted, and to have stored."""
        self._process = process

    async def emit(self, *trace_ids: str, count: int | None, pause: float = 0, tell: bool = False) -> None:
        """Begin to emit ``count`` events into each of the traces, or to emit until told to stop.

        :param tell: whether it says of each event that it is emitted, and that it is stored
        """
        await self._write({"traces": trace_ids, "count": count, "pause": pause, "by": self.name, "tell": tell})

    async def stop_emitting(self) -> None:
        """Stop before ``count`` is reached."""
        await self._write(None)

    async def says(self, *words: str) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            for word in words:
                assert await self._word() == word

    async def stored(self) -> None:
        """Wait until all of one ``emit`` is in the database."""
        await self.says("emitted", "stored")

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._ended()

    async def end_by(self, signal_number: int) -> int:
        """Send it a signal that ends it; return the code that it ended with."""
        self._process.send_signal(signal_number)
        while await self._word():
            pass
        return await self._ended()

    async def _ended(self) -> int:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise

    async def _write(self, command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def _word(self) -> str:
        """The next word that is not about one event; empty at the end."""
        assert self._process.stdout is not None
        while True:
            match (await self._process.stdout.readline()).decode().split():
                case ["emitted", number]:
                    self.last_emitted = int(number)
                case ["stored", number]:
                    self.last_stored = int(number)
                case [word]:
                    return word
                case _:
                    return ""


class Site:
    """Two serving processes, usually a daphne and a uvicorn, and any number that emit, on one database.

    Without a layer they have none in common; without a server of its own their database is a file.
    """

    def __init__(
        self,
        folder: Path,
        layer: str,
        redis: Redis | None = None,
        database: Service | None = None,
        environment: Mapping[str, str] | None = None,
        kinds: Sequence[str] = KINDS,
    ) -> None:
        self.redis, self.database = redis, database
        self.folder = folder
        self.database_file = folder / "db.sqlite3"
        self.servers: list[Worker] = []
        self._processes = 0
        shared = {"DATABASE_URL": database.url if database else f"sqlite:///{self.database_file}"}
        if redis:
            shared |= {"REDIS_URL": redis.url, "TEST_CHANNEL_LAYER": LAYERS[layer]}
        if database is None:
            shutil.copy(migrated_file(), self.database_file)
        elif layer == "core":
            shared["TEST_DATABASE_POOL"] = "1"
        for number, kind in enumerate(kinds):
            place = folder / f"{kind}-{number}"
            place.mkdir()
            self.servers.append(Worker(kind, place, {**shared, **(environment or {})}))

    def start(self) -> None:
        self.each(Worker.start)

    def stop(self) -> None:
        """End all servers. Whatever went wrong, no process has logged what an event holds."""
        self.each(Worker.stop)
        self._check_logs()

    def each(self, function: Callable[[Worker], object]) -> None:
        """Do something to all servers at the same time."""
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

    async def start_emitting(self) -> Emitting:
        with (self.folder / "emitting.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.live.emitting"),
                cwd=ROOT,
                env=self.servers[0].env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._processes += 1
        return Emitting(f"{MARKER} {self._processes}", process)

    def _check_logs(self) -> None:
        logs = [server.log for server in self.servers] + [path.read_text() for path in self.folder.glob("emitting.log")]
        assert not [line for log in logs for line in log.splitlines() if MARKER in line]

    def log(self, trace_id: str) -> Log:
        return self.logs([trace_id])[trace_id]

    def logs(self, trace_ids: Collection[str]) -> dict[str, Log]:
        return read_logs(self.servers[0].shared["DATABASE_URL"], trace_ids)

    @asynccontextmanager
    async def emitting(self, count: int = 1) -> AsyncIterator[list[Emitting]]:
        async with AsyncExitStack() as stack:
            processes = []
            for _ in range(count):
                processes.append(await self.start_emitting())
                stack.push_async_callback(processes[-1].end)
            yield processes
