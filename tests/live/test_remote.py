"""A program elsewhere emits, others watch from elsewhere, and the server between them is restarted ten times."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.live.reports import report
from tests.live.servers import KINDS, ROOT, Server
from tests.live.sites import read_log
from tests.live.watching import Watcher

pytestmark = [pytest.mark.thorough, pytest.mark.takes(seconds=25)]

EVENTS = 2_000
RESTARTS = 10


async def run(server: Server, *command: str) -> asyncio.subprocess.Process:
    """Without Django settings, or with a database that nobody could use."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    environment["DATABASE_URL"] = "sqlite:////nowhere/db.sqlite3"
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}, stdout=PIPE, stderr=PIPE
    )


async def test_every_event_once_at_every_end_over_ten_restarts(
    tmp_path: Path, trace_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is what was emitted, in order; a socket and a terminal saw exactly that.

    daphne and uvicorn serve by turns; each is killed, and ends in order.
    """
    monkeypatch.setenv("LEASE_SECONDS", "600")  # longer than a server takes to start on a busy machine
    server = Server(KINDS[0], tmp_path)
    server.manage("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
    token = server.manage("drf_create_token", "ada").stdout.split()[2]
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    watcher = Watcher(server, trace_id, None, comes_back=True)
    watching = asyncio.create_task(watcher.run())
    await watcher.connected()
    tail = ("manage.py", "tail_trace", trace_id, "--since", "0", "--json", "--url", base, "--token", token)
    terminal = await run(server, *tail)
    script = await run(server, "tests/live/orchestrator.py", base, token, trace_id, str(EVENTS))
    try:
        for restart in range(1, RESTARTS + 1):
            await watcher.has(restart * 20)
            await asyncio.to_thread(server.stop, signal.SIGKILL if restart // 2 % 2 else signal.SIGTERM)
            server.kind = KINDS[restart % 2]
            await asyncio.to_thread(server.start)
        async with asyncio.timeout(300):
            (lost, errors), (seen, complaints) = await asyncio.gather(script.communicate(), terminal.communicate())
        assert (script.returncode, lost) == (0, b"0\n"), errors
        assert terminal.returncode == 0, complaints
        await watcher.has(EVENTS)
    finally:
        watching.cancel()
        for process in (script, terminal):
            if process.returncode is None:
                process.kill()
                await process.wait()
        await asyncio.to_thread(server.stop)
    stored = read_log(server.env["DATABASE_URL"], trace_id)
    assert [(sequence, details["number"]) for sequence, details in stored] == [(n + 1, n) for n in range(EVENTS)]
    assert [(event["sequence"], event["details"]) for event in watcher.received] == stored
    assert watcher.gaps == 0
    lines = [json.loads(line) for line in seen.splitlines()]
    assert [(event["sequence"], event["details"]) for event in lines] == stored
    report("remote emitter", {"restarts": RESTARTS, "events, each once": EVENTS})
