"""Real servers: a daphne or uvicorn process on a free port, with a database of its own."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil

from tests.live.services import free_port

START_SECONDS = STOP_SECONDS = 90
"""Patience with a machine that has others to serve."""
KINDS = ["daphne", "uvicorn"]
OTHER_KINDS = ["uvicorn with uvloop", "gunicorn", "hypercorn", "granian"]
"""uvicorn as ``uvicorn[standard]`` has it, and as gunicorn's worker; those behind them have no wire."""
ROOT = Path(__file__).resolve().parents[2]
UVICORN = ["-m", "uvicorn", "--loop", "asyncio"]
"""It takes uvloop where that is installed."""
UVICORN_ENTRANCES = [
    *("--ws", "trace_streaming.servers.uvicorn:WebSocketProtocol"),
    *("--http", "trace_streaming.servers.uvicorn:HttpProtocol"),
]


@cache
def migrated_file() -> Path:
    """The database of the site, empty, to be copied: to migrate one takes as long as many a test."""
    folder = Path(mkdtemp(prefix="trace-streaming-migrated-"))
    atexit.register(shutil.rmtree, folder)
    file = folder / "db.sqlite3"
    migrate({"DATABASE_URL": f"sqlite:///{file}"})
    return file


def migrate(shared: Mapping[str, str]) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.live.settings", **shared}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)


class Server:
    """One serving process; may be killed and started again on the same port."""

    project = ROOT
    options: Mapping[str, Sequence[str]] = {"uvicorn": ("--no-access-log",)}
    application = "cuga_site.asgi:application"

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.env = self.environment()
        self.port = free_port()
        self.migrate()

    def migrate(self) -> None:
        shutil.copy(migrated_file(), self.folder / "db.sqlite3")

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        database = f"sqlite:///{self.folder / 'db.sqlite3'}"
        return {**inherited, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.live.settings"}

    def command(self) -> list[str]:
        """Of its process, for Python."""
        port, here = str(self.port), f"127.0.0.1:{self.port}"
        if self.kind == "runserver":
            return ["manage.py", "runserver", "--noreload", here]
        command = {
            "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", port],
            "uvicorn": [*UVICORN, "--http", "h11", "--port", port],
            "uvicorn with uvloop": ["-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--port", port],
            "gunicorn": ["-m", "gunicorn", "--worker-class", "uvicorn_worker.UvicornWorker", "--bind", here],
            "hypercorn": ["-m", "hypercorn", "--bind", here],
            "granian": ["-m", "granian", "--interface", "asgi", "--port", port],
            "daphne by its entrance": ["-m", "trace_streaming.servers.daphne", "-b", "127.0.0.1", "-p", port],
            "uvicorn by its entrance": [*UVICORN, *UVICORN_ENTRANCES, "--port", port],
        }[self.kind]
        return [*command, *self.options.get(self.kind, ()), self.application]

    def start(self) -> None:
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command()], cwd=self.project, env=self.env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.02)  # between attempts to connect: a server does not say when it listens

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        self.process.send_signal(signal_number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def as_psutil(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` as in a second terminal."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=self.project, env=self.env, check=True, text=True, capture_output=True)

    def get(self, path: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", body, timeout=180) as response:
            return json.load(response)

    async def emit(self, trace_id: str, events: Iterable[Sequence[Any]]) -> None:
        """Emit [event, details, status] inside the serving process."""
        assert (await asyncio.to_thread(self.get, f"/emit/{trace_id}", json.dumps(list(events)).encode()))["stored"]

    async def emit_large(self, trace_id: str, count: int, size: int) -> None:
        """Emit events of this size inside the serving process."""
        assert (await asyncio.to_thread(self.get, f"/emit-large/{trace_id}/{count}/{size}"))["stored"]

    def url(self, trace_id: str, **query: object) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/traces/{trace_id}?" + "&".join(f"{k}={v}" for k, v in query.items())


def started(kind: str, folder: Path, server_class: type[Server] = Server) -> Iterator[Server]:
    server = server_class(kind, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        assert "Traceback" not in server.log, server.log
        assert "frame by frame" not in server.log, server.log


async def no_connections(server: Server) -> None:
    """Invariant 7: wait until every place on the server is free."""
    async with asyncio.timeout(START_SECONDS):
        while (await asyncio.to_thread(server.get, "/ws/health"))["active_connections"]:
            await asyncio.sleep(0.02)  # between looks: a server does not say when a connection has ended
