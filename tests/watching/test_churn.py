"""Invariant 7: thousands of sockets that come and go, and ones that are cancelled at each await, leave nothing."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import random
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import orjson
import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from pytest_django import Settings

from tests.watching.sockets import Socket
from trace_streaming import TraceEmitter
from trace_streaming.storage import event_rows
from trace_streaming.watching import hubs, publisher
from trace_streaming.watching.topics import Topic
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)

PROFILES = pytest.mark.parametrize("subprotocol", [None, SUBPROTOCOL], ids=["plain", "v1"])
SECONDS: Final = 10.0
"""How long anything may take that is bound to happen."""


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> InMemoryChannelLayer:
    """A channel layer of the test's own; nothing happens because of a clock, and a page has four events."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = settings.TRACE_STREAMING_HEARTBEAT_SECONDS = 1000
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 4)
    layer = InMemoryChannelLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    return layer


@pytest.fixture(autouse=True)
async def _nothing_stays(layer: InMemoryChannelLayer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    tasks = asyncio.all_tasks()
    yield
    await nothing_is_left(layer)
    await until(lambda: asyncio.all_tasks() <= tasks | {asyncio.current_task()})
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other tasks and threads do."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.0005)


async def nothing_is_left(layer: InMemoryChannelLayer) -> None:
    await until(lambda: not hubs.running)
    assert hubs.connections_by_trace() == {}
    assert publisher._inboxes == []
    assert layer.groups == {}
    await until(lambda: not any(thread.name.startswith("trace-reader") for thread in threading.enumerate()))


def ignore(text: str) -> None:
    """What a client does that is not asked."""


# Many, at random moments.


async def visit(chance: random.Random, trace_id: str) -> None:
    """Connect, and be gone at a random moment: on the way in, in the replay, live, or on the way out."""
    since = chance.choice(["", "?since=0"])
    subprotocol, has_wire = chance.choice([None, SUBPROTOCOL]), chance.choice([True, False])
    socket = Socket(trace_id + since, subprotocol, ignore, has_wire=has_wire)
    if chance.random() < 0.2:
        socket.reads.clear()
    for _ in range(int(2 ** chance.uniform(0, 9))):
        await asyncio.sleep(0)
    how = chance.choice(["cut", "hang up", "close and hang up", "close and cut"])
    if how.startswith("close"):
        socket.say("close")
        socket.say('{"type":"close"}')
    if how.endswith("hang up"):
        await socket.hang_up()
    else:
        await socket.cut()


async def churn(chance: random.Random, visits: int) -> None:
    """So many visits, fifty at a time, while events are emitted."""
    for number in range(visits // 50):
        emitter = TraceEmitter(f"churn-{number % 3}")
        for _ in range(20):
            emitter.emit("plan_created")
        await asyncio.gather(*(visit(chance, f"churn-{chance.randrange(3)}") for _ in range(50)))
        assert hubs.connections_by_trace() == {}
        assert await emitter.aflush(SECONDS)


async def test_thousands_come_and_go(layer: InMemoryChannelLayer) -> None:
    """The second thousand finds everything as the first one did, and leaves not even one object for each."""
    chance = random.Random(7)
    blocks = []
    for _ in range(2):
        await churn(chance, 1000)
        await nothing_is_left(layer)
        await layer.flush()  # it forgets what it has told nobody in a minute
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[1] - blocks[0] < 1000


# One, cancelled at each await.


class Fate:
    """Cancels a connection at the n-th moment of its life: when it waits, when it goes on, or in its pump's work."""

    at_work: Fate
    """The newest one, for what all connections share."""

    def __init__(self, moment: int) -> None:
        self.task: asyncio.Task[None] | None = None
        self._left = moment
        Fate.at_work = self

    @property
    def has_come(self) -> bool:
        return self._left < 0

    def comes(self) -> bool:
        """Whether it comes in this moment."""
        self._left -= 1
        return self._left == -1

    def may_cancel(self) -> None:
        if self.comes() and self.task is not None:
            self.task.cancel()


class Cancelled(Coroutine[Any, Any, None]):
    """A connection in the hands of its fate."""

    def __init__(self, connection: Coroutine[Any, Any, None], fate: Fate) -> None:
        self._connection = connection
        self._fate = fate

    def send(self, value: Any) -> Any:
        if self._fate.comes():  # in the moment in which what it waited for is there
            return self._connection.throw(asyncio.CancelledError())
        waits_for = self._connection.send(value)
        self._fate.may_cancel()
        return waits_for

    def throw(self, *error: Any) -> Any:
        return self._connection.throw(*error)

    def close(self) -> None:
        self._connection.close()

    def __await__(self) -> Any:
        raise NotImplementedError  # only tasks run it


class Visitor:
    """A client that wants to see a trace's replay, its end, and an answer; or is cancelled on the way."""

    def __init__(self, trace_id: str, subprotocol: str | None, fate: Fate, since: int = 0) -> None:
        self.sequences: list[int] = []
        self.frames = 0
        self._fate = fate
        self._news = asyncio.Event()
        self.socket = Socket(f"{trace_id}?since={since}", subprotocol, self._take, lambda c: Cancelled(c, fate))
        fate.task = self.socket.task
        self.socket.task.add_done_callback(lambda task: self._news.set())

    async def has(self, sequence: int) -> None:
        """Wait until it has got everything up to an event, or was cancelled."""
        await self.gets(lambda: self.sequences[-1:] == [sequence])

    async def gets(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not (what() or self.socket.task.done()):
                self._news.clear()
                await self._news.wait()

    def _take(self, text: str) -> None:
        self.frames += 1
        self._fate.may_cancel()
        if text != "pong":
            frame = orjson.loads(text)
            self.sequences += [event["sequence"] for event in frame.get("events", [])]
            if frame.get("event") == "plan_created":
                self.sequences.append(frame["sequence"])
        self._news.set()


async def emit(trace_id: str, count: int) -> None:
    emitter = TraceEmitter(trace_id)
    for _ in range(count):
        emitter.emit("plan_created")
    assert await emitter.aflush(SECONDS)


async def live_through(trace_id: str, subprotocol: str | None, fate: Fate, since: int) -> None:
    """Connect, read a replay of ten events, go on live for two, ask, close: until fate comes."""
    await emit(trace_id, 10)
    visitor = Visitor(trace_id, subprotocol, fate, since)
    await visitor.has(since + 10)
    await emit(trace_id, 2)
    await visitor.has(since + 12)
    frames = visitor.frames
    visitor.socket.say('{"type":"ping"}' if subprotocol else "ping")
    await visitor.gets(lambda: visitor.frames > frames)
    visitor.socket.say('{"type":"close"}' if subprotocol else "close")
    await visitor.gets(visitor.socket.task.done)
    assert visitor.socket.task.cancelled() or visitor.socket.task.exception() is None
    assert visitor.sequences == list(range(since + 1, since + 1 + len(visitor.sequences)))
    assert fate.has_come or (visitor.socket.close_code, len(visitor.sequences)) == (1000, 12)


@pytest.fixture
def _fateful_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the log is read in a connection's pump."""
    read = Topic.read

    async def fateful_read(self: Topic, *args: Any) -> Any:
        Fate.at_work.may_cancel()
        try:
            return await read(self, *args)
        finally:
            Fate.at_work.may_cancel()

    monkeypatch.setattr(Topic, "read", fateful_read)


@PROFILES
@pytest.mark.usefixtures("_fateful_reads")
async def test_one_that_is_cancelled_at_each_await_leaves_nothing(
    layer: InMemoryChannelLayer, subprotocol: str | None
) -> None:
    """On the way in, in the replay, live, and on the way out."""
    for moment in itertools.count():
        fate = Fate(moment)
        await live_through(f"t-{moment}", subprotocol, fate, 0)
        await nothing_is_left(layer)
        if not fate.has_come:
            break
    assert moment > 15


@PROFILES
@pytest.mark.usefixtures("_fateful_reads")
async def test_one_that_is_cancelled_at_each_await_takes_nothing_from_another(
    layer: InMemoryChannelLayer, subprotocol: str | None
) -> None:
    """Its neighbour, who watches the same trace, misses nothing, and is counted as before."""
    neighbour = Visitor("t", subprotocol, Fate(sys.maxsize))
    for moment in itertools.count():
        fate = Fate(moment)
        await live_through("t", subprotocol, fate, 12 * moment)
        await neighbour.has(12 * (moment + 1))
        assert hubs.connections_by_trace() == {"t": 1}
        if not fate.has_come:
            break
    assert neighbour.sequences == list(range(1, 12 * (moment + 1) + 1))
    await neighbour.socket.hang_up()
