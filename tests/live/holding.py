"""A process that has a trace open: ``python -m tests.live.holding TRACE [URL TOKEN]``.

It emits a start, goes on with each line that it reads, and says each time when that is stored.
"""

from __future__ import annotations

import sys

import django

from trace_streaming.emitting.contract import Emitter


def hold(emitter: Emitter) -> None:
    emitter.emit("tool_call_start", {"tool": "search", "call_id": "c-1"})
    while True:
        assert emitter.flush(30)
        sys.stdout.write("stored\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            break
        emitter.emit("plan_created")


if __name__ == "__main__":
    trace_id, *where = sys.argv[1:]
    if where:
        from trace_streaming.remote import RemoteTraceEmitter

        url, token = where
        hold(RemoteTraceEmitter(url, token, trace_id))
    else:
        from trace_streaming import TraceEmitter

        django.setup()
        hold(TraceEmitter(trace_id))
