"""The rows of the table: what is done, by whom, and how it is measured. Ratios are taken within one row, in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.databases import postgres, redis, sqlite
from bench.measurements import (
    BROADCAST,
    EVENTSTREAM,
    FASTAPI,
    OURS,
    TUTORIAL,
    V1,
    Values,
    burst,
    compressed,
    event_sources,
    idle,
    many_traces,
    paced,
    replay,
    script,
    spread,
)


@dataclass(frozen=True)
class Peer:
    """One column of a row: who does the work."""

    name: str
    measure: Callable[[], Values]


@dataclass(frozen=True)
class Measure:
    """One number of a row."""

    value: str
    """Its name among the measured values."""
    unit: str
    goals: Mapping[str, float] = field(default_factory=dict)
    """By peer: the ratio to reach, that of the first peer to theirs."""
    less_is_better: bool = False


@dataclass(frozen=True)
class Row:
    """One piece of work. The first peer is ours."""

    name: str
    measures: tuple[Measure, ...]
    peers: tuple[Peer, ...]


@dataclass(frozen=True)
class Scale:
    """How much is done: everything, or just enough to see that it works."""

    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


PER_CPU_SECOND = "deliveries per CPU second"
LOST = Measure("lost_percent", "% lost", less_is_better=True)


@contextmanager
def deliveries(scale: Scale) -> Iterator[list[Row]]:
    """What a server spends on each event and socket."""
    sockets, events = scale.of(100, 10), scale.of(1000, 50)
    some, many = scale.of(3_000, 50), scale.of(10_000, 200)

    def peer(name: str, kind: str, application: str, count: int, subprotocol: str = "", **environment: str) -> Peer:
        return Peer(name, lambda: burst(kind, application, sockets, count, subprotocol, environment=environment))

    with redis() as redis_url:
        core = {"CHANNEL_LAYER": "channels_redis.core.RedisChannelLayer", "REDIS_URL": redis_url}
        pubsub = {"CHANNEL_LAYER": "channels_redis.pubsub.RedisPubSubChannelLayer", "REDIS_URL": redis_url}
        yield [
            Row(
                f"{some:,} events to {sockets} sockets, one per frame, uvicorn",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"FastAPI registry": 1.5}), LOST),
                (
                    peer("ours", "uvicorn", OURS, some),
                    peer("FastAPI registry", "uvicorn", FASTAPI, some),
                    Peer(
                        "django-eventstream (SSE)",
                        lambda: event_sources("uvicorn", EVENTSTREAM, sockets, scale.of(300, 20)),
                    ),
                    peer("websockets broadcast", "script", BROADCAST, some),
                ),
            ),
            Row(
                f"{events:,} events to {sockets} sockets, one per frame, daphne",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"Channels tutorial, in memory": 10}), LOST),
                (
                    peer("ours", "daphne", OURS, events),
                    peer("Channels tutorial, in memory", "daphne", TUTORIAL, events),
                    peer("Channels tutorial, Redis", "daphne", TUTORIAL, events, **core),
                    peer("Channels tutorial, Redis pubsub", "daphne", TUTORIAL, events, **pubsub),
                ),
            ),
            Row(
                f"{many:,} events to {sockets} sockets, batched ({V1}), uvicorn",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"websockets broadcast": 8}), LOST),
                (
                    peer("ours", "uvicorn", OURS, many, V1),
                    peer("websockets broadcast", "script", BROADCAST, many),
                ),
            ),
            Row(
                f"{many:,} events to {sockets} sockets, batched ({V1}), daphne",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"websockets broadcast": 4}), LOST),
                (
                    peer("ours", "daphne", OURS, many, V1),
                    peer("websockets broadcast", "script", BROADCAST, many),
                ),
            ),
        ]


@contextmanager
def latency(scale: Scale) -> Iterator[list[Row]]:
    """From emit to the last of the sockets; ours stores in between."""
    sockets, events = scale.of(100, 10), scale.of(300, 20)
    fastapi = "FastAPI registry (stores nothing)"
    yield [
        Row(
            f"one event every 10 ms, from emit to the last of {sockets} sockets",
            (
                Measure("p50_ms", "ms, p50", {fastapi: 2}, less_is_better=True),
                Measure("p99_ms", "ms, p99", less_is_better=True),
            ),
            (
                Peer("ours, uvicorn", lambda: paced("uvicorn", OURS, sockets, events, 10)),
                Peer("ours, daphne", lambda: paced("daphne", OURS, sockets, events, 10)),
                Peer(fastapi, lambda: paced("uvicorn", FASTAPI, sockets, events, 10)),
            ),
        )
    ]


@contextmanager
def emitting(scale: Scale) -> Iterator[list[Row]]:
    """What an agent pays."""
    count = scale.of(20_000, 500)
    threads = (1, 4, 16)
    logging = "logging to a QueueHandler"
    yield [
        Row(
            "one emit() of a 200-byte event",
            (
                Measure("p50_us", "us, p50", {logging: 1.5}, less_is_better=True),
                Measure("p99_us", "us, p99", less_is_better=True),
            ),
            (
                Peer("ours", lambda: script("emit", "ours", count)),
                Peer(logging, lambda: script("emit", "logging", count)),
            ),
        ),
        Row(
            "emit() from several threads at once",
            (Measure("per_second", "emits per second, of all"),),
            (
                *(Peer(f"ours, {n}", lambda n=n: script("emit", "ours", count, n)) for n in threads),  # type: ignore[misc]
                *(Peer(f"{logging}, {n}", lambda n=n: script("emit", "logging", count, n)) for n in threads),  # type: ignore[misc]
            ),
        ),
        Row(
            "redaction alone",
            (
                Measure("p50_us", "us, p50", less_is_better=True),
                Measure("p99_us", "us, p99", less_is_better=True),
            ),
            (
                Peer("ours, an event of 1.4 KB", lambda: script("emit", "redaction", count)),
                Peer("ours, a text of 25 KB", lambda: script("emit", "text", count // 20)),
            ),
        ),
    ]


@contextmanager
def storing(scale: Scale) -> Iterator[list[Row]]:
    """What a database is asked for, beside the quickest way that its driver has."""
    events = scale.of(100_000, 2_000)
    with sqlite() as sqlite_url, postgres() as postgres_url:
        urls = {"SQLite": sqlite_url, "PostgreSQL": postgres_url}

        def stored(what: str, name: str, size: int, count: int = events) -> Callable[[], Values]:
            return lambda: script("store", what, count, size, DATABASE_URL=urls[name])

        yield [
            *(
                Row(
                    f"events recorded in {name}, 5,000 in a transaction",
                    (Measure("per_second", "events per second", {how: 0.3}),),
                    (Peer("ours", stored("append", name, 5000)), Peer(how, stored("raw", name, 5000))),
                )
                for name, how in (("SQLite", "executemany alone"), ("PostgreSQL", "COPY alone"))
            ),
            *(
                Row(
                    f"events recorded in {name}, by the size of a transaction",
                    (Measure("per_second", "events per second"),),
                    tuple(
                        Peer(f"ours, {size:,}", stored("append", name, size, min(events, size * 1000)))
                        for size in (1, 10, 100, 1000)
                    ),
                )
                for name in urls
            ),
        ]


@contextmanager
def replaying(scale: Scale) -> Iterator[list[Row]]:
    """A long trace, read from its beginning."""
    events = scale.of(100_000, 2_000)
    alone = "reading the rows alone"
    yield [
        Row(
            f"replay of {events:,} events to one socket, uvicorn",
            (Measure("per_second", "events per second", {alone: 0.3}),),
            (
                Peer(f"ours, batched ({V1})", lambda: replay("uvicorn", events, V1)),
                Peer("ours, one per frame", lambda: replay("uvicorn", events, "")),
                Peer(alone, lambda: script("store", "read", events, 5000)),
            ),
        ),
        Row(
            "the first page of a trace (500 events), by its length",
            (Measure("per_second", "pages per second"),),
            tuple(
                Peer(f"ours, {length:,} events", lambda length=length: script("store", "page", length, 5000))  # type: ignore[misc]
                for length in (1_000, scale.of(100_000, 2_000), scale.of(1_000_000, 5_000))
            ),
        ),
    ]


@contextmanager
def memory(scale: Scale) -> Iterator[list[Row]]:
    """Of connections that are only open."""
    sockets, many = scale.of(1000, 50), scale.of(5000, 100)
    fastapi = "FastAPI registry"
    yield [
        Row(
            f"memory per idle connection, of {sockets:,}",
            (Measure("bytes_each", "bytes", {fastapi: 0.9}, less_is_better=True),),
            (
                Peer("ours, uvicorn", lambda: idle("uvicorn", OURS, sockets)),
                Peer("ours, daphne", lambda: idle("daphne", OURS, sockets)),
                Peer(fastapi, lambda: idle("uvicorn", FASTAPI, sockets)),
            ),
        ),
        Row(
            f"memory per idle connection, of {many:,}",
            (Measure("bytes_each", "bytes", less_is_better=True),),
            (Peer("ours, uvicorn", lambda: idle("uvicorn", OURS, many)),),
        ),
    ]


@contextmanager
def scaling(scale: Scale) -> Iterator[list[Row]]:
    """What a delivery costs, by how many there are."""
    events = scale.of(1000, 20)

    def cost(sockets: int, size: int = 300, subprotocol: str = "", count: int = events) -> Callable[[], Values]:
        return lambda: burst("uvicorn", OURS, sockets, count, subprotocol, size)

    microseconds = (Measure("cpu_us", "us of CPU per delivery", less_is_better=True),)
    sockets = scale.of(100, 10)
    one = f"ours, one process, {sockets} sockets"
    with redis() as url:
        yield [
            Row(
                "one per frame, uvicorn, by the number of sockets that watch the trace",
                microseconds,
                tuple(Peer(f"ours, {n:,}", cost(n)) for n in (1, 10, 100, scale.of(1000, 100))),
            ),
            Row(
                f"one per frame, uvicorn, {sockets} sockets, by the size of an event",
                microseconds,
                tuple(
                    Peer(f"ours, {size:,} bytes", cost(sockets, size, count=scale.of(400, 20)))
                    for size in (300, 1_000, 25_000)
                ),
            ),
            Row(
                f"tool outputs of 25,000 bytes to {sockets} sockets, uvicorn",
                (Measure("bytes", "bytes per delivery", less_is_better=True), *microseconds),
                tuple(
                    Peer(f"ours, {name}", lambda offer=offer: compressed(offer, sockets, scale.of(400, 20), 25_000))  # type: ignore[misc]
                    for name, offer in (("compressed", "permessage-deflate"), ("not compressed", ""))
                ),
            ),
            Row(
                "one event for each of many traces with one socket each, uvicorn",
                microseconds,
                (Peer(f"ours, {scale.of(1000, 50):,} traces", lambda: many_traces("uvicorn", scale.of(1000, 50))),),
            ),
            Row(
                "one per frame, uvicorn, on Redis pubsub",
                (Measure("cpu_us", "us of CPU per delivery", {one: 1.15}, less_is_better=True),),
                (
                    Peer(
                        f"ours, two processes, {sockets // 2} sockets each",
                        lambda: spread(2, sockets, events, REDIS_URL=url),
                    ),
                    Peer(one, lambda: spread(1, sockets, events, REDIS_URL=url)),
                ),
            ),
        ]


GROUPS: Mapping[str, Callable[[Scale], Any]] = {
    "deliveries": deliveries,
    "latency": latency,
    "emitting": emitting,
    "storing": storing,
    "replaying": replaying,
    "memory": memory,
    "scaling": scaling,
}


def compared(values: list[Values], name: str) -> tuple[float, float, float]:
    """Median, lowest and highest of some runs."""
    numbers = [value for each in values if (value := each.get(name)) is not None]
    return median(numbers), min(numbers), max(numbers)
