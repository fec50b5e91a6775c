"""What is done to one server, and what comes out: each returns its values by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.databases import ROOT
from bench.processes import Client, Server

OURS = "bench.peers.ours:application"
FASTAPI = "bench.peers.fastapi_registry:app"
FASTAPI_TRACES = "bench.peers.fastapi_traces:app"
TUTORIAL = "bench.peers.channels_tutorial:application"
EVENTSTREAM = "bench.peers.eventstream:application"
BROADCAST = "bench.peers.websockets_broadcast"
BARE = "bench.peers.bare_transport"
V1 = "trace-stream.v1"

WARM_ROUNDS: Final = 3
"""Of :func:`come_and_go`."""

Values = Mapping[str, float | None]


def burst(
    kind: str,
    application: str,
    sockets: int,
    events: int,
    subprotocol: str = "",
    size: int = 300,
    environment: Mapping[str, str] = {},
) -> Values:
    """Events as fast as they can be sent, to sockets that all watch the same."""
    with Server(kind, application, **environment) as server, Client() as client:
        client.connect(server.url(), sockets, subprotocol, greets=server.greets)
        return _burst(server, client, sockets, events, size)


def _burst(
    server: Server, client: Client, sockets: int, events: int, size: int = 300, others: Sequence[Server] = ()
) -> Values:
    servers = [server, *others]
    client.expect(1)
    server.emit(1, size)  # whatever is done once is done
    client.answer()
    used = sum(each.cpu_seconds() for each in servers)
    client.expect(events)
    server.emit(events, size)
    answer = client.answer()
    used = max(sum(each.cpu_seconds() for each in servers) - used, 0.01)  # the operating system's tick
    return {
        "per_cpu_second": answer["received"] / used,
        "cpu_us": used / max(answer["received"], 1) * 1e6,
        "bytes": answer["bytes"] / max(answer["received"], 1),
        "lost_percent": 100 * answer["lost"] / (sockets * events),
        "disordered": answer["disordered"],
        "seconds": answer["seconds"],
    }


def event_sources(kind: str, application: str, streams: int, events: int) -> Values:
    """Like ``burst``, to streams of server-sent events."""
    with Server(kind, application) as server, Client() as client:
        client.connect(server.url(scheme="http"), streams)
        return _burst(server, client, streams, events)


def compressed(extensions: str, sockets: int, events: int, size: int) -> Values:
    """Like ``burst``, to clients that offer these extensions: also the bytes that a delivery takes."""
    options = ("--ws-per-message-deflate", "true")
    with Server("uvicorn", OURS, options, COMPRESSION="1") as server, Client() as client:
        client.connect(server.url(), sockets, extensions=extensions, greets=server.greets)
        return _burst(server, client, sockets, events, size)


def spread(processes: int, sockets: int, events: int, **environment: str) -> Values:
    """Like ``burst``, the sockets spread over server processes that have the database and a layer in common."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Server("uvicorn", OURS, **environment))]
        shared = {**environment, "DATABASE_URL": servers[0].env["DATABASE_URL"]}
        servers += [stack.enter_context(Server("uvicorn", OURS, **shared)) for _ in range(1, processes)]
        client = stack.enter_context(Client())
        for server in servers:
            client.connect(server.url(), sockets // processes, greets=server.greets)
        return _burst(servers[0], client, sockets, events, others=servers[1:])


def paced(kind: str, application: str, sockets: int, events: int, pause_ms: float, subprotocol: str = "") -> Values:
    """Events one by one: how long from emit to the last socket."""
    with Server(kind, application) as server, Client() as client:
        client.connect(server.url(), sockets, subprotocol, greets=server.greets)
        client.expect(20)
        server.emit(20, pause_ms=pause_ms)
        client.answer()
        client.expect(events, timed="last")
        server.emit(events, pause_ms=pause_ms)
        answer = client.answer()
    return {"p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"], "lost": answer["lost"]}


def idle(kind: str, application: str, sockets: int) -> Values:
    """Sockets that nothing is sent to: memory of the server for each."""
    with Server(kind, application) as server, Client() as client:
        client.connect(server.url(), 50, greets=server.greets)
        before = server.memory_bytes()
        client.connect(server.url(), sockets, greets=server.greets)
        return {"bytes_each": (server.memory_bytes() - before) / sockets}


FRAMEWORKS: Final = ROOT / ".venv" / "frameworks" / "pinned" / "bin" / "python"
"""Where the frameworks of agents are."""


def script(name: str, *arguments: object, python: str | Path = sys.executable, **environment: str) -> Values:
    """A measurement that runs in a process of its own, and prints its values as JSON."""
    command = [str(python), "-m", f"bench.scripts.{name}", *map(str, arguments)]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "bench.settings", **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


def many_traces(
    kind: str, application: str, traces: int, events: int, pause_ms: float = 0, scheme: str = "ws", **environment: str
) -> Values:
    """Events for each of many traces, in turn, each trace watched by one socket.

    :param pause_ms: behind each round of all traces
    """
    with Server(kind, application, **environment) as server, Client() as client:
        client.connect(server.url("/ws/traces/t-{n}", scheme), traces, greets=server.greets)
        client.expect(1)
        server.emit(1, traces=traces)
        client.answer()
        used = server.cpu_seconds()
        client.expect(events, timed="each")
        server.emit(events, pause_ms=pause_ms, traces=traces)
        answer = client.answer()
        used = max(server.cpu_seconds() - used, 0.01)
    return {
        "cpu_us": used / max(answer["received"], 1) * 1e6,
        "p50_ms": answer["p50_ms"],
        "p99_ms": answer["p99_ms"],
        "lost": answer["lost"] + answer["disordered"],
    }


def come_and_go(kind: str, application: str, traces: int, rounds: int) -> Values:
    """So many traces at a time, each watched by one socket, that get an event and are left: what stays of each."""
    with Server(kind, application) as server:

        def go(round_: int) -> int:
            with Client() as client:
                first = round_ * traces
                client.connect(server.url(f"/ws/traces/t-{{n+{first}}}"), traces, greets=server.greets)
                client.expect(1)
                server.emit(1, traces=traces, first=first)
                client.answer()
            return server.memory_bytes()

        warm = [go(round_) for round_ in range(WARM_ROUNDS)][-1]  # what is made once is made
        left = [go(WARM_ROUNDS + round_) for round_ in range(rounds)][-1]
    return {"bytes_each": max(left - warm, 0) / (rounds * traces), "mib": left / 2**20}


def connects(kind: str, application: str, sockets: int) -> Values:
    """Sockets that connect at once, each to its own trace, until all of them are served."""
    with Server(kind, application) as server, Client() as client:
        used, started = server.cpu_seconds(), time.perf_counter()
        client.connect(server.url("/ws/traces/t-{n}"), sockets, greets=server.greets)
        seconds = time.perf_counter() - started
        return {"per_second": sockets / seconds, "cpu_us": (server.cpu_seconds() - used) / sockets * 1e6}


def replay(kind: str, events: int, subprotocol: str, times: int = 1) -> Values:
    """Store, then connect with ``since=0``, so many times one after the other."""
    with Server(kind, OURS) as server:
        server.emit(events)
        used, received, seconds = server.cpu_seconds(), 0, 0.0
        for _ in range(times):
            with Client() as client:
                answer = client.replay(server.url("/ws/traces/t?since=0"), events, subprotocol)
            received += answer["received"]
            seconds += answer["seconds"]
        return {"per_second": received / seconds, "cpu_us": (server.cpu_seconds() - used) / received * 1e6}
