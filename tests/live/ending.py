"""A process that emits, and ends at once in one of many ways: ``python -m tests.live.ending WAY TRACE COUNT``."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import django

PROCESSES = 3


def emit(trace_id: str, count: int, by: str) -> None:
    from trace_streaming import TraceEmitter

    emitter = TraceEmitter(trace_id)
    for number in range(1, count + 1):
        emitter.emit("plan_created", {"by": by, "number": number}, "success")


def emit_in_a_child(trace_id: str, count: int, by: str) -> None:
    """What a spawned child begins with is an empty interpreter."""
    django.setup()
    emit(trace_id, count, by)


def children(method: str, trace_id: str, count: int) -> None:
    """``multiprocessing``: the parent emits, too, before and after."""
    context: Any = multiprocessing.get_context(method)
    emit(trace_id, count, "before")
    processes = [
        context.Process(target=emit_in_a_child, args=(trace_id, count, f"child {n}")) for n in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    emit(trace_id, count, "after")
    for process in processes:
        process.join()


def pool(method: str, trace_id: str, count: int) -> None:
    """``concurrent.futures``: children that end with the pool, long after the first of what they emitted."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context(method)) as executor:
        jobs = [executor.submit(emit_in_a_child, trace_id, count, f"job {n}") for n in range(PROCESSES)]
        for job in jobs:
            job.result()


def script(end: Callable[[], None], trace_id: str, count: int) -> None:
    emit(trace_id, count, "script")
    end()


def signalled(number: int) -> None:
    os.kill(os.getpid(), number)
    while True:
        signal.pause()


def fails() -> None:
    raise LookupError("nobody handles this")


WAYS: dict[str, Callable[[str, int], None]] = {
    "returns": partial(script, lambda: None),
    "exits": partial(script, partial(sys.exit, 3)),
    "fails": partial(script, fails),
    "is interrupted": partial(script, partial(signalled, signal.SIGINT)),
    "is terminated": partial(script, partial(signalled, signal.SIGTERM)),
    "forks": partial(children, "fork"),
    "spawns": partial(children, "spawn"),
    "has a server that forks": partial(children, "forkserver"),
    "has a pool that forks": partial(pool, "fork"),
    "has a pool that spawns": partial(pool, "spawn"),
    "has a pool with a server that forks": partial(pool, "forkserver"),
}

if __name__ == "__main__":
    django.setup()
    way, trace, events = sys.argv[1:]
    WAYS[way](trace, int(events))
