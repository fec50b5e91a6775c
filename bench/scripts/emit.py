"""What one emit costs its caller, beside one line of logging: ``emit (ours|logging|redaction|text) COUNT [THREADS]``.

``redaction`` and ``text`` measure redaction alone.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import django

DETAILS = {
    "tool": "search_contacts",
    "duration_ms": 12.5,
    "args": {"query": "name = 'Bob'", "limit": 10},
    "ok": True,
    "rows": [1, 2, 3],
}


def measured(emit: Callable[[], object], count: int, threads: int) -> dict[str, float]:
    """Percentiles of the time of one call, in microseconds, and the calls per second of all threads."""
    times: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: times.extend(timed(emit, count // threads)), range(threads)))
        seconds = time.perf_counter() - started
    cuts = quantiles(times, n=100)
    return {"p50_us": cuts[49], "p99_us": cuts[98], "per_second": len(times) / seconds}


def timed(emit: Callable[[], object], count: int) -> list[float]:
    """How long each call takes, in microseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter_ns()
        emit()
        times.append((time.perf_counter_ns() - started) / 1000)
    return times


def ours(count: int, threads: int) -> dict[str, float]:
    """With redaction, freezing, the signal and the queue; the writer stores nothing, so that it takes no turns."""
    django.setup()
    from trace_streaming import TraceEmitter
    from trace_streaming.storage import store

    store.append = lambda *_: []
    emitter = TraceEmitter("t")
    return measured(lambda: emitter.emit("tool_call_complete", DETAILS, "success"), count, threads)


def log(count: int, threads: int) -> dict[str, float]:
    """The standard library's way to hand a record to another thread."""
    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.QueueHandler(queue.Queue()))
    return measured(lambda: logger.info("tool_call_complete %s", DETAILS), count, threads)


RECORDING = Path(__file__).parents[2] / "cuga_site" / "recordings" / "swe-agent-ctf-katy.jsonl"


def redaction(count: int, threads: int) -> dict[str, float]:
    """Alone, of a recorded event of 1.4 KB; no two are the same, so that nothing is remembered of the one before."""
    from trace_streaming.redaction import redact

    recorded = [json.loads(line)["details"] for line in RECORDING.read_bytes().splitlines()]
    text = next(text for details in recorded if 1_350 < len(text := json.dumps(details)) < 1_600)
    details = [json.loads(text) for _ in range(count)]
    for number, each in enumerate(details):
        each["result"] += f" {number}"
    left = iter(details)
    return measured(lambda: redact(next(left)), count, threads)


def text(count: int, threads: int) -> dict[str, float]:
    """Alone, of a text of 25 KB."""
    from trace_streaming.redaction import redact_text

    texts = [json.loads(line)["details"].get("result", "") for line in RECORDING.read_bytes().splitlines()]
    longest = ("\n".join(texts) * 8)[:25_000]
    return measured(lambda: redact_text(longest), count, threads)


PEERS = {"ours": ours, "logging": log, "redaction": redaction, "text": text}

if __name__ == "__main__":
    who, *numbers = sys.argv[1:]
    count, threads = [*map(int, numbers), 1][:2]
    print(json.dumps(PEERS[who](count, threads)))
