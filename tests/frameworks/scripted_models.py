"""OpenAI's interface on this machine, with answers that are known before."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Look up.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        },
    }
]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "fake-1-2026"}


class Answers(BaseHTTPRequestHandler):
    """Calls ``lookup`` when it is offered tools, says "It is delta.", and has enough of who says "fail"."""

    def log_message(self, *args: Any) -> None: ...

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = asked["messages"][-1]
        if last["content"] == "fail":
            self._answer(429, {"error": {"message": "slow down", "type": "rate_limit"}})
            return
        if asked.get("stream"):
            self._stream("It ", "is ", "delta.")
            return
        message: dict[str, Any] = {"role": "assistant", "content": "It is delta."}
        if asked.get("tools") and last["role"] == "user":
            call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"key": "a"}'}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls" if "tool_calls" in message else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        self._answer(200, {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, *pieces: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        chunk = {**HEAD, "object": "chat.completion.chunk"}
        told: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
        for delta in told:
            self._write({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._write({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")

    def _write(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")


@contextmanager
def scripted_models() -> Iterator[str]:
    """The base URL of a server that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
