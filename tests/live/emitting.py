"""A process that emits, as a worker or a script does. It reads one command a line, and says when all is stored."""

from __future__ import annotations

import itertools
import json
import sys
import time

import django

from trace_streaming import TraceEmitter


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    from trace_streaming.recorder import recorder

    numbers = itertools.count()
    for line in sys.stdin:
        command = json.loads(line)
        emitters = [TraceEmitter(trace_id) for trace_id in command["traces"]]
        for _ in range(command["count"]):
            details = {"by": command["by"], "number": next(numbers)}
            for emitter in emitters:
                emitter.emit("plan_created", details, "success")
            time.sleep(command["pause"])  # the pace of the run
        say("emitted")
        say("stored" if recorder.flush(60) and not recorder.lost else "lost")


if __name__ == "__main__":
    django.setup()
    main()
