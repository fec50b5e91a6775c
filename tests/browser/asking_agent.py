"""An agent in a process of its own: it asks for an approval, and says what it goes on with."""

from __future__ import annotations

import sys
from typing import Any

import django

django.setup()

from trace_streaming import TraceEmitter  # noqa: E402

QUESTIONS: dict[str, dict[str, Any]] = {
    "fields": {
        "arguments": {
            "to": ["bob"],
            "body": "Dear Bob,\n\nhello.\n",
            "copies": 9007199254740993,
            "urgent": False,
            "tone": "warm",
        },
        "schema": {"properties": {"tone": {"enum": ["warm", "cool"]}}},
    },
    "order": {
        "arguments": {
            "path": "annex\u202efdp.exe",
            "names": ["\u2066a"],
            "to": "b\u00f6b \u05d0",
            "keep\u202eeteled": "all",
            "\u202eyrd": True,
        }
    },
    "lines": {
        "arguments": {"head": "To: bob\r\nSubject: tea\r\n", "body": "Dear Bob,\r\n\r\nhello.", "odd": "a\rb\nc"}
    },
}
SIMPLE: dict[str, Any] = {"arguments": {"to": "bob", "text": "Hello <b>Bob</b>", "password": "hunter2"}}

with TraceEmitter(sys.argv[1]) as emitter:
    emitter.emit("plan_created", {"steps": 2}, "success")
    decision = emitter.request_approval(
        "send_email",
        tool_name="mail",
        risk_level="high",
        timeout=60,
        **QUESTIONS.get(sys.argv[1], SIMPLE),
    )
    with emitter.tool_call("mail", decision=decision.decision, text=decision.arguments.get("text")) as call:
        is_whole = decision.arguments.get("password") == "hunter2"
        call.result = {"arguments": decision.arguments} if sys.argv[1] in QUESTIONS else {"is_whole": is_whole}
assert emitter.flush(60)
