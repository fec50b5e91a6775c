"""A server with scripted answers, for what the real one does not do on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Scripted = tuple[int, dict[str, str], dict[str, Any]]
STORED: Scripted = (200, {}, {"stored": True, "errors": []})
HELD: Scripted = (200, {}, {"held": 1, "expires_in": 30.0})


class ScriptedServer:
    """Answers with what it is given, in this order, and from then on that all is stored."""

    def __init__(self, *answers: Scripted) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Path and body of all but beats."""
        self.beats: list[dict[str, Any]] = []
        self.beat_answer = HELD
        self.authorizations: list[str | None] = []
        self.gate = threading.Event()
        """Answers wait for it."""
        self.gate.set()
        self._answers = list(answers)
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/beat"):
                    script.beats.append(body)
                    return self.answer(*script.beat_answer)
                script.requests.append((self.path, body))
                script.authorizations.append(self.headers["Authorization"])
                script.gate.wait(60)
                return self.answer(*(script._answers.pop(0) if script._answers else STORED))

            def answer(self, status: int, headers: dict[str, str], data: dict[str, Any]) -> None:
                text = orjson.dumps(data)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Not to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def batches(self) -> list[list[Any]]:
        """The ``n`` of the events of each request."""
        return [
            [event["details"].get("n") for event in body["events"]] for _, body in self.requests if "events" in body
        ]

    @contextmanager
    def serving(self) -> Iterator[ScriptedServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html>\n<p>Welcome\n\n<p>To all\n\n")

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Not to the terminal."""


@contextmanager
def page_server() -> Iterator[str]:
    """The URL of another site: whatever it is asked, it answers with its page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
