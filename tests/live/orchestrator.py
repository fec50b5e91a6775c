"""A program without Django that emits into a server: ``python orchestrator.py URL TOKEN TRACE COUNT``."""

from __future__ import annotations

import sys
import time

from trace_streaming.remote import RemoteTraceEmitter

url, token, trace_id, count = sys.argv[1:]
with RemoteTraceEmitter(url, token, trace_id, metadata={"task": "tides"}) as emitter:
    for number in range(int(count)):
        emitter.emit("tool_call_complete", {"number": number, "by": "script"}, "success")
        time.sleep(0.002)  # as fast as an agent that is in a hurry
assert emitter.flush(300)  # longer than ten restarts take on a busy machine
assert "django.db" not in sys.modules
sys.stdout.write(f"{emitter.lost}\n")
