"""What a server spends on deliveries and connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.databases import redis
from bench.measurements import (
    BARE,
    BROADCAST,
    EVENTSTREAM,
    FASTAPI,
    OURS,
    TUTORIAL,
    V1,
    Values,
    burst,
    come_and_go,
    compressed,
    event_sources,
    idle,
    paced,
    spread,
)
from bench.row import Measure, Peer, Row, Scale

PER_CPU_SECOND = "deliveries per CPU second"


def bare_name(together: int) -> str:
    return f"asyncio's transports alone, {together} frame{'s' if together > 1 else ''} a write"


LOST = Measure("lost_percent", "% lost", less_is_better=True)


@contextmanager
def deliveries(scale: Scale) -> Iterator[list[Row]]:
    """What a server spends on each event and socket."""
    sockets, events, few = scale.of(100, 10), scale.of(3_000, 50), scale.of(100, 50)
    # What is quick gets more of them: it is measured for two seconds of CPU and more.
    many, bare, together = scale.of(20_000, 200), scale.of(30_000, 50), 32
    in_memory = f"Channels tutorial, in memory, {few}"  # events: it takes minutes for what takes the others seconds

    def peer(name: str, kind: str, application: str, count: int, subprotocol: str = "", **environment: str) -> Peer:
        return Peer(name, lambda: burst(kind, application, sockets, count, subprotocol, environment=environment))

    with redis() as redis_url:
        core = {"CHANNEL_LAYER": "channels_redis.core.RedisChannelLayer", "REDIS_URL": redis_url}
        pubsub = {"CHANNEL_LAYER": "channels_redis.pubsub.RedisPubSubChannelLayer", "REDIS_URL": redis_url}
        yield [
            Row(
                f"events to {sockets} sockets, one per frame, uvicorn",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"FastAPI registry": 1.5}, is_headline=True), LOST),
                (
                    peer("ours", "uvicorn", OURS, many),
                    peer("FastAPI registry", "uvicorn", FASTAPI, events),
                    Peer(
                        f"django-eventstream (SSE), {few}",
                        lambda: event_sources("uvicorn", EVENTSTREAM, sockets, few),
                    ),
                    peer("websockets broadcast", "script", BROADCAST, events),
                ),
            ),
            Row(
                f"the same bytes to {sockets} sockets, one event per frame, beside a bare loop that is handed frames",
                (Measure("per_cpu_second", PER_CPU_SECOND, {bare_name(1): 0.6}), LOST),
                (
                    peer("ours, uvicorn", "uvicorn", OURS, many),
                    peer(bare_name(1), "script", BARE, events, TOGETHER="1"),
                    peer(bare_name(together), "script", BARE, bare, TOGETHER=str(together)),
                ),
            ),
            Row(
                f"events to {sockets} sockets, one per frame, daphne",
                (Measure("per_cpu_second", PER_CPU_SECOND, {in_memory: 10}), LOST),
                (
                    peer("ours", "daphne", OURS, many),
                    peer(in_memory, "daphne", TUTORIAL, few),
                    peer(f"Channels tutorial, Redis, {few}", "daphne", TUTORIAL, few, **core),
                    peer(f"Channels tutorial, Redis pubsub, {few}", "daphne", TUTORIAL, few, **pubsub),
                ),
            ),
            Row(
                f"events to {sockets} sockets, batched ({V1}), uvicorn",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"websockets broadcast": 8}, is_headline=True), LOST),
                (
                    peer("ours", "uvicorn", OURS, many, V1),
                    peer("websockets broadcast", "script", BROADCAST, events),
                ),
            ),
            Row(
                f"events to {sockets} sockets, batched ({V1}), daphne",
                (Measure("per_cpu_second", PER_CPU_SECOND, {"websockets broadcast": 4}), LOST),
                (
                    peer("ours", "daphne", OURS, many, V1),
                    peer("websockets broadcast", "script", BROADCAST, events),
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
def memory(scale: Scale) -> Iterator[list[Row]]:
    """Of connections that are only open."""
    sockets, many, rounds = scale.of(1000, 50), scale.of(5000, 100), scale.of(17, 2)
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
        Row(
            f"{rounds * sockets:,} traces that come and go, {sockets:,} at a time, one socket each",
            (
                Measure("bytes_each", "bytes that stay of each", less_is_better=True),
                Measure("mib", "MiB that the process holds then", less_is_better=True),
            ),
            (Peer("ours, uvicorn", lambda: come_and_go("uvicorn", OURS, sockets, rounds)),),
        ),
    ]


@contextmanager
def scaling(scale: Scale) -> Iterator[list[Row]]:
    """What a delivery costs, by how many there are: of what is cheap so many that it takes two seconds."""

    def cost(sockets: int, events: int, size: int = 300) -> Callable[[], Values]:
        return lambda: burst("uvicorn", OURS, sockets, scale.of(events, 20), size=size)

    microseconds = (Measure("cpu_us", "us of CPU per delivery", less_is_better=True),)
    sockets = scale.of(100, 10)
    several, events = scale.of(400, 20), scale.of(10_000, 20)  # of twice as many, the load client falls behind
    one = f"ours, one process, {several} sockets"
    with redis() as url:
        yield [
            Row(
                "one per frame, uvicorn, by the number of sockets that watch the trace",
                microseconds,
                tuple(
                    Peer(f"ours, {n:,}", cost(n, events))
                    for n, events in ((1, 40_000), (10, 35_000), (100, 25_000), (scale.of(1000, 200), 7_000))
                ),
            ),
            Row(
                f"one per frame, uvicorn, {sockets} sockets, by the size of an event",
                microseconds,
                tuple(
                    Peer(f"ours, {size:,} bytes", cost(sockets, events, size))
                    for size, events in ((300, 25_000), (1_000, 12_000), (25_000, 700))
                ),
            ),
            Row(
                f"tool outputs of 25,000 bytes to {sockets} sockets, uvicorn",
                (Measure("bytes", "bytes per delivery", less_is_better=True), *microseconds),
                tuple(
                    Peer(f"ours, {name}", lambda offer=offer: compressed(offer, sockets, scale.of(700, 20), 25_000))  # type: ignore[misc]
                    for name, offer in (("compressed", "permessage-deflate"), ("not compressed", ""))
                ),
            ),
            Row(
                "one per frame, uvicorn, on Redis pubsub",
                (Measure("cpu_us", "us of CPU per delivery", {one: 1.15}, less_is_better=True),),
                (
                    Peer(
                        f"ours, two processes, {several} sockets each",
                        lambda: spread(2, 2 * several, events, REDIS_URL=url),
                    ),
                    Peer(one, lambda: spread(1, several, events, REDIS_URL=url)),
                    Peer(
                        f"ours, two processes, {several // 2} sockets each",
                        lambda: spread(2, several, events, REDIS_URL=url),
                    ),
                ),
            ),
        ]
