"""Server and client processes, and what they cost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

import psutil

from bench.databases import ROOT, sqlite_in


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """One serving process on a free port.

    :param kind: ``daphne``, ``uvicorn``, or ``script`` for a module that serves by itself
    """

    def __init__(self, kind: str, application: str, options: Sequence[str] = (), **environment: str) -> None:
        self.port = free_port()
        self.greets = application.startswith("bench.peers.ours")
        """Whether it says something to each socket once that watches."""
        self.folder = Path(mkdtemp(prefix="bench-"))
        command = {
            "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "-v", "0", *options, application],
            "uvicorn": [
                *["-m", "uvicorn", "--loop", "asyncio", "--http", "h11", "--port", str(self.port)],
                *["--log-level", "warning", "--ws-per-message-deflate", "false"],
                *["--ws-ping-timeout", "600", *options, application],  # who reads for hundreds answers late
            ],
            "script": ["-m", application, str(self.port)],
        }[kind]
        self.env = {
            **os.environ,
            "DATABASE_URL": sqlite_in(self.folder),
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            **environment,
        }
        self.log = (self.folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log
        )
        self.usage = psutil.Process(self.process.pid)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def cpu_seconds(self) -> float:
        """User and system time that the process has used."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """What the process alone holds."""
        return int(self.usage.memory_full_info().uss)

    def emit(self, count: int, size: int = 300, pause_ms: float = 0, traces: int = 0, first: int = 0) -> None:
        """Have it send events; returns when they have been handed over.

        :param traces: so many, ``t-FIRST`` and on, get each event; 0 is the one that is called ``t``
        """
        query = f"count={count}&size={size}&pause_ms={pause_ms}&traces={traces}&first={first}"
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/emit?{query}", timeout=300) as response:
            response.read()

    def url(self, path: str = "/ws/traces/t", scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)


class Client:
    """A load client process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.client"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def connect(
        self, url: str, count: int, subprotocol: str = "", extensions: str = "", *, greets: bool = False
    ) -> None:
        """Open sockets, or streams of server-sent events (``http:``); ``{n}`` in the URL is each one's number.

        :param greets: wait until the server has said something to each
        """
        self._send("connect", url, count, subprotocol or "-", extensions or "-", "greets" if greets else "")
        self.answer()

    def expect(self, count: int, patience: float = 5, timed: str = "") -> None:
        """From now on, count; ``answer`` waits until each socket has so many events, or nothing comes any more.

        :param timed: ``last`` to measure how long an event takes to the last socket, ``each`` to each
        """
        self._send("expect", count, patience, timed)
        self.answer()

    def replay(self, url: str, count: int, subprotocol: str = "") -> dict[str, Any]:
        """Connect one socket, and wait until it has so many events."""
        self._send("replay", url, count, subprotocol or "-")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _send(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
