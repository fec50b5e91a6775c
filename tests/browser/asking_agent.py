"""An agent in a process of its own: it asks for an approval, and says what it goes on with."""

from __future__ import annotations

import sys

import django

django.setup()

from trace_streaming import TraceEmitter  # noqa: E402

with TraceEmitter(sys.argv[1]) as emitter:
    emitter.emit("plan_created", {"steps": 2}, "success")
    decision = emitter.request_approval(
        "send_email",
        tool_name="mail",
        risk_level="high",
        arguments={"to": "bob", "text": "Hello <b>Bob</b>", "password": "hunter2"},
        timeout=60,
    )
    with emitter.tool_call("mail", decision=decision.decision, text=decision.arguments.get("text")) as call:
        call.result = {"is_whole": decision.arguments.get("password") == "hunter2"}
assert emitter.flush(10)
