"""Many agents, each watched by its own user: what a server spends on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from bench.databases import redis
from bench.measurements import EVENTSTREAM, FASTAPI_TRACES, OURS, TUTORIAL, connects, many_traces
from bench.row import Measure, Peer, Row, Scale


@contextmanager
def many(scale: Scale) -> Iterator[list[Row]]:
    """Many agents, each watched by its own user."""
    traces, rounds = scale.of(1000, 50), scale.of(10, 2)
    fewest, most, sockets = scale.of(100, 10), scale.of(5000, 100), scale.of(4000, 100)
    registry = "FastAPI registry by trace (stores nothing)"
    cpu = Measure("cpu_us", "us of CPU per event", {registry: 3}, less_is_better=True)
    measures = (
        cpu,
        Measure("p50_ms", "ms from emit to the socket, p50", less_is_better=True),
        Measure("p99_ms", "ms from emit to the socket, p99", less_is_better=True),
    )

    knowing = (
        ("ours", OURS, "ws"),
        (registry, FASTAPI_TRACES, "ws"),
        ("Channels tutorial, a group per trace, in memory", TUTORIAL, "ws"),
        ("django-eventstream (SSE), a channel per trace", EVENTSTREAM, "http"),
    )

    def peers(events: int, pause_ms: float, traces: int = traces) -> tuple[Peer, ...]:
        return (
            Peer("ours", lambda: many_traces("uvicorn", OURS, traces, events, pause_ms)),
            Peer(registry, lambda: many_traces("uvicorn", FASTAPI_TRACES, traces, events, pause_ms)),
        )

    def each_second(traces: int) -> Peer:
        """A thousand events a second in all."""
        seconds = traces / 1000
        events = max(int(rounds / seconds), 1)
        return Peer(f"ours, {traces:,}", lambda: many_traces("uvicorn", OURS, traces, events, seconds * 1000))

    with redis() as url:
        yield [
            Row(
                f"{traces:,} traces, one socket each, an event per trace and second",
                (replace(cpu, is_headline=True), *measures[1:]),
                peers(rounds, 1000),
            ),
            *(
                Row(
                    f"{fewest:,} traces, one socket each, ten events per trace and second, {kind}",
                    measures,
                    tuple(
                        Peer(name, partial(many_traces, kind, application, fewest, scale.of(40, 2), 100, scheme))
                        for name, application, scheme in knowing
                        if (name, kind) != (registry, "daphne")
                    ),
                )
                for kind in ("uvicorn", "daphne")
            ),
            Row(f"{traces:,} traces, one socket each, bursts of 30 events", measures, peers(scale.of(30, 10), 0)),
            Row(
                f"{traces:,} traces, one socket each, an event per trace and second, on Redis pubsub",
                measures,
                (
                    Peer("ours", lambda: many_traces("uvicorn", OURS, traces, rounds, 1000, REDIS_URL=url)),
                    Peer(registry, lambda: many_traces("uvicorn", FASTAPI_TRACES, traces, rounds, 1000)),
                ),
            ),
            Row(
                "1,000 events a second, one socket for each trace, by the number of traces",
                (replace(cpu, goals={f"ours, {fewest:,}": 1.2}), *measures[1:]),
                (each_second(most), each_second(fewest)),
            ),
            Row(
                "one trace, one socket, an event every 10 ms",
                (replace(cpu, goals={registry: 5}), *measures[1:]),
                peers(scale.of(1000, 20), 10, traces=1),
            ),
            Row(
                f"{sockets:,} sockets connect at once, each to its own trace",
                (
                    Measure("per_second", "connects per second", {registry: 0.5}),
                    Measure("cpu_us", "us of CPU per connect", less_is_better=True),
                ),
                (
                    Peer("ours", lambda: connects("uvicorn", OURS, sockets)),
                    Peer(registry, lambda: connects("uvicorn", FASTAPI_TRACES, sockets)),
                ),
            ),
        ]
