"""The rows of the table: what is done, by whom, and how it is measured. Ratios are taken within one row, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.processes import ROOT, Client, Server

OURS = "bench.peers.ours:application"
FASTAPI = "bench.peers.fastapi_registry:app"
TUTORIAL = "bench.peers.channels_tutorial:application"
BROADCAST = "bench.peers.websockets_broadcast"
V1 = "trace-stream.v1"

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Peer:
    """One column of a row: who does the work."""

    name: str
    measure: Callable[[], Values]


@dataclass(frozen=True)
class Row:
    """One piece of work. The first peer is ours."""

    name: str
    unit: str
    value: str
    """Which of the measured values is compared."""
    peers: tuple[Peer, ...]
    goals: Mapping[str, float] = field(default_factory=dict)
    """By peer: the ratio to reach, ours to theirs."""
    less_is_better: bool = False


@dataclass(frozen=True)
class Scale:
    """How much is done: everything, or just enough to see that it works."""

    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


def burst(
    kind: str, application: str, sockets: int, events: int, subprotocol: str = "", size: int = 300, **environment: str
) -> Values:
    """Events as fast as they can be sent, to sockets that all watch the same."""
    with Server(kind, application, **environment) as server, Client() as client:
        client.connect(server.url(), sockets, subprotocol)
        client.expect(1)
        server.emit(1, size)  # whatever is done once is done
        client.answer()
        used = server.cpu_seconds()
        client.expect(events)
        server.emit(events, size)
        answer = client.answer()
        used = max(server.cpu_seconds() - used, 0.01)  # the operating system's tick
    return {
        "per_cpu_second": answer["received"] / used,
        "cpu_us": used / max(answer["received"], 1) * 1e6,
        "lost_percent": 100 * answer["lost"] / (sockets * events),
        "disordered": answer["disordered"],
        "seconds": answer["seconds"],
    }


def paced(kind: str, application: str, sockets: int, events: int, pause_ms: float, subprotocol: str = "") -> Values:
    """Events one by one: how long from emit to the last socket."""
    with Server(kind, application) as server, Client() as client:
        client.connect(server.url(), sockets, subprotocol)
        client.expect(20)
        server.emit(20, pause_ms=pause_ms)
        client.answer()
        client.expect(events, timed=True)
        server.emit(events, pause_ms=pause_ms)
        answer = client.answer()
    return {"p50_ms": answer["p50_ms"], "p99_ms": answer["p99_ms"], "lost": answer["lost"]}


def idle(kind: str, application: str, sockets: int) -> Values:
    """Sockets that nothing is sent to: memory of the server for each."""
    with Server(kind, application) as server, Client() as client:
        client.connect(server.url(), 50)
        before = server.memory_bytes()
        client.connect(server.url(), sockets)
        return {"bytes_each": (server.memory_bytes() - before) / sockets}


def script(name: str, *arguments: object, **environment: str) -> Values:
    """A measurement that runs in a process of its own, and prints its values as JSON."""
    command = [sys.executable, "-m", f"bench.scripts.{name}", *map(str, arguments)]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "bench.settings", **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    values: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return values


@contextmanager
def deliveries(scale: Scale) -> Iterator[list[Row]]:
    """What a server spends on each event and socket."""
    sockets, events = scale.of(100, 10), scale.of(1000, 50)
    some, many = scale.of(3_000, 50), scale.of(10_000, 200)

    def ours(kind: str, subprotocol: str = "", count: int = events) -> Callable[[], Values]:
        return lambda: burst(kind, OURS, sockets, count, subprotocol)

    def peer(kind: str, application: str, count: int = events) -> Callable[[], Values]:
        return lambda: burst(kind, application, sockets, count)

    yield [
        Row(
            f"burst of {events:,} events to {sockets} sockets, lost",
            "%",
            "lost_percent",
            (
                Peer("ours, daphne", ours("daphne")),
                Peer("ours, uvicorn", ours("uvicorn")),
                Peer("Channels tutorial, daphne", peer("daphne", TUTORIAL)),
            ),
            less_is_better=True,
        ),
        Row(
            f"one event per frame, uvicorn ({some:,} events, {sockets} sockets)",
            "deliveries per CPU second",
            "per_cpu_second",
            (
                Peer("ours", ours("uvicorn", count=some)),
                Peer("FastAPI registry", peer("uvicorn", FASTAPI, some)),
                Peer("websockets broadcast", peer("script", BROADCAST, some)),
            ),
            {"FastAPI registry": 1.5},
        ),
        Row(
            f"one event per frame, daphne ({events:,} events, {sockets} sockets)",
            "deliveries per CPU second",
            "per_cpu_second",
            (Peer("ours", ours("daphne")), Peer("Channels tutorial", peer("daphne", TUTORIAL))),
            {"Channels tutorial": 10},
        ),
        Row(
            f"batched frames ({V1}), uvicorn ({many:,} events, {sockets} sockets)",
            "events per CPU second",
            "per_cpu_second",
            (
                Peer("ours", ours("uvicorn", V1, many)),
                Peer("websockets broadcast", peer("script", BROADCAST)),
            ),
            {"websockets broadcast": 8},
        ),
        Row(
            f"batched frames ({V1}), daphne ({many:,} events, {sockets} sockets)",
            "events per CPU second",
            "per_cpu_second",
            (
                Peer("ours", ours("daphne", V1, many)),
                Peer("websockets broadcast", peer("script", BROADCAST)),
            ),
            {"websockets broadcast": 4},
        ),
    ]


@contextmanager
def latency(scale: Scale) -> Iterator[list[Row]]:
    """From emit to the last of the sockets; ours stores in between."""
    sockets, events = scale.of(100, 10), scale.of(300, 20)
    yield [
        Row(
            f"latency p50, emit to the last of {sockets} sockets",
            "ms",
            "p50_ms",
            (
                Peer("ours, uvicorn", lambda: paced("uvicorn", OURS, sockets, events, 10)),
                Peer("ours, daphne", lambda: paced("daphne", OURS, sockets, events, 10)),
                Peer("FastAPI registry (stores nothing)", lambda: paced("uvicorn", FASTAPI, sockets, events, 10)),
            ),
            {"FastAPI registry (stores nothing)": 2},
            less_is_better=True,
        )
    ]


@contextmanager
def memory(scale: Scale) -> Iterator[list[Row]]:
    """Of connections that are only open."""
    sockets = scale.of(1000, 50)
    yield [
        Row(
            f"memory per idle connection ({sockets:,} of them)",
            "bytes",
            "bytes_each",
            (
                Peer("ours, uvicorn", lambda: idle("uvicorn", OURS, sockets)),
                Peer("ours, daphne", lambda: idle("daphne", OURS, sockets)),
                Peer("FastAPI registry", lambda: idle("uvicorn", FASTAPI, sockets)),
            ),
            {"FastAPI registry": 0.9},
            less_is_better=True,
        )
    ]


@contextmanager
def emitting(scale: Scale) -> Iterator[list[Row]]:
    """What an agent pays."""
    count = scale.of(20_000, 500)
    yield [
        Row(
            "emit() of a 200-byte event, p50",
            "us",
            "p50_us",
            (
                Peer("ours", lambda: script("emit", "ours", count)),
                Peer("logging to a QueueHandler", lambda: script("emit", "logging", count)),
            ),
            {"logging to a QueueHandler": 1.5},
            less_is_better=True,
        )
    ]


@contextmanager
def storing(scale: Scale) -> Iterator[list[Row]]:
    """What a database is asked for, beside the quickest way that its driver has."""
    from bench.databases import postgres, sqlite

    events = scale.of(100_000, 2_000)
    with sqlite() as sqlite_url, postgres() as postgres_url:
        yield [
            Row(
                f"recorded events, {name}, in transactions of 5,000",
                "events per second",
                "per_second",
                (
                    Peer("ours", lambda url=url: script("store", "append", events, 5000, DATABASE_URL=url)),  # type: ignore[misc]
                    Peer(how, lambda url=url: script("store", "raw", events, 5000, DATABASE_URL=url)),  # type: ignore[misc]
                ),
                {how: 0.3},
            )
            for name, url, how in (
                ("SQLite", sqlite_url, "executemany alone"),
                ("PostgreSQL", postgres_url, "COPY alone"),
            )
        ]


@contextmanager
def replaying(scale: Scale) -> Iterator[list[Row]]:
    """A long trace, read from its beginning."""
    events = scale.of(100_000, 2_000)
    yield [
        Row(
            f"replay of {events:,} events to one socket, uvicorn, {V1}",
            "events per second",
            "per_second",
            (
                Peer("ours", lambda: replay("uvicorn", events, V1)),
                Peer("ours, one event per frame", lambda: replay("uvicorn", events, "")),
                Peer("reading the rows alone", lambda: script("store", "read", events, 5000, DATABASE_URL="")),
            ),
            {"reading the rows alone": 0.3},
        )
    ]


def replay(kind: str, events: int, subprotocol: str) -> Values:
    """Store, then connect with ``since=0``."""
    with Server(kind, OURS) as server, Client() as client:
        server.emit(events)
        used = server.cpu_seconds()
        answer = client.replay(server.url("/ws/traces/t?since=0"), events, subprotocol)
        return {
            "per_second": answer["received"] / answer["seconds"],
            "cpu_us": (server.cpu_seconds() - used) / events * 1e6,
        }


GROUPS: Mapping[str, Callable[[Scale], Any]] = {
    "deliveries": deliveries,
    "latency": latency,
    "emitting": emitting,
    "storing": storing,
    "replaying": replaying,
    "memory": memory,
}


def compared(values: list[Values], name: str) -> tuple[float, float, float] | None:
    """Median, lowest and highest of some runs."""
    numbers = [value for each in values if (value := each[name]) is not None]
    return (median(numbers), min(numbers), max(numbers)) if numbers else None
