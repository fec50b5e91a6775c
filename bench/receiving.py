"""What a server does with spans of OpenTelemetry, and what its watchers feel of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.databases import ROOT, postgres
from bench.measurements import OURS, Values, script
from bench.processes import Client, Server
from bench.row import Measure, Peer, Row, Scale

DECODING = "protobuf decoding alone"
WATCHERS = 20
PAUSE_MS = 10


@contextmanager
def receiving(scale: Scale) -> Iterator[list[Row]]:
    """Spans over OTLP, in requests of 500, into PostgreSQL."""
    spans, events = scale.of(20_000, 1_000), scale.of(300, 20)
    with postgres() as url:
        token = _token(url)
        ours = [
            Peer(f"ours, {name}", partial(_received, url, token, processes, spans, events))
            for processes, name in ((1, "one process"), (2, "two processes"))
        ]
        yield [
            Row(
                "spans over OTLP into PostgreSQL",
                (Measure("per_second", "spans per second"), Measure("per_cpu_second", "spans per CPU second")),
                (*ours, Peer(DECODING, partial(script, "spans", "decode", spans))),
            ),
            Row(
                f"one event every {PAUSE_MS} ms to {WATCHERS} sockets, while spans come over OTLP",
                (
                    Measure("p50_ms", "ms, p50", less_is_better=True),
                    Measure("p99_ms", "ms, p99", less_is_better=True),
                ),
                tuple(ours),
            ),
        ]


def _token(url: str) -> str:
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench.settings"}

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    manage("createsuperuser", "--noinput", "--username=bench", "--email=bench@example.com")
    return manage("drf_create_token", "bench").split()[2]


def _received(url: str, token: str, processes: int, spans: int, events: int) -> Values:
    """Spans to all of the processes, and watchers of the first."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Server("uvicorn", OURS, DATABASE_URL=url)) for _ in range(processes)]
        client = stack.enter_context(Client())
        client.connect(servers[0].url(), WATCHERS, greets=servers[0].greets)
        urls = ",".join(f"http://127.0.0.1:{server.port}" for server in servers)
        script("spans", "send", 500 * processes * 4, urls, token)  # whatever is done once is done
        command = [sys.executable, "-m", "bench.scripts.spans", "send", str(spans), urls, token]
        used = sum(server.cpu_seconds() for server in servers)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sending:
            client.expect(events, timed="last")
            servers[0].emit(events, pause_ms=PAUSE_MS)
            answer = client.answer()
            said, _ = sending.communicate(timeout=600)
        told: dict[str, float] = json.loads(said.splitlines()[-1])
        told["per_cpu_second"] = spans / (sum(server.cpu_seconds() for server in servers) - used)
    return {**told, "p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"], "lost": answer["lost"]}
