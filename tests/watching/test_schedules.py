"""Any schedule of emits, connects, cuts and faults: whoever is still there has got everything, in order, once.

Hypothesis invents schedules, and plays each against the real pieces: emitters, the recorder's thread, the store on the
test database, a channel layer that misbehaves, the hub, and consumers of both profiles. Nothing waits for a clock:
where time would have to pass, the hub is asked to look at once.

A schedule that fails is printed, and is played again by ``check(Schedule(...))``. It does not always fail again:
threads take part in it. ``SOAK_SECONDS=1200`` plays until the time is over (``make soak``), and says what was seen.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import hypothesis
import orjson
import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import strategies as st
from pytest_django import Settings

from tests.watching.sockets import Socket
from trace_streaming import TraceEmitter, consumers
from trace_streaming.connections import open_sockets
from trace_streaming.events import END_STATES, EncodedEvent
from trace_streaming.models import Event, Trace
from trace_streaming.signals import events_recorded
from trace_streaming.storage import event_rows, retention, store, threads
from trace_streaming.testing import FaultyChannelLayer
from trace_streaming.watching import (
    channel_layer,
    cursor,
    hubs,
    listener,
    publisher,
    reader,
    subscription,
    topics,
    window,
)
from trace_streaming.wire import batches, frames, profiles
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.protocol import SUBPROTOCOL

SOAK_SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "0"))
SOME, MANY = 200, 500
"""Schedules of one round; a soak has as many rounds as fit."""
PATIENCE_SECONDS: Final = 10.0
"""How long anything may take that is bound to happen."""
TRACES: Final = 2
WATCHERS: Final = 4

seen: Counter[str] = Counter()
"""What all schedules together have tried."""


@pytest.fixture
def _scaled_down(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """All bounds so small that a schedule of a few events reaches them; and nothing happens because of a clock."""
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 2048)
    monkeypatch.setattr(batches, "MAX_FRAME_BYTES", 2048)
    for module in (profiles, window):
        monkeypatch.setattr(module, "WINDOW_BYTES", 4096)
    monkeypatch.setattr(cursor, "MAX_WAITING_BYTES", 4096)
    monkeypatch.setattr(topics, "RING_EVENTS", 8)
    monkeypatch.setattr(topics, "RING_BYTES", 4096)
    monkeypatch.setattr(event_rows, "PAGE_EVENTS", 4)
    monkeypatch.setattr(event_rows, "PAGE_BYTES", 2048)
    for module in (reader, listener):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(consumers, "CLOSE_SECONDS", 0.001)
    monkeypatch.setitem(channel_layers.backends, "default", None)  # each schedule sets its own
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    for name in ("HEAD_CHECK_SECONDS", "HEARTBEAT_SECONDS", "STALL_SECONDS"):
        setattr(settings, f"TRACE_STREAMING_{name}", 1000)


class Threads(ThreadPoolExecutor):
    """Threads that outlive the loops and hubs that use them, as their database connections do."""

    def __init__(self) -> None:
        self._connections: list[BaseDatabaseWrapper] = []
        super().__init__(8, initializer=lambda: self._connections.append(connections[store.database()]))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """The next schedule needs them."""

    def end(self) -> None:
        super().shutdown()
        for connection in self._connections:
            connection.inc_thread_sharing()
            connection.close()


@pytest.fixture
def _lasting_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Making connections would take half of the time."""
    lasting = Threads()
    monkeypatch.setitem(connections.settings[store.database()], "CONN_MAX_AGE", None)
    monkeypatch.setattr(threads, "ThreadPoolExecutor", lambda *args, **kwargs: lasting)
    monkeypatch.setattr(World, "threads", lasting, raising=False)
    yield
    lasting.end()


@pytest.fixture
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count how often a watcher had to read the log because the channel layer had failed it, and reads under way."""
    fall_behind = subscription.Subscription.fall_behind
    run = threads.DatabaseThreads.run

    def counted(self: subscription.Subscription, *cause: str) -> None:
        seen["healed gaps"] += 1
        fall_behind(self, *cause)

    async def noticed(self: threads.DatabaseThreads, *args: Any) -> Any:
        World.reads += 1
        try:
            return await run(self, *args)
        finally:
            World.reads -= 1

    monkeypatch.setattr(subscription.Subscription, "fall_behind", counted)
    monkeypatch.setattr(threads.DatabaseThreads, "run", noticed)


async def until(condition: Callable[[], object], *what: object) -> None:
    """Wait for what other tasks and threads do."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.0005)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_SECONDS} seconds", *what) from None


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(store.with_fresh_connection, function, *args)


# What was emitted.


@dataclass
class Log:
    """What became of one trace, over all of its lives."""

    trace_id: str
    emitter: TraceEmitter
    emitted: list[int] = field(default_factory=list)
    """The mark of each event, in the order of their emits."""
    ends: list[int] = field(default_factory=list)
    """How many events were emitted before each end."""
    lives: dict[str, list[EncodedEvent]] = field(default_factory=dict, repr=False)
    """What the recorder has stored, by epoch, oldest life first."""

    def emit(self, mark: int, kind: Kind, size: int) -> None:
        self.emitted.append(mark)
        self.emitter.emit(kind.event, {"mark": mark, "text": "x" * size}, kind.status)

    def end(self, state: str) -> None:
        self.ends.append(len(self.emitted))
        self.emitter.end(state)
        self.emitter = TraceEmitter(self.trace_id)

    def has_ended(self, epoch: str, sequence: int) -> bool:
        """Whether this life has ended at this number, or before."""
        before = sum(len(self.lives[older]) for older in itertools.takewhile(epoch.__ne__, self.lives))
        return any(before <= end <= before + sequence for end in self.ends)


def mark_of(event: dict[str, Any]) -> int:
    mark: int = event["details"]["mark"]
    return mark


@dataclass(frozen=True)
class Kind:
    """A kind of event, as far as a filter can tell."""

    event: str
    status: str


KINDS: Final = (
    Kind("tool_call_error", "error"),  # this one passes every filter below
    Kind("tool_call_error", "warning"),
    Kind("plan_created", "error"),
    Kind("plan_created", "success"),
)
FILTERS: Final = ("", "&events=tool_call_error", "&status=error", "&events=tool_call_error,route_decision&status=error")


def wanted(query: str, event: EncodedEvent) -> bool:
    """What the filter says, in the test's own words."""
    return ("events=" not in query or event.event == "tool_call_error") and (
        "status=" not in query or event.status == "error"
    )


# Who watches.


@dataclass(frozen=True)
class Who:
    """One watcher of a schedule."""

    trace: int
    v1: bool
    filter: int
    since: str
    """Of its first connection."""
    has_wire: bool
    """Whether its server is one that is known."""


@dataclass
class Connection:
    """What one connection has asked for and was sent."""

    since: int | None
    epoch: str | None
    frames: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Each frame's text, and what it says; the first is ``connected``."""

    def contradicted(self) -> bool:
        """Whether what the client remembered is of another life of the trace."""
        connected = self.frames[0][1]
        return self.since is not None and (
            self.since > connected["sequence"] or (self.epoch is not None and self.epoch != connected["epoch"])
        )


class Watcher:
    """A client, over all of its connections: it remembers what the documentation says that a client remembers."""

    def __init__(self, log: Log, who: Who) -> None:
        self.log = log
        self.v1 = who.v1
        self.has_wire = who.has_wire
        self.filter = FILTERS[who.filter]
        self.acknowledges = self.reads = True
        self.connections: list[Connection] = []
        self.socket: Socket | None = None
        self.last: int | None = None
        self.epoch: str | None = None
        self.last_mark: int | None = None

    def __repr__(self) -> str:
        said = [frame for _, frame in self.connections[-1].frames] if self.connections else []
        said_in_short = str(said).replace("x" * 100, "")
        return f"<watcher of {self.log.trace_id}: v1={self.v1} filter={self.filter!r} said={said_in_short}>"

    async def connect(self, since: str, *, tell_epoch: bool) -> None:
        await self.cut()
        if since == "elsewhere":
            since = await self._be_served_elsewhere()
        number = {"live": None, "start": 0, "last": self.last}[since]
        epoch = self.epoch if tell_epoch and since == "last" else None
        query = self.filter + ("" if number is None else f"&since={number}") + ("" if not epoch else f"&epoch={epoch}")
        self.connections.append(Connection(number, epoch))
        path, subprotocol = f"{self.log.trace_id}?{query.lstrip('&')}", SUBPROTOCOL if self.v1 else None
        self.socket = Socket(path, subprotocol, self._take, has_wire=self.has_wire)
        self._apply_reads()
        seen["connects"] += 1

    async def _be_served_elsewhere(self) -> str:
        """Another process has sent all there is: the client knows more than the hub here."""
        heads = await in_thread(store.read_heads, [self.log.trace_id])
        if (head := heads.get(self.log.trace_id)) is not None:
            self.last, self.epoch = head.sequence, head.epoch
        return "last"

    async def cut(self) -> None:
        socket, self.socket = self.socket, None
        if socket is not None:
            await socket.cut()

    async def hang_up(self, *, asked: bool) -> None:
        """Go, and say so first or not."""
        socket, self.socket = self.socket, None
        if socket is not None:
            if asked:
                socket.say('{"type":"close"}' if self.v1 else "close")
            await socket.hang_up()

    @property
    def connected(self) -> bool:
        return self.socket is not None and self.socket.close_code is None

    @property
    def greeted(self) -> bool:
        """Whether it is not on the way in any more."""
        return self.socket is None or self.socket.greeted

    @property
    def stalled(self) -> bool:
        return not self.reads or (self.v1 and not self.acknowledges)

    def has_all(self) -> bool:
        """Whether the client has got the last event that it wants, or has come behind it."""
        epoch, life = next(reversed(self.log.lives.items()), ("", []))
        last = next((event for event in reversed(life) if wanted(self.filter, event)), None)
        if last is None or self.last is None:
            return last is None
        has_it = self.last == last.sequence and self.last_mark == mark_of(orjson.loads(last.text))
        return has_it or (self.last >= last.sequence and self.epoch == epoch)

    def read(self, *, on: bool) -> None:
        self.reads = on
        self._apply_reads()

    def acknowledge(self, *, on: bool) -> None:
        self.acknowledges = on
        self._send_acknowledgement()

    def heard_the_end(self) -> bool:
        """Whether it was said behind the last event."""
        types = [frame["type"] for _, frame in reversed(self.connections[-1].frames)]
        return "ended" in itertools.takewhile("events".__ne__, types)

    def _apply_reads(self) -> None:
        if self.socket is not None:
            self.socket.reads.set() if self.reads else self.socket.reads.clear()

    def _send_acknowledgement(self) -> None:
        if self.v1 and self.acknowledges and self.last and self.connected and self.socket is not None:
            self.socket.say(f'{{"type":"ack","sequence":{self.last}}}')

    def _take(self, text: str) -> None:
        frame: dict[str, Any] = orjson.loads(text)
        connection = self.connections[-1]
        connection.frames.append((text, frame))
        if len(connection.frames) == 1:
            self._begin(connection, frame)
        elif (gap := gap_of(frame)) is not None and gap["reason"] == "epoch":
            self.last, self.epoch = 0, gap.get("epoch")
        for event in events_of(frame):
            seen["deliveries"] += 1
            self.last, self.last_mark = event["sequence"], mark_of(event)
        if frame.get("type") == "events":
            self._send_acknowledgement()

    def _begin(self, connection: Connection, connected: dict[str, Any]) -> None:
        """A client that sees another epoch than its own forgets its number at once: the gap may never reach it."""
        self.epoch = connected["epoch"]
        if connection.since is None:
            self.last = connected["sequence"]
        elif connection.contradicted():
            self.last = 0
        else:
            self.last = connection.since


def gap_of(frame: dict[str, Any]) -> dict[str, Any] | None:
    """What a gap says, in either profile."""
    if frame.get("type") == "gap":
        return frame
    return frame["details"] if frame.get("event") == "gap" else None


def events_of(frame: dict[str, Any]) -> list[dict[str, Any]]:
    if "type" in frame:
        return frame.get("events", [])  # type: ignore[no-any-return]
    return [frame] if frame["event"] not in ("connected", "gap", "error") else []


# What can happen.


class World:
    """Everything that takes part in one schedule."""

    numbers = itertools.count(1)
    threads: ThreadPoolExecutor
    reads = 0
    """Of hubs in their threads, now."""

    def __init__(self, whos: Sequence[Who], seed: int, *, has_faulty_layer: bool) -> None:
        self.layer = FaultyChannelLayer(seed=seed, delay_seconds=0.001)
        self.used_layer = self.layer if has_faulty_layer else InMemoryChannelLayer()
        number = next(self.numbers)
        ids = [f"schedule-{number}-{trace}" for trace in range(TRACES)]
        self.logs = [Log(trace_id, TraceEmitter(trace_id)) for trace_id in ids]
        self.watchers = [Watcher(self.logs[who.trace], who) for who in whos]
        self.lossless = True
        """Whether nothing has happened yet for which the hub would have to look at the log."""
        self._marks = itertools.count(1)
        self.marked: dict[int, tuple[str, EncodedEvent]] = {}
        """Each stored event and its epoch, by its mark."""

    def record(self, sender: object, batches: Sequence[Batch], **kwargs: Any) -> None:
        """Receiver of ``events_recorded``."""
        for batch in batches:
            for log in self.logs:
                if log.trace_id == batch.trace_id:
                    log.lives.setdefault(batch.epoch, []).extend(batch.events)
            for event in batch.events:
                self.marked[mark_of(orjson.loads(event.text))] = (batch.epoch, event)

    def emit(self, trace: int, kinds: Sequence[int], size: int) -> None:
        for kind in kinds:
            self.logs[trace].emit(next(self._marks), KINDS[kind], size)
            seen["events"] += 1

    def emit_the_last(self) -> None:
        """Two more events of each trace, which everybody wants, each large enough to fill half a window."""
        for trace in range(TRACES):
            self.emit(trace, [0, 0], size=2000)

    def end_all(self) -> None:
        for log in self.logs:
            log.end("success")

    async def flush(self) -> None:
        assert await self.logs[0].emitter.aflush(PATIENCE_SECONDS)

    async def rest(self) -> None:
        """Wait until nothing is under way any more, as far as the layer and the clients let it."""
        await self.flush()
        quiet = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while quiet < 20:
                busy = self.reads or not all(watcher.greeted for watcher in self.watchers)
                quiet = 0 if busy else quiet + 1
                await asyncio.sleep(0.0002 if busy else 0)

    def look(self) -> None:
        for current in hubs.running.values():
            current._look_now.set()

    def subscriptions(self) -> Iterator[subscription.Subscription]:
        for current in hubs.running.values():
            for topic in current.topics.values():
                yield from topic.subscriptions

    def set_faults(self, **rates: float) -> None:
        for fault, rate in rates.items():
            setattr(self.layer, fault, rate)

    def check_bounds(self) -> None:
        """Invariant 5: what waits for a client is bounded, whatever it does."""
        for one in self.subscriptions():
            assert one._waiting_bytes == sum(batch.size for batch in one._waiting)
            assert one._waiting_bytes <= cursor.MAX_WAITING_BYTES or len(one._waiting) == 1
            if (acknowledged := one._window) is not None:
                assert acknowledged.unacknowledged_bytes == sum(size for _, size in acknowledged._sizes)
                assert acknowledged.unacknowledged_bytes <= profiles.WINDOW_BYTES or len(acknowledged._sizes) == 1
        for current in hubs.running.values():
            for topic in current.topics.values():
                assert len(topic._ring) <= topics.RING_EVENTS
                assert sum(len(event.text) for event in topic._ring) == topic._ring_bytes <= topics.RING_BYTES

    async def hub_gone(self) -> None:
        await until(lambda: not hubs.running, "the hub stops when the last watcher has gone")


@dataclass(frozen=True)
class Step:
    async def play(self, world: World) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Emit(Step):
    """Some events."""

    trace: int
    kinds: Sequence[int]
    size: int

    async def play(self, world: World) -> None:
        world.emit(self.trace, self.kinds, self.size)


@dataclass(frozen=True)
class End(Step):
    trace: int
    state: str

    async def play(self, world: World) -> None:
        world.logs[self.trace].end(self.state)


@dataclass(frozen=True)
class Connect(Step):
    """Watch, or lose the connection and come back."""

    watcher: int
    since: str
    tell_epoch: bool

    async def play(self, world: World) -> None:
        await world.watchers[self.watcher % len(world.watchers)].connect(self.since, tell_epoch=self.tell_epoch)


@dataclass(frozen=True)
class Leave(Step):
    watcher: int
    how: str

    async def play(self, world: World) -> None:
        watcher = world.watchers[self.watcher % len(world.watchers)]
        if self.how == "cut":
            await watcher.cut()
        else:
            await watcher.hang_up(asked=self.how == "asked")


@dataclass(frozen=True)
class Read(Step):
    watcher: int
    on: bool

    async def play(self, world: World) -> None:
        world.watchers[self.watcher % len(world.watchers)].read(on=self.on)


@dataclass(frozen=True)
class Acknowledge(Step):
    watcher: int
    on: bool

    async def play(self, world: World) -> None:
        world.watchers[self.watcher % len(world.watchers)].acknowledge(on=self.on)


@dataclass(frozen=True)
class Faults(Step):
    drop: float
    duplicate: float
    reorder: float
    delay: float
    refuse: float

    async def play(self, world: World) -> None:
        world.lossless &= not (self.drop or self.reorder or self.refuse)
        world.set_faults(
            drop=self.drop, duplicate=self.duplicate, reorder=self.reorder, delay=self.delay, refuse=self.refuse
        )


@dataclass(frozen=True)
class Layer(Step):
    available: bool

    async def play(self, world: World) -> None:
        world.lossless = False
        seen["faults"] += world.layer.available and not self.available
        world.layer.available = self.available


@dataclass(frozen=True)
class Expire(Step):
    async def play(self, world: World) -> None:
        world.lossless = False
        world.layer.expire()


@dataclass(frozen=True)
class Restart(Step):
    """The process ends under everybody, in order or not; they come back to the next one."""

    in_order: bool

    async def play(self, world: World) -> None:
        there = [watcher for watcher in world.watchers if watcher.connected]
        if self.in_order:
            await open_sockets.close_all()
        for watcher in world.watchers:
            await watcher.cut()
        await world.hub_gone()
        for watcher in there:
            await watcher.connect("last", tell_epoch=True)


@dataclass(frozen=True)
class Delete(Step):
    """The trace is deleted; the next emit begins another life."""

    trace: int

    async def play(self, world: World) -> None:
        def delete() -> None:
            soon = datetime.now(UTC) + timedelta(days=1)
            for trace in Trace.objects.filter(trace_id=world.logs[self.trace].trace_id):
                list(retention.prune(trace, soon))

        world.lossless = False
        await in_thread(delete)


@dataclass(frozen=True)
class Prune(Step):
    """The trace's events so far are deleted, while it goes on."""

    trace: int

    async def play(self, world: World) -> None:
        def prune() -> None:
            for trace in Trace.objects.filter(trace_id=world.logs[self.trace].trace_id):
                list(retention.prune(trace, datetime(2000, 1, 1, tzinfo=UTC)))

        world.lossless = False
        await in_thread(prune)


@dataclass(frozen=True)
class Look(Step):
    """The hub looks at the heads, as it does from time to time."""

    async def play(self, world: World) -> None:
        world.look()


@dataclass(frozen=True)
class Beat(Step):
    """Heartbeats, as from time to time."""

    async def play(self, world: World) -> None:
        for one in list(world.subscriptions()):
            one.heartbeat()


@dataclass(frozen=True)
class GiveUp(Step):
    """So much time passes that whoever takes nothing is given up."""

    async def play(self, world: World) -> None:
        for one in list(world.subscriptions()):
            one.give_up_if_stalled(0)
        for watcher in world.watchers:
            if not watcher.reads:  # it did not take the close either: the server ends such a connection in its own time
                await watcher.cut()


@dataclass(frozen=True)
class Wait(Step):
    """The event loop takes some turns."""

    turns: int

    async def play(self, world: World) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Rest(Step):
    """All goes as far as it can."""

    async def play(self, world: World) -> None:
        await world.rest()


@dataclass(frozen=True)
class Schedule:
    watchers: Sequence[Who]
    steps: Sequence[Step]
    ends_with_a_look: bool
    """Or with a layer that goes and comes back, after which the hub has to look by itself."""
    has_faulty_layer: bool
    """Or the one in memory, past which the hubs of this process are told."""
    seed: int


A_TRACE = st.sampled_from([0, 0, 1])
A_WATCHER = st.integers(0, WATCHERS - 1)
A_RATE = st.sampled_from([0, 0, 0.3, 1])
A_SINCE = st.sampled_from(["last", "start", "live", "elsewhere"])
SOME_KINDS = st.lists(st.integers(0, len(KINDS) - 1), min_size=1, max_size=6)
STEPS: Final[tuple[tuple[int, st.SearchStrategy[Step]], ...]] = (
    (20, st.builds(Emit, A_TRACE, SOME_KINDS, st.sampled_from([0, 0, 700, 5000]))),
    (10, st.builds(Rest)),
    (8, st.builds(Wait, st.sampled_from([1, 2, 5, 20, 50]))),
    (10, st.builds(Connect, A_WATCHER, A_SINCE, st.sampled_from([True, True, False]))),
    (4, st.builds(Faults, A_RATE, A_RATE, A_RATE, A_RATE, st.sampled_from([0, 0, 0.2]))),
    (4, st.builds(Read, A_WATCHER, st.sampled_from([False, False, True]))),
    (4, st.builds(Acknowledge, A_WATCHER, st.sampled_from([False, False, True]))),
    (4, st.builds(Delete, A_TRACE)),
    (3, st.builds(Prune, A_TRACE)),
    (3, st.builds(Leave, A_WATCHER, st.sampled_from(["cut", "gone", "asked"]))),
    (3, st.builds(Layer, st.booleans())),
    (2, st.builds(End, A_TRACE, st.sampled_from(END_STATES))),
    (2, st.builds(Expire)),
    (2, st.builds(Look)),
    (1, st.builds(Beat)),
    (1, st.builds(GiveUp)),
    (1, st.builds(Restart, st.booleans())),
)
A_STEP = st.sampled_from([kind for weight, kind in STEPS for _ in range(weight)]).flatmap(lambda kind: kind)
A_WATCHER_TO_BE = st.builds(Who, A_TRACE, st.booleans(), st.integers(0, len(FILTERS) - 1), A_SINCE, st.booleans())
SCHEDULES = st.builds(
    Schedule,
    st.lists(A_WATCHER_TO_BE, min_size=1, max_size=WATCHERS),
    st.lists(A_STEP, min_size=6, max_size=30),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
    st.integers(0, 2**16),
)


# What must hold.


async def have_all(watchers: Sequence[Watcher]) -> None:
    """Wait until everybody who is there has got everything."""
    for watcher in watchers:
        if watcher.connected:
            await until(watcher.has_all, "the last event reaches", watcher)


async def have_heard_the_end(watchers: Sequence[Watcher]) -> None:
    for watcher in watchers:
        if watcher.connected and watcher.v1:
            await until(watcher.heard_the_end, "the end reaches", watcher)


async def play(schedule: Schedule) -> World:
    """Play a schedule to its end, and wait until everybody has got everything."""
    world = World(schedule.watchers, schedule.seed, has_faulty_layer=schedule.has_faulty_layer)
    channel_layers.backends["default"] = world.used_layer
    asyncio.get_running_loop().set_default_executor(world.threads)
    events_recorded.connect(world.record)
    try:
        for watcher, who in zip(world.watchers, schedule.watchers, strict=True):
            await watcher.connect(who.since, tell_epoch=True)
        for step in schedule.steps:
            await step.play(world)
            world.check_bounds()
        await converge(world, schedule)
    finally:
        for watcher in world.watchers:
            await watcher.cut()
        events_recorded.disconnect(world.record)
    await world.hub_gone()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, "all tasks end")
    assert hubs.connections_by_trace() == {}
    assert publisher._inboxes == []
    seen["schedules"] += 1
    seen["faults"] += sum(world.layer.faults.values())
    return world


async def converge(world: World, schedule: Schedule) -> None:
    """Faults end; one look, or the layer's return, and whoever is there has everything; the next event comes live."""
    world.set_faults(drop=0, duplicate=0, reorder=0, delay=0, refuse=0)
    # A look for one that is just connecting would find what the hub is to find, and join no group again.
    await world.rest()
    takers = [watcher for watcher in world.watchers if not watcher.stalled]
    if world.lossless:
        await have_all(takers)
    async with lost(world, schedule):
        world.emit_the_last()
    await have_all(takers)  # invariant 5: however the others dawdle
    async with lost(world, schedule):
        world.end_all()
    await have_heard_the_end(takers)
    for watcher in world.watchers:
        watcher.read(on=True)
        watcher.acknowledge(on=True)
        if not watcher.connected:
            await watcher.connect("last", tell_epoch=True)
    await have_all(world.watchers)
    await until(lambda: all_joined(world), "the hub has joined all groups again")
    world.emit_the_last()
    world.end_all()
    await world.flush()
    await have_all(world.watchers)
    await have_heard_the_end(world.watchers)
    world.check_bounds()


@asynccontextmanager
async def lost(world: World, schedule: Schedule) -> AsyncIterator[None]:
    """The layer carries nothing of what is emitted inside; a look, or its return, brings it out."""
    if schedule.ends_with_a_look:
        world.layer.drop = 1
    else:
        world.layer.available = False
    yield
    await world.rest()
    world.layer.drop, world.layer.available = 0, True
    if schedule.ends_with_a_look:
        world.look()


def all_joined(world: World) -> bool:
    return all(
        current._listener.channel in world.used_layer.groups.get(channel_layer.group_name(trace_id), ())
        for current in hubs.running.values()
        for trace_id in current.topics
    )


def check_store(world: World, log: Log) -> dict[str, int]:
    """Invariant 1; returns the first number that is left of each life."""
    assert [mark_of(orjson.loads(event.text)) for life in log.lives.values() for event in life] == log.emitted
    for life in log.lives.values():
        assert [event.sequence for event in life] == list(range(1, len(life) + 1))
    trace = Trace.objects.get(trace_id=log.trace_id)
    life = log.lives[trace.epoch]
    assert trace.last_sequence == len(life)
    rows = list(Event.objects.filter(trace=trace).order_by("sequence"))
    left = life[len(life) - len(rows) :]
    assert [(row.sequence, row.event, row.status) for row in rows] == [(e.sequence, e.event, e.status) for e in left]
    return {epoch: left[0].sequence if epoch == trace.epoch else len(log.lives[epoch]) + 1 for epoch in log.lives}


class Reading:
    """Reads what a connection was sent, and judges it by what was stored.

    Invariants 2 and 8: every matching event in order, exactly once, byte for byte; or a gap that is one.
    """

    def __init__(self, world: World, watcher: Watcher, connection: Connection, first_left: dict[str, int]) -> None:
        self._world = world
        self._watcher = watcher
        self._frames = connection.frames
        self._first_left = first_left
        connected = connection.frames[0][1]
        self._position: int = connected["sequence"] if connection.since is None else connection.since
        self._epoch: str | None = connected["epoch"]
        """Of the life that the position belongs to; None while the client cannot know it."""
        self._must_begin_again = connection.contradicted() and self._position > 0
        self._known_epoch = connection.epoch

    def judge(self) -> None:
        assert [frame.get("type") for _, frame in self._frames].count("live") <= 1
        for text, frame in self._frames[1:]:
            gap = gap_of(frame)
            if gap is not None and gap["reason"] == "epoch":
                self._begins_again(gap)
            elif gap is not None:
                self._was_pruned(gap)
            elif events := events_of(frame):
                self._has(text, events)
            elif frame.get("type") == "live":
                self._left_out(frame["sequence"] + 1)
            elif frame.get("type") == "ended":
                self._left_out(frame["sequence"] + 1)
                self._ends(frame)
            elif frame.get("type") == "error" or frame.get("event") == "error":
                assert (frame.get("code") or frame["details"]["code"]) in (4001, 4008)
            else:
                assert frame["type"] == "heartbeat"

    def _ends(self, ended: dict[str, Any]) -> None:
        assert ended["state"] in END_STATES
        if self._epoch is not None:
            assert self._watcher.log.has_ended(self._epoch, ended["sequence"]), f"{self._watcher}: {ended} is too early"

    def _begins_again(self, gap: dict[str, Any]) -> None:
        assert gap["from"] == 1
        assert gap["to"] >= max(self._position, 1)
        known = self._known_epoch if self._must_begin_again else self._epoch
        assert known is None or gap.get("epoch") != known, f"{self._watcher} was told of the life it knew"
        self._must_begin_again = False
        self._position = 0
        self._live_in(gap.get("epoch"))

    def _was_pruned(self, gap: dict[str, Any]) -> None:
        assert gap["reason"] == "pruned"
        assert self._position < gap["from"] <= gap["to"]
        if self._position == 0:
            # KNOWN DEFECT: a watcher that stands at 0 is not told that another life has begun, nor of its epoch.
            self._epoch = None
        self._left_out(gap["from"])
        lives = self._first_left if self._epoch is None else [self._epoch]
        assert any(gap["to"] < self._first_left[life] for life in lives), f"{self._watcher}: {gap} was not pruned"
        self._position = gap["to"]

    def _has(self, text: str, events: Sequence[dict[str, Any]]) -> None:
        assert not self._must_begin_again
        stored = [self._world.marked[mark_of(event)] for event in events]
        texts = [event.text for _, event in stored]
        assert text == (f'{{"type":"events","events":[{",".join(texts)}]}}' if self._watcher.v1 else texts[0])
        for epoch, event in stored:
            if self._epoch != epoch:
                assert not (self._epoch and self._position), f"{self._watcher} got {event} of {epoch} without a gap"
                self._live_in(epoch)
            assert event.sequence > self._position, f"{self._watcher} got {event} again"
            assert wanted(self._watcher.filter, event)
            self._left_out(event.sequence)
            self._position = event.sequence

    def _live_in(self, epoch: str | None) -> None:
        lives = list(self._watcher.log.lives)
        if epoch and self._epoch in lives:
            assert lives.index(epoch) >= lives.index(self._epoch), f"{self._watcher} went back to {epoch}"
        self._epoch = epoch

    def _left_out(self, before: int) -> None:
        """The numbers up to this one were left out by the filter, and by nothing else."""
        life = self._watcher.log.lives.get(self._epoch or "", [])
        missed = [event for event in life[self._position : before - 1] if wanted(self._watcher.filter, event)]
        assert not missed, f"{self._watcher} missed {missed}"


def check(schedule: Schedule) -> None:
    try:
        world = asyncio.run(play(schedule))
    except BaseException:
        hubs.running.clear()  # what a failed schedule leaves behind is not the next one's
        publisher._inboxes.clear()
        raise
    for log in world.logs:
        first_left = check_store(world, log)
        for watcher in world.watchers:
            if watcher.log is log:
                for connection in watcher.connections:
                    if connection.frames:
                        Reading(world, watcher, connection, first_left).judge()
    Trace.objects.filter(trace_id__in=[log.trace_id for log in world.logs]).delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_scaled_down", "_lasting_connections", "_watched")
@pytest.mark.parametrize(
    ("examples", "part"),
    [(SOME, 0), *(pytest.param(MANY, part, marks=[pytest.mark.thorough]) for part in range(1, 5))],
)
@pytest.mark.takes(seconds=30)
def test_whoever_is_there_gets_everything_whatever_happens(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], examples: int, part: int
) -> None:
    """Invariants 1, 2, 5, 7 and 8, under schedules that nobody has thought of."""
    caplog.set_level(logging.ERROR, "trace_streaming")  # that a layer fails, and works again, is said at every turn
    settings = hypothesis.settings(max_examples=examples, deadline=None, print_blob=True)
    end = time.monotonic() + SOAK_SECONDS
    while True:
        settings(hypothesis.given(SCHEDULES)(check))()
        assert not caplog.records
        if time.monotonic() >= end:
            break
    if SOAK_SECONDS:
        with capsys.disabled():
            print(f"\nIn {SOAK_SECONDS:.0f} seconds:", *(f"{count} {what}" for what, count in seen.items()))  # noqa: T201
