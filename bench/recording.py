"""What an agent pays for an event, and what a database is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.databases import postgres, sqlite
from bench.measurements import (
    FRAMEWORKS,
    V1,
    Values,
    replay,
    script,
)
from bench.row import Measure, Peer, Row, Scale


@contextmanager
def emitting(scale: Scale) -> Iterator[list[Row]]:
    """What an agent pays."""
    count = scale.of(20_000, 500)
    logging = "logging to a QueueHandler"
    with sqlite() as url:

        def emitted(who: str, threads: int = 1) -> Peer:
            name = "ours" if who == "ours" else logging
            return Peer(name, lambda: script("emit", who, count, threads, DATABASE_URL=url))

        yield [
            Row(
                "one emit() of a 200-byte event",
                (
                    Measure("p50_us", "us, p50", {logging: 1.5}, less_is_better=True, is_headline=True),
                    Measure("p99_us", "us, p99", less_is_better=True),
                ),
                (emitted("ours"), emitted("logging")),
            ),
            *(
                Row(
                    f"emit() from {threads} threads at once",
                    (Measure("per_second", "emits per second, of all", {logging: 1}),),
                    (emitted("ours", threads), emitted("logging", threads)),
                )
                for threads in (4, 16)
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
def streaming(scale: Scale) -> Iterator[list[Row]]:
    """What text that streams leaves to the rest of a process."""
    yield [
        Row(
            "calls that say 20 pieces of text a second",
            (
                Measure("cpu_percent", "% of a processor", less_is_better=True),
                Measure("told_per_second", "deltas per call and second"),
                Measure("p99_ms", "ms, p99, until another thread wakes", less_is_better=True),
            ),
            tuple(
                Peer(f"ours, {calls:,}", partial(script, "stream", calls, scale.of(10, 1))) for calls in (100, 1_000)
            ),
        )
    ]


@contextmanager
def adapting(scale: Scale) -> Iterator[list[Row]]:
    """What a run of a framework pays for being seen."""
    names = {"langchain": "LangChain", "openai_agents": "OpenAI Agents", "pydantic_ai": "Pydantic AI"}
    count = scale.of(2000, 50)
    with sqlite() as url:

        def called(framework: str, kind: str) -> Callable[[], Values]:
            return partial(script, "callbacks", framework, kind, count, python=FRAMEWORKS, DATABASE_URL=url)

        yield [
            Row(
                f"a callback of {name}",
                (Measure("callback_us", "us", less_is_better=True),),
                (
                    Peer("ours", called(framework, "ours")),
                    Peer("a handler that does nothing", called(framework, "noop")),
                ),
            )
            for framework, name in names.items()
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
                    (Measure("per_second", "events per second", {how: goal}),),
                    (Peer("ours", stored("append", name, 5000)), Peer(how, stored("raw", name, 5000))),
                )
                for name, how, goal in (("SQLite", "executemany alone", 0.35), ("PostgreSQL", "COPY alone", 0.45))
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
    alone, times = "reading the rows alone", scale.of(5, 1)
    lengths = (1_000, events, scale.of(1_000_000, 5_000))
    with ExitStack() as stack:
        urls = {length: stack.enter_context(sqlite()) for length in lengths}

        def stored(what: str, length: int) -> Callable[[], Values]:
            return lambda: script("store", what, length, 5000, DATABASE_URL=urls[length])

        yield [
            Row(
                f"replay of {events:,} events to one socket, uvicorn",
                (Measure("per_second", "events per second", {alone: 1}, is_headline=True),),
                (
                    Peer(f"ours, batched ({V1})", lambda: replay("uvicorn", events, V1, times)),
                    Peer("ours, one per frame", lambda: replay("uvicorn", events, "", times)),
                    Peer(alone, stored("read", events)),
                ),
            ),
            Row(
                "the first page of a trace (500 events), by its length",
                (Measure("per_second", "pages per second"),),
                tuple(Peer(f"ours, {length:,} events", stored("page", length)) for length in lengths),
            ),
        ]
