"""What text that streams takes of a processor, and of who waits for one: ``stream CALLS SECONDS``.

Each call says 20 pieces a second, of 5 characters, behind 3,000 that it has said: of what a recorded agent has read.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from statistics import quantiles

from trace_streaming.emitting.text_streams import TextStream
from trace_streaming.events.deltas import TextDelta
from trace_streaming.redaction import redact

RECORDING = Path(__file__).parents[2] / "cuga_site" / "recordings" / "swe-agent-ctf-katy.jsonl"
BEFORE, PIECE, PAUSE = 3_000, 5, 0.05


def main(calls: int, seconds: float) -> dict[str, float]:
    """Of all calls together; ``p99_ms`` is how late another thread of the process wakes."""
    read = [json.loads(line)["details"].get("result") for line in RECORDING.read_bytes().splitlines()]
    text = "\n\n".join(each for each in read if isinstance(each, str)) * 40
    told, late, is_over = [0], list[float](), threading.Event()

    def tell(delta: TextDelta) -> None:
        told[0] += 1

    def wake() -> None:
        while not is_over.is_set():
            began = time.perf_counter()
            time.sleep(0.005)
            late.append((time.perf_counter() - began - 0.005) * 1000)

    streams = [TextStream(f"t-{number}", "c", redact, tell) for number in range(calls)]
    texts = [text[number * 500 : number * 500 + 20_000] for number in range(calls)]
    for stream, said in zip(streams, texts, strict=True):
        for first in range(0, BEFORE, 500):
            stream._text.add(said[first : first + 500])
    threading.Thread(target=wake, daemon=True).start()
    began, used = time.monotonic(), time.process_time()
    for step in range(int(seconds / PAUSE)):
        first = BEFORE + step * PIECE
        for stream, said in zip(streams, texts, strict=True):
            stream.put(said[first : first + PIECE])
        time.sleep(max(began + (step + 1) * PAUSE - time.monotonic(), 0))
    took, used = time.monotonic() - began, time.process_time() - used
    is_over.set()
    return {
        "cpu_percent": used / took * 100,
        "told_per_second": told[0] / took / calls,
        "p99_ms": quantiles(late, n=100)[98],
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]))))
