"""A load client that is never the bottleneck: picows, and no parsing beyond a search for the event's number.

Reads one command a line, answers one line of JSON each: the methods of ``Run``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import zlib
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

ACKNOWLEDGE_BYTES = 256 * 1024


class Counted(Protocol):
    """A connection, and what it has received."""

    received: int
    last: int
    disordered: int
    bytes: int


def sent_at(payload: bytes) -> int:
    """When the last event of a frame was sent, in nanoseconds."""
    start = payload.rfind(b'"sent":')
    return int(payload[start + 7 : payload.find(b",", start)])


def numbered(url: str, number: int) -> str:
    """``{n}`` is the socket's number, ``{n+1000}`` that and a thousand."""
    return re.sub(r"\{n(?:\+(\d+))?\}", lambda found: str(number + int(found[1] or 0)), url)


class Client(WSListener):
    """Counts what one socket receives."""

    run: Run

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.received = 0
        self.last = 0
        self.disordered = 0
        self.bytes = 0
        self.unacknowledged = 0
        self.greeted = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        payload = frame.get_payload_as_bytes()
        self.bytes += len(payload)
        if frame.rsv1:
            payload = zlib.decompress(payload + b"\x00\x00\xff\xff\x03\x00", wbits=-15)
        start = payload.find(b'"n":')
        if start < 0:
            self.greeted.set()
            return
        is_batch = payload.startswith(b'{"type"')
        first = int(payload[start + 4 : payload.find(b",", start)])
        count = payload.count(b'"n":') if is_batch else 1
        self.disordered += first != self.last + 1
        self.received += count
        self.last = first + count - 1
        if self.run.timed == "last":
            self.run.times[self.last] = time.time_ns()
            if self.last not in self.run.sent:
                self.run.sent[self.last] = sent_at(payload)
        elif self.run.timed == "each":
            self.run.delays.append(time.time_ns() - sent_at(payload))
        if is_batch:
            self.unacknowledged += len(payload)
            if self.unacknowledged > ACKNOWLEDGE_BYTES:
                self.unacknowledged = 0
                start = payload.rfind(b'"sequence":')
                sequence = payload[start + 11 :].split(b"}")[0].split(b",")[0]
                transport.send(WSMsgType.TEXT, b'{"type":"ack","sequence":%b}' % sequence)
        if self.received >= self.run.expected:
            self.run.has_all(self)


class EventSource(asyncio.Protocol):
    """Counts what one stream of server-sent events receives."""

    def __init__(self, run: Run, path: str) -> None:
        self.run = run
        self.path = path
        self.received = self.last = self.disordered = self.bytes = 0
        self.is_open = asyncio.get_running_loop().create_future()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        request = f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        cast("asyncio.Transport", transport).write(request.encode())

    def data_received(self, data: bytes) -> None:
        if not self.is_open.done():
            self.is_open.set_result(None)
        self.bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if (start := line.find(b'"n":')) >= 0:
                number = int(line[start + 4 : line.find(b",", start)])
                self.disordered += number != self.last + 1
                self.received += 1
                self.last = number
                if self.run.timed == "each":
                    self.run.delays.append(time.time_ns() - sent_at(line))
        if self.received >= self.run.expected:
            self.run.has_all(self)


class Run:
    """All sockets of this process."""

    def __init__(self) -> None:
        self.clients: list[Counted] = []
        self.expected = 1 << 60
        self.complete: set[Counted] = set()
        self.done = asyncio.Event()
        self.timed = ""
        self.delays: list[int] = []
        self.times: dict[int, int] = {}
        self.sent: dict[int, int] = {}

    def has_all(self, client: Counted) -> None:
        self.complete.add(client)
        if len(self.complete) == len(self.clients):
            self.done.set()

    async def connect(
        self, url: str, count: str, subprotocol: str = "-", extensions: str = "-", greets: str = ""
    ) -> dict[str, Any]:
        """Open sockets; where the server greets, until all are greeted: a socket that is open may not watch yet."""

        def new() -> Client:
            client = Client()
            client.run = self
            return client

        if url.startswith("http:"):
            return await self._connect_event_sources(url, int(count))
        asked = {"Sec-WebSocket-Protocol": subprotocol, "Sec-WebSocket-Extensions": extensions}
        headers = {name: value for name, value in asked.items() if value != "-"}
        for start in range(0, int(count), 50):
            size = min(50, int(count) - start)
            made = await asyncio.gather(
                *(
                    ws_connect(new, numbered(url, start + n), extra_headers=headers, max_frame_size=1 << 24)
                    for n in range(size)
                )
            )
            clients = [cast("Client", client) for _, client in made]
            if greets:
                await asyncio.gather(*(client.greeted.wait() for client in clients))
            self.clients += clients
        return {"connected": len(self.clients)}

    async def _connect_event_sources(self, url: str, count: int) -> dict[str, Any]:
        address = urlsplit(url)
        loop = asyncio.get_running_loop()
        for number in range(count):
            _, source = await loop.create_connection(
                partial(EventSource, self, numbered(address.path, number)),
                address.hostname or "",
                address.port or 80,
            )
            await source.is_open
            self.clients.append(source)
        return {"connected": len(self.clients)}

    async def replay(self, url: str, count: str, subprotocol: str = "-") -> dict[str, Any]:
        """Connect one socket, and wait until it has so many events."""
        self.expected = int(count)
        started = time.perf_counter()
        await self.connect(url, "1", subprotocol)
        if self.clients[-1].received >= self.expected:
            self.has_all(self.clients[-1])
        await asyncio.wait_for(self.done.wait(), 120)
        return {"seconds": time.perf_counter() - started, "received": self.clients[-1].received}

    async def expect(self, count: str, patience: str, timed: str = "") -> dict[str, Any]:
        """Wait until each socket has so many more events, or nothing new has come for so many seconds.

        ``timed``: ``last`` measures from the sending of each event to the last socket, ``each`` to each one's own.
        """
        self.complete.clear()
        self.done.clear()
        self.times.clear()
        self.sent.clear()
        self.delays.clear()
        self.timed = timed
        for client in self.clients:
            client.received = client.last = client.disordered = client.bytes = 0
        self.expected = int(count)
        print(json.dumps({"ready": True}), flush=True)
        started = time.perf_counter()
        seen = -1
        while not self.done.is_set():
            try:
                await asyncio.wait_for(self.done.wait(), float(patience))
            except TimeoutError:
                received = sum(client.received for client in self.clients)
                if received == seen:
                    break
                seen = received
        received = sum(client.received for client in self.clients)
        delays = sorted(self.delays or (self.times[n] - self.sent[n] for n in self.times))
        return {
            "seconds": time.perf_counter() - started,
            "received": received,
            "lost": int(count) * len(self.clients) - received,
            "disordered": sum(client.disordered for client in self.clients),
            "bytes": sum(client.bytes for client in self.clients),
            "p50_ms": delays[len(delays) // 2] / 1e6 if delays else None,
            "p99_ms": delays[len(delays) * 99 // 100] / 1e6 if delays else None,
        }


async def main() -> None:
    run = Run()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *arguments = line.split()
        print(json.dumps(await getattr(run, name)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
