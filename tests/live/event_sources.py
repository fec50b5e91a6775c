"""Readers of server-sent events that behave as a browser's ``EventSource``: they come back until they are told 204."""

from __future__ import annotations

import http.client
import json
import threading
from collections import defaultdict
from typing import Any

from tests.live.servers import Server

RETRY_SECONDS = 0.1
"""Instead of what the server says: a test is in a hurry."""


class EventSource(threading.Thread):
    """Reads in a thread until the end, or until it is closed."""

    def __init__(self, server: Server, trace_id: str, query: str = "since=0") -> None:
        super().__init__(daemon=True)
        self.server = server
        self.received: list[dict[str, Any]] = []
        self.named: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """What else was said, by its name."""
        self.connections = 0
        self.status = 0
        """Of the last answer."""
        self._path = f"/api/traces/{trace_id}/stream?{query}"
        self._last_event_id: str | None = None
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._socket: Any = None

    def run(self) -> None:
        while self.status in (0, 200) and not self._closed.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            try:
                self._read(connection)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            self._closed.wait(RETRY_SECONDS)

    def _read(self, connection: http.client.HTTPConnection) -> None:
        headers = {"Accept": "text/event-stream"}
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        connection.request("GET", self._path, headers=headers)
        self._socket = connection.sock
        with connection.getresponse() as response:
            self.status = response.status
            self.connections += 1
            message: dict[str, str] = {}
            while line := response.readline().decode():
                if line == "\n":
                    self._dispatch(message)
                    message = {}
                elif line.endswith("\n"):  # a line that the connection broke in is none
                    name, _, value = line.removesuffix("\n").partition(": ")
                    message[name] = value

    def _dispatch(self, message: dict[str, str]) -> None:
        with self._changed:
            self._last_event_id = message.get("id", self._last_event_id)
            if "event" in message:
                self.named[message["event"]].append(json.loads(message["data"]))
            elif "data" in message:
                self.received.append(json.loads(message["data"]))
            self._changed.notify_all()

    def has(self, count: int, seconds: float = 60) -> None:
        """Wait until this many events have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), len(self.received)

    def is_live(self, times: int = 1, seconds: float = 60) -> None:
        """Wait until so many connections have replayed what there was."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.named["live"]) >= times, seconds), dict(self.named)

    def close(self) -> None:
        """The page is left."""
        self._closed.set()
        if self._socket is not None:
            try:
                self._socket.shutdown(2)
            except OSError:
                pass
        self.join(60)
