"""The hub: what is stored reaches every watcher of the process, and nothing stays behind when the last has gone."""

from __future__ import annotations

import asyncio
import re
import threading
from asyncio import runners
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, channel_layers
from django.db import OperationalError
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import EncodedEvent, TraceEvent
from trace_streaming.exceptions import StorageUnavailableError
from trace_streaming.models import Event, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import store
from trace_streaming.storage.threads import DatabaseThreads
from trace_streaming.watching import channel_layer, hubs, publisher, reader
from trace_streaming.watching.subscription import Subscription
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import PLAIN, V1, Profile
from trace_streaming.wire.protocol import WatchRequest

pytestmark = pytest.mark.django_db(transaction=True)


class Watcher:
    """A subscription of the current hub, and what it was sent."""

    def __init__(self, trace_id: str, since: int | None = 0, profile: Profile = PLAIN) -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.request = WatchRequest(trace_id, since)
        self.profile = profile
        self.subscription: Subscription | None = None

    def send_now(self, packet: Packet) -> bool:
        for text in packet.texts:
            self.frames.put_nowait(orjson.loads(text))
        return True

    async def send_packet(self, packet: Packet) -> None:
        self.send_now(packet)

    def encode(self, packet: Packet) -> None:
        """Nothing is made of it."""

    def pump(self) -> None:
        assert self.subscription is not None
        self.pumping = asyncio.create_task(self.subscription.run())

    async def stop(self) -> None:
        self.pumping.cancel()
        await asyncio.gather(self.pumping, return_exceptions=True)

    async def sequences(self, count: int) -> list[int]:
        async with asyncio.timeout(60):
            return [(await self.frames.get())["sequence"] for _ in range(count)]


@asynccontextmanager
async def watching(trace_id: str, since: int | None = 0, profile: Profile = PLAIN) -> AsyncIterator[Watcher]:
    watcher = Watcher(trace_id, since, profile)
    current = hubs.current_hub()
    watcher.subscription = await current.subscribe(watcher.request, profile, watcher)
    watcher.pump()
    try:
        yield watcher
    finally:
        await watcher.stop()
        current.unsubscribe(watcher.subscription)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task or thread does."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
async def _nothing_stays() -> AsyncIterator[None]:
    """Invariant 7: after each test no topic, task, loop or thread of a hub is left."""
    yield
    await until(lambda: not hubs.running)
    await until(lambda: not any(re.search("Hub|Listener", str(task.get_coro())) for task in asyncio.all_tasks()))
    assert not publisher._inboxes
    assert hubs.connections_by_trace() == {}
    await until(lambda: not any(thread.name.startswith("trace-reader") for thread in threading.enumerate()))


def event_of(trace_id: str) -> TraceEvent:
    return make_event(trace_id, "plan_created", {}, "success")[0]


async def emit(trace_id: str, count: int = 1) -> None:
    emitter = TraceEmitter(trace_id)
    for _ in range(count):
        emitter.emit("plan_created")
    assert await emitter.aflush(60)


async def test_one_event_reaches_every_watcher() -> None:
    """Several watchers of one trace each get it, and those of another trace do not."""
    async with watching("a") as one, watching("a") as two, watching("b") as other:
        await emit("a")
        await emit("b", 2)
        assert await one.sequences(1) == await two.sequences(1) == [1]
        assert await other.sequences(2) == [1, 2]
        assert hubs.connections_by_trace() == {"a": 2, "b": 1}


async def test_what_a_replay_is_sent_is_made_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the loop's thread, which serves the live ones meanwhile."""
    made: list[tuple[str, int]] = []

    def encode(self: Watcher, packet: Packet) -> None:
        made.append((threading.current_thread().name, packet.events))

    monkeypatch.setattr(Watcher, "encode", encode)
    await emit("t", 3)
    async with watching("t", since=0) as watcher:
        assert await watcher.sequences(3) == [1, 2, 3]
        ((thread, events),) = made
        assert (thread.startswith("trace-reader"), events) == (True, 3)
        await emit("t")
        assert await watcher.sequences(1) == [4]
        assert len(made) == 1  # what is live is made once for all, by whom it is sent


async def test_replay_meets_live_while_events_are_emitted() -> None:
    """Invariant 2: watchers that come at any moment of a run miss and repeat nothing."""
    writing = asyncio.create_task(asyncio.to_thread(_emit_many, "t", 2000))
    async with watching("t") as first:
        seen = await first.sequences(500)
        async with watching("t", since=100) as second:
            assert await second.sequences(1900) == list(range(101, 2001))
        assert seen + await first.sequences(1500) == list(range(1, 2001))
    await writing


def _emit_many(trace_id: str, count: int) -> None:
    emitter = TraceEmitter(trace_id)
    for _ in range(count):
        emitter.emit("plan_created")
    emitter.flush(60)


async def test_the_hub_has_one_channel_however_many_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One channel per process, and one group per watched trace."""
    layer = InMemoryChannelLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    async with watching("a"), watching("a"), watching("b"):
        await until(lambda: len(layer.groups) == 2)
        channels = {channel for members in layer.groups.values() for channel in members}
        assert len(channels) == 1
    await until(lambda: not layer.groups)


class LossyLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """Loses all messages while ``losing``; fails while ``broken``."""

    losing = broken = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if not self.losing:
            await super().group_send(group, message)

    async def receive(self, channel: str) -> Any:
        if self.broken:
            raise ConnectionError
        return await super().receive(channel)

    async def group_add(self, group: str, channel: str) -> None:
        if self.broken:
            raise ConnectionError
        await super().group_add(group, channel)


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> LossyLayer:
    layer = LossyLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    monkeypatch.setattr(reader, "RETRY_SECONDS", 0.01)
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 0.05
    return layer


async def test_a_lost_last_message_is_found_by_a_look_at_the_head(lossy: LossyLayer) -> None:
    """Invariant 2: nothing follows the lost message, and still it arrives."""
    async with watching("t") as watcher:
        await emit("t")
        assert await watcher.sequences(1) == [1]
        lossy.losing = True
        await emit("t", 3)
        assert await watcher.sequences(3) == [2, 3, 4]


async def test_a_lost_end_is_found_by_a_look_at_the_head(lossy: LossyLayer) -> None:
    """The end of a trace is not news only."""
    async with watching("t", profile=V1) as watcher:
        assert (await watcher.frames.get())["type"] == "live"
        lossy.losing = True
        with TraceEmitter("t") as emitter:
            emitter.emit("plan_created")
        async with asyncio.timeout(60):
            while (frame := await watcher.frames.get())["type"] != "ended":
                pass
        assert frame == {"type": "ended", "state": "success", "sequence": 1}


async def test_a_layer_that_breaks_and_comes_back(lossy: LossyLayer) -> None:
    """Watchers are served by looks at the heads, and by the layer again when it answers."""
    async with watching("t") as watcher:
        lossy.broken = True
        await emit("t", 2)
        assert await watcher.sequences(2) == [1, 2]
        lossy.broken = False
        current = hubs.current_hub()
        await until(lambda: current._listener.channel is not None and bool(lossy.groups))
        await emit("t")
        assert await watcher.sequences(1) == [3]


async def test_a_layer_that_forgets_the_group_is_joined_again(lossy: LossyLayer) -> None:
    """The in-memory layer forgets a channel with one expired message: the next look joins again."""
    async with watching("t") as watcher:
        await emit("t")
        assert await watcher.sequences(1) == [1]
        lossy.groups.clear()
        await emit("t")
        assert await watcher.sequences(1) == [2]
        await until(lambda: bool(lossy.groups))


async def test_groups_are_joined_again_before_the_layer_forgets_them(lossy: LossyLayer, settings: Settings) -> None:
    """A socket that is open for longer than ``group_expiry`` goes on being told at once."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 0.005
    async with watching("t"):
        await until(lambda: bool(lossy.groups))
        (memberships,) = lossy.groups.values()
        lossy.group_expiry = 0.1
        for _ in range(3):
            joined = dict(memberships)
            await until(lambda joined=joined: dict(memberships) != joined)  # type: ignore[misc]
        (channel,) = memberships
        assert channel == hubs.current_hub()._listener.channel


@pytest.mark.parametrize("message", [{}, {"trace_id": "t", "epoch": "e", "state": "running", "last_sequence": None}])
async def test_a_message_of_another_version_is_survived(lossy: LossyLayer, message: dict[str, Any]) -> None:
    """In a rolling update the hub reads the store instead, and goes on reading the layer."""
    async with watching("t") as watcher:
        await emit("t")
        assert await watcher.sequences(1) == [1]
        message |= {"type": "trace.batch", "events": [], "epoch": hubs.current_hub().topics["t"].epoch}
        await lossy.group_send(channel_layer.group_name("t"), message)
        await emit("t")
        assert await watcher.sequences(1) == [2]
        assert not hubs.current_hub()._listener._receiver.done()


async def test_an_end_whose_events_were_lost(lossy: LossyLayer, settings: Settings) -> None:
    """Invariant 2: the news of the end arrives, those of the last events did not: they are read from the store."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 1000
    async with watching("t") as watcher:
        await until(lambda: hubs.current_hub()._listener.channel is not None)
        await emit("t", 3)
        assert await watcher.sequences(3) == [1, 2, 3]
        lossy.losing = True
        await emit("t", 2)
        lossy.losing = False
        emitter = TraceEmitter("t")
        emitter.end()
        assert await watcher.sequences(2) == [4, 5]


async def test_a_resume_that_knows_more_than_the_hub(lossy: LossyLayer, settings: Settings) -> None:
    """Invariant 2: the hub has missed news; a client that has not is resumed where it stopped, not started over."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 1000
    async with watching("t") as stays:
        await until(lambda: hubs.current_hub()._listener.channel is not None)
        lossy.losing = True
        await emit("t", 5)
        epoch = (await sync_to_async(store.read_heads)(["t"]))["t"].epoch
        resumed = Watcher("t", since=5)
        resumed.request = WatchRequest("t", 5, epoch)
        subscription = resumed.subscription = await hubs.current_hub().subscribe(resumed.request, PLAIN, resumed)
        resumed.pump()
        lossy.losing = False
        await emit("t")
        assert await resumed.sequences(1) == [6]
        assert await stays.sequences(6) == [1, 2, 3, 4, 5, 6]
        await resumed.stop()
        hubs.current_hub().unsubscribe(subscription)


class SlowToLeave(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """A layer whose ``group_discard`` waits for a test."""

    def __init__(self) -> None:
        super().__init__()
        self.leaving = asyncio.Semaphore(0)
        self.may_leave = asyncio.Semaphore(0)

    async def group_discard(self, group: str, channel: str) -> None:
        self.leaving.release()
        await self.may_leave.acquire()
        await super().group_discard(group, channel)


async def test_a_watcher_that_comes_while_two_others_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariants 2 and 7: the slow end of an earlier watcher takes nothing from a later one."""
    layer = SlowToLeave()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    current = hubs.current_hub()
    keep = await current.subscribe(WatchRequest("keep"), PLAIN, Ignoring())
    current.unsubscribe(await current.subscribe(WatchRequest("t"), PLAIN, Ignoring()))
    await layer.leaving.acquire()  # the first is leaving
    cancelled = asyncio.create_task(current.subscribe(WatchRequest("t"), PLAIN, Ignoring()))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    layer.may_leave.release()
    await until(lambda: "t" not in current.topics)
    async with watching("t") as watcher:
        for _ in range(8):
            layer.may_leave.release()
        await emit("t")
        assert await watcher.sequences(1) == [1]
        assert hubs.connections_by_trace() == {"keep": 1, "t": 1}
    current.unsubscribe(keep)


async def test_a_layer_that_fails_while_a_trace_is_joined(lossy: LossyLayer) -> None:
    """The lost channel is forgotten, and all groups are joined with another one; nothing is missed meanwhile."""
    async with watching("a") as one:
        await until(lambda: bool(lossy.groups))
        lost = hubs.current_hub()._listener.channel
        lossy.broken = True
        async with watching("b") as other:
            lossy.broken = False
            await emit("a")
            await emit("b")
            assert await one.sequences(1) == await other.sequences(1) == [1]
            await until(lambda: len(lossy.groups) == 2)
            channels = {channel for members in lossy.groups.values() for channel in members}
            assert channels == {hubs.current_hub()._listener.channel} != {lost}


async def test_those_who_come_together_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart all sockets come at once: those who come during one query get the next, all the same one."""
    for number in range(20):
        await emit(f"t-{number}", number + 1)
    asked = []
    read_heads = store.read_heads

    def counted(trace_ids: Any) -> Any:
        asked.append(len(trace_ids))
        return read_heads(trace_ids)

    monkeypatch.setattr(store, "read_heads", counted)
    async with AsyncExitStack() as stack:
        come = (stack.enter_async_context(watching(f"t-{number}", since=0)) for number in range(20))
        for number, watcher in enumerate(await asyncio.gather(*come)):
            assert await watcher.sequences(number + 1) == list(range(1, number + 2))
    assert len(asked) <= 3  # the first, all others, and the hub's own look at all of them


async def test_what_is_being_handed_over_is_not_read_again(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A look may see a commit before its news have come: many traces would then all read what they are about to get."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 3600  # the hub's own looks stay away
    patience = 12345.0
    handed_over = asyncio.Event()
    sleep = asyncio.sleep

    async def wait(seconds: float) -> None:  # however long news take on a busy machine, the look waits for them
        await (handed_over.wait() if seconds == patience else sleep(seconds))

    monkeypatch.setattr(asyncio, "sleep", wait)
    async with watching("t") as watcher:
        await emit("t")
        assert await watcher.sequences(1) == [1]
        current = hubs.current_hub()
        topic, looked = current.topics["t"], asyncio.Event()
        heads = current._reader.heads

        async def look(trace_ids: Any) -> Any:
            found = await heads(trace_ids)
            looked.set()
            return found

        async def page(*asked: Any) -> Any:
            raise AssertionError("read again")

        monkeypatch.setattr(current._reader, "heads", look)
        monkeypatch.setattr(topic, "_read_page", page)
        batches = await asyncio.to_thread(store.with_fresh_connection, store.append, [event_of("t")])
        looking = asyncio.create_task(current._look_at([topic], patience))
        async with asyncio.timeout(60):
            await looked.wait()
            await asyncio.to_thread(publisher.Publisher().publish, batches)
            assert await watcher.sequences(1) == [2]
            handed_over.set()
            assert await looking == []


async def test_the_last_watcher_leaves_in_the_moment_of_a_look() -> None:
    """Invariant 7: the hub stops, whatever its tasks are at; the fixture waits for the end of all of them."""
    current = hubs.current_hub()
    subscription = await current.subscribe(WatchRequest("t"), PLAIN, Ignoring())
    current.unsubscribe(subscription)
    while current._tasks:
        current._look_now.set()
        await asyncio.sleep(0)


async def test_a_trace_that_is_deleted_and_begins_again_while_watched(lossy: LossyLayer) -> None:
    """The watcher is told of the new epoch, and gets the new events from 1."""

    async def received(count: int) -> list[int]:
        """Sequence numbers of events, and 0 for a gap."""
        sequences: list[int] = []
        while len(sequences) < count:
            frame = await watcher.frames.get()
            if frame["type"] == "gap":
                assert frame["reason"] == "epoch"
                sequences.append(0)
            sequences += [event["sequence"] for event in frame.get("events", [])]
        return sequences

    async with asyncio.timeout(60), watching("t", profile=V1) as watcher:
        await emit("t", 3)
        assert await received(3) == [1, 2, 3]
        await sync_to_async(Trace.objects.all().delete)()
        await emit("t", 2)
        assert await received(3) == [0, 1, 2]


async def test_what_was_deleted_is_not_told_to_those_who_come_later() -> None:
    """Somebody watches on, so that the process remembers the trace: not its events."""
    async with watching("t") as stays:
        await emit("t", 3)
        assert await stays.sequences(3) == [1, 2, 3]
        await sync_to_async(Trace.objects.all().delete)()
        current = hubs.current_hub()
        current._look_now.set()
        await until(lambda: current.topics["t"].is_gone)
        async with asyncio.timeout(60), watching("t", profile=V1) as comes:
            frames = [await comes.frames.get() for _ in range(2)]
            assert frames[0] == {"type": "gap", "from": 1, "to": 3, "reason": "pruned"}
            assert frames[1]["type"] == "live"


@pytest.mark.parametrize("hears", [True, False], ids=["heard", "looked at"])
async def test_another_end_is_told_where_no_event_came_between(lossy: LossyLayer, hears: bool) -> None:
    """Invariant 16. Whoever was taken for dead may come back, and say how it has ended."""
    async with asyncio.timeout(60), watching("t", profile=V1) as watcher:
        emitter = TraceEmitter("t")
        emitter.emit("plan_created")
        emitter.end("incomplete")
        assert await emitter.aflush(60)

        async def ended() -> dict[str, Any]:
            while (frame := await watcher.frames.get())["type"] != "ended":
                pass
            return frame

        assert await ended() == {"type": "ended", "state": "incomplete", "sequence": 1}
        lossy.losing = not hears
        again = TraceEmitter("t")
        again.end("success")
        assert await again.aflush(60)
        hubs.current_hub()._look_now.set()
        assert await ended() == {"type": "ended", "state": "success", "sequence": 1}


async def test_a_hole_is_healed_from_the_ring_without_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 6: a subscription that fell behind a little is served from the hub's memory."""
    async with watching("t") as watcher:
        await emit("t", 5)
        assert await watcher.sequences(5) == [1, 2, 3, 4, 5]
        await emit("t", 5)
        assert await watcher.sequences(5) == [6, 7, 8, 9, 10]

        def no_query(*args: object) -> None:
            raise AssertionError("a query")

        monkeypatch.setattr(store, "read_joined", no_query)
        async with watching("t", since=7) as late:
            assert await late.sequences(3) == [8, 9, 10]


async def test_live_delivery_makes_no_query(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 6: once live, a burst of 1,000 events to 100 watchers reads nothing, and nothing is lost."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 1000
    watchers = [Watcher("t") for _ in range(100)]
    current = hubs.current_hub()
    for watcher in watchers:
        watcher.subscription = await current.subscribe(watcher.request, PLAIN, watcher)
        watcher.pump()
    await emit("t")
    assert [await watcher.sequences(1) for watcher in watchers] == [[1]] * 100
    reads: list[object] = []
    run = DatabaseThreads.run

    async def counted(self: DatabaseThreads, function: Callable[..., Any], *args: Any) -> Any:
        reads.append(function)
        return await run(self, function, *args)

    monkeypatch.setattr(DatabaseThreads, "run", counted)
    await emit("t", 1000)
    assert [await watcher.sequences(1000) for watcher in watchers] == [list(range(2, 1002))] * 100
    assert reads == []
    for watcher in watchers:
        await watcher.stop()
        assert watcher.subscription is not None
        current.unsubscribe(watcher.subscription)


async def test_a_trace_that_begins_while_it_is_watched_is_not_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first batch is all of it: a thousand traces that begin in one moment would be read a thousand times."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 1000
    reads: list[object] = []
    read_joined = store.read_joined

    def read(*args: Any) -> Any:
        reads.append(args)
        return read_joined(*args)

    monkeypatch.setattr(store, "read_joined", read)
    async with AsyncExitStack() as stack:
        watchers = [
            await stack.enter_async_context(watching(f"t-{n}", since)) for n in range(10) for since in (0, None)
        ]
        for number in range(10):
            await emit(f"t-{number}", 3)
        assert [await watcher.sequences(3) for watcher in watchers] == [[1, 2, 3]] * 20
    assert reads == []


@pytest.mark.parametrize("answer", ["nothing yet", "another life"])
async def test_a_look_that_began_before_the_trace_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, answer: str
) -> None:
    """The news came while the database was asked; what it says of another life is asked once more."""
    settings.TRACE_STREAMING_HEAD_CHECK_SECONDS = 1000
    async with watching("t") as watcher:
        current = hubs.current_hub()
        await until(lambda: current._reader._asking is None and not current._look_now.is_set())
        asked, answered = asyncio.Event(), asyncio.Event()
        looks = 0
        heads = current._reader.heads

        async def slow(trace_ids: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks > 1:
                return await heads(trace_ids)
            asked.set()
            await answered.wait()
            return {} if answer == "nothing yet" else {"t": store.Head(7, "an old one", 5, "running")}

        monkeypatch.setattr(current._reader, "heads", slow)
        current._look_now.set()
        await asked.wait()
        await emit("t", 2)
        assert await watcher.sequences(2) == [1, 2]
        answered.set()
        await emit("t", 1)
        assert await watcher.sequences(1) == [3]
        assert not current.topics["t"].is_gone
        await until(lambda: looks == (1 if answer == "nothing yet" else 2))


async def test_a_database_that_is_away_refuses_the_watcher_and_frees_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A watcher is told to come back; nothing of it stays."""

    def away(trace_ids: object) -> None:
        raise OperationalError("no database")

    monkeypatch.setattr(store, "read_heads", away)
    with pytest.raises(StorageUnavailableError):
        await hubs.current_hub().subscribe(WatchRequest("t"), PLAIN, Ignoring())


async def test_a_replay_waits_for_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a replay the watcher keeps its place, and gets the rest when the database is back."""
    monkeypatch.setattr(reader, "RETRY_SECONDS", 0.01)
    await emit("t", 3)
    failures = iter([OperationalError, OperationalError])
    read_joined = store.read_joined

    def flaky(*args: Any) -> Any:
        for error in failures:
            raise error
        return read_joined(*args)

    monkeypatch.setattr(store, "read_joined", flaky)
    async with watching("t") as watcher:
        assert await watcher.sequences(3) == [1, 2, 3]


class Ignoring:
    """A client that takes everything."""

    def send_now(self, packet: Packet) -> bool:
        return True

    async def send_packet(self, packet: Packet) -> None:
        """Nothing to wait for."""

    def encode(self, packet: Packet) -> None:
        """Nothing is made of it."""

    def pump(self) -> None:
        """It is never started."""


@pytest.mark.parametrize("awaits", range(8))
async def test_a_watcher_that_is_cancelled_while_it_subscribes_leaves_nothing(awaits: int) -> None:
    """Invariant 7: cancelled at each moment of the way, its place is freed, and the next one can watch."""
    subscribing = asyncio.create_task(hubs.current_hub().subscribe(WatchRequest("t", 0), PLAIN, Ignoring()))
    for _ in range(awaits):
        await asyncio.sleep(0)
    subscribing.cancel()
    with suppress(asyncio.CancelledError):
        hubs.current_hub().unsubscribe(await subscribing)
    async with watching("t") as watcher:
        await emit("t")
        assert await watcher.sequences(1) == [1]


async def test_watchers_come_and_go_while_events_are_emitted() -> None:
    """Invariants 2 and 7: joining and leaving the same group over and over loses nothing for those who stay."""

    async def visit(number: int) -> None:
        async with watching("t", since=number):
            await asyncio.sleep(0)

    async with watching("t") as watcher:
        for number in range(20):
            await asyncio.gather(emit("t", 5), *(visit(number) for _ in range(10)))
        assert await watcher.sequences(100) == list(range(1, 101))
    for _ in range(20):
        await visit(0)
    assert await sync_to_async(Event.objects.count)() == 100
    assert recorder.pending == 0


class CountingLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """Somebody's own, which is told of everything."""

    sent = 0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.sent += 1


def test_nothing_is_begun_on_a_loop_that_is_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tasks are cancelled once before it closes: one that began then would be left pending, with a warning."""
    layer = CountingLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    batch = Batch("t", "e", "running", 1, (EncodedEvent(1, "plan_created", "success", "{}"),))

    async def watch() -> None:
        watcher = Watcher("t", None)
        watcher.subscription = await hubs.current_hub().subscribe(watcher.request, PLAIN, watcher)

    async def publish() -> None:
        """As the writer does, also while a loop that ends waits for its executor."""
        await asyncio.to_thread(publisher.Publisher().publish, [batch])
        for _ in range(10):
            await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(watch())
        runner.run(publish())
        assert layer.sent == 1
        runners._cancel_all_tasks(loop)  # type: ignore[attr-defined]  # what a runner does before it closes its loop
        loop.run_until_complete(publish())
        assert layer.sent == 1
        for thread in [each for each in threading.enumerate() if each.name.startswith("trace-reader")]:
            thread.join(60)
            assert not thread.is_alive()  # who ends the process would wait for it
        hubs.running.pop(loop).forget()
