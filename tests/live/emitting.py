"""A process that emits, as a worker or a script does. It reads one command a line, and says how far it is."""

from __future__ import annotations

import itertools
import json
import os
import select
import time
from concurrent.futures import Future
from functools import partial

import django

from trace_streaming import TraceEmitter


def say(*words: object) -> None:
    """One line, in one piece: the writer thread says something, too."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def said(number: int, stored: Future[None]) -> None:
    say("stored", number)


def main() -> None:
    from trace_streaming.recording.recorder import recorder

    numbers = itertools.count(1)
    with open(0, "rb", buffering=0) as commands:  # unbuffered, so that select tells of each line
        while line := commands.readline():
            command = json.loads(line)
            emitters = [TraceEmitter(trace_id) for trace_id in command["traces"]]
            for number in itertools.islice(numbers, command["count"]):
                for emitter in emitters:
                    emitter.emit("plan_created", {"by": command["by"], "number": number}, "success")
                    if command["tell"]:
                        emitter.stream_text("speech", f"This is piece {number} of what it says. ")
                if command["tell"]:
                    say("emitted", number)
                    recorder.barrier().add_done_callback(partial(said, number))
                if command["count"] is not None:
                    time.sleep(command["pause"])  # the pace of the run
                elif select.select([commands], [], [], command["pause"])[0]:
                    commands.readline()  # any line ends it
                    break
            say("emitted")
            say("stored" if recorder.flush(60) and not recorder.lost else "lost")


if __name__ == "__main__":
    django.setup()
    main()
