"""The cursor: every event after its place, in order, exactly once, whatever reaches it and in what order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trace_streaming.events import EncodedEvent
from trace_streaming.watching.contracts import Page, Reader
from trace_streaming.watching.cursor import MAX_WAITING_BYTES
from trace_streaming.watching.subscription import STALLED, Subscription
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import PLAIN, V1, WINDOW_BYTES, Profile
from trace_streaming.wire.protocol import EVERYTHING, Ending, EventFilter, WatchRequest


class MemoryLog:
    """A log in memory, with a head that may lag behind what is stored, as a hub's does."""

    trace_id = "t"

    def __init__(self) -> None:
        self.epoch: str | None = "e1"
        self.head = 0
        self.state: str | None = "running"
        self.stored: list[EncodedEvent] = []
        self.is_gone = False
        self.reads = 0
        self.page = 7
        self.may_read = asyncio.Event()
        self.may_read.set()

    def append(self, count: int = 1, size: int = 0, name: str = "plan_created") -> Batch:
        """Store events; return the batch that tells of them."""
        first = (self.stored[-1].sequence if self.stored else self.head) + 1
        events = tuple(
            EncodedEvent(n, name, "success", f'{{"sequence":{n},"text":"{"x" * size}"}}')
            for n in range(first, first + count)
        )
        self.stored += events
        return Batch("t", self.epoch or "", self.state or "", events[-1].sequence, events)

    async def read(self, after: int, reader: Reader) -> Page:
        self.reads += 1
        head = self.head
        await self.may_read.wait()
        events = [event for event in self.stored if event.sequence > after][: self.page]
        return reader.page("t", after, head, events)


class Watcher:
    """A subscription with its pump, and what its socket was sent."""

    def __init__(
        self,
        log: MemoryLog,
        profile: Profile = PLAIN,
        since: int | None = 0,
        epoch: str | None = None,
        *,
        has_wire: bool = False,
    ) -> None:
        self.log = log
        self.has_wire = has_wire
        self.frames: list[str] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.subscription = Subscription(log, profile, self)
        self.subscription.open(WatchRequest("t", since, epoch))

    def send_now(self, packet: Packet) -> bool:
        if not self.has_wire or not self.may_send.is_set():
            return False
        self.frames += packet.texts
        return True

    async def send_packet(self, packet: Packet) -> None:
        self.frames += packet.texts
        await self.may_send.wait()

    def encode(self, packet: Packet) -> None:
        """Nothing is made of it."""

    def pump(self) -> None:
        self.pumping = asyncio.create_task(self.subscription.run())

    def tell(self, batch: Batch) -> None:
        """What the hub does with a batch."""
        self.log.head = max(self.log.head, batch.last_sequence)
        self.subscription.offer(batch)

    @property
    def sequences(self) -> list[int]:
        return [event["sequence"] for event in self._events()]

    def _events(self) -> Iterator[dict[str, int]]:
        for frame in map(orjson.loads, self.frames):
            if frame.get("type") == "events":
                yield from frame["events"]
            elif "type" not in frame and frame.get("event") != "gap":
                yield frame

    def endings(self) -> list[Ending]:
        """Why its socket is to be closed."""
        return [] if self.subscription.ending is None else [self.subscription.ending]

    def types(self) -> list[str]:
        return [orjson.loads(frame).get("type") or orjson.loads(frame).get("event", "event") for frame in self.frames]


@asynccontextmanager
async def running(watcher: Watcher) -> AsyncIterator[Watcher]:
    watcher.pump()
    try:
        yield watcher
    finally:
        watcher.pumping.cancel()
        with suppress(asyncio.CancelledError):
            await watcher.pumping


async def settled() -> None:
    """Let everything that can run, run."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_replay_then_live_without_a_seam() -> None:
    """Invariant 2: what was stored before, then what is told, each once."""
    log = MemoryLog()
    log.head = log.append(20).last_sequence
    async with running(Watcher(log)) as watcher:
        await settled()
        watcher.tell(log.append(3))
        await settled()
    assert watcher.sequences == list(range(1, 24))


async def test_live_only_starts_at_the_head() -> None:
    """Without ``since`` nothing is replayed, and nothing is read."""
    log = MemoryLog()
    log.head = log.append(5).last_sequence
    async with running(Watcher(log, since=None)) as watcher:
        watcher.tell(log.append(1))
        await settled()
    assert watcher.sequences == [6]
    assert log.reads == 0


async def test_live_delivery_reads_nothing() -> None:
    """Invariant 6: batches that follow each other are sent as they come, without a look at the store."""
    log = MemoryLog()
    async with running(Watcher(log)) as watcher:
        await settled()
        for _ in range(100):
            watcher.tell(log.append(2))
        await settled()
    assert watcher.sequences == list(range(1, 201))
    assert log.reads == 0


async def test_a_lost_batch_is_read_from_the_store() -> None:
    """Invariant 2: the next number that arrives shows the hole, and the log fills it."""
    log = MemoryLog()
    async with running(Watcher(log)) as watcher:
        watcher.tell(log.append())
        await settled()
        log.append(4)
        watcher.tell(log.append())
        await settled()
    assert watcher.sequences == [1, 2, 3, 4, 5, 6]


async def test_repeated_and_overlapping_batches_are_sent_once() -> None:
    """Invariant 2: a layer that repeats itself is not believed twice."""
    log = MemoryLog()
    async with running(Watcher(log)) as watcher:
        await settled()
        first, second = log.append(3), log.append(3)
        both = Batch("t", "e1", "running", 6, first.events + second.events)
        for batch in (first, first, both, second, first):
            watcher.tell(batch)
            await settled()
        watcher.subscription.fall_behind()
        await settled()
    assert watcher.sequences == [1, 2, 3, 4, 5, 6]
    assert log.reads == 0


async def test_pruned_history_is_an_explicit_gap() -> None:
    """Invariant 2: numbers that no longer exist are named, and the rest follows."""
    log = MemoryLog()
    log.head = log.append(10).last_sequence
    del log.stored[2:6]
    async with running(Watcher(log)) as watcher:
        await settled()
    assert watcher.sequences == [1, 2, 7, 8, 9, 10]
    gaps = [orjson.loads(f)["details"] for f in watcher.frames if '"event":"gap"' in f]
    assert gaps == [{"from": 3, "to": 6, "reason": "pruned"}]


async def test_a_log_that_was_pruned_to_its_end_is_one_gap() -> None:
    """The head is known though no row is left."""
    log = MemoryLog()
    log.head = log.append(10).last_sequence
    log.stored.clear()
    async with running(Watcher(log, V1)) as watcher:
        await settled()
    assert watcher.types() == ["gap", "live"]
    assert orjson.loads(watcher.frames[0]) == {"type": "gap", "from": 1, "to": 10, "reason": "pruned"}


@pytest.mark.parametrize(("since", "epoch"), [(2, "e0"), (9, None), (9, "e1")])
async def test_a_resume_into_another_life_of_the_trace_starts_over(since: int, epoch: str | None) -> None:
    """Another epoch, or a place beyond the head: the client is told, and gets everything from 1."""
    log = MemoryLog()
    log.head = log.append(3).last_sequence
    async with running(Watcher(log, V1, since, epoch)) as watcher:
        await settled()
    assert watcher.types() == ["gap", "events", "live"]
    assert orjson.loads(watcher.frames[0])["reason"] == "epoch"
    assert watcher.sequences == [1, 2, 3]


async def test_a_trace_that_begins_again_while_watched() -> None:
    """The old events, a gap that says why, and the new ones from 1; a page of the old life read late is dropped."""
    log = MemoryLog()
    log.head = log.append(3).last_sequence
    async with running(Watcher(log, V1, since=0, epoch="e1")) as watcher:
        await settled()
        log.may_read.clear()
        log.head = log.append(3).last_sequence
        watcher.subscription.fall_behind()
        await settled()  # a page of the old life is being read
        log.epoch, log.head, log.stored = "e2", 0, []
        log.head = log.append(2).last_sequence
        watcher.subscription.begin_again()
        log.may_read.set()
        await settled()
    assert watcher.types() == ["events", "live", "gap", "events"]
    assert watcher.sequences == [1, 2, 3, 1, 2]


async def test_replay_and_live_use_the_same_filter() -> None:
    """Invariant 8: the filter leaves the same events out, whichever way they come."""
    log = MemoryLog()
    log.append(2)
    log.head = log.append(1, name="tool_call_error").last_sequence
    watcher = Watcher(log)
    watcher.subscription.filter = EventFilter(events=frozenset({"tool_call_error"}))
    async with running(watcher):
        await settled()
        watcher.tell(log.append(2))
        watcher.tell(log.append(1, name="tool_call_error"))
        await settled()
    assert watcher.sequences == [3, 6]


async def test_sockets_with_the_same_filter_share_their_frames() -> None:
    """A batch is put into a frame once, however many watch."""
    log = MemoryLog()
    one, other = Watcher(log, V1, None), Watcher(log, V1, None)
    async with running(one), running(other):
        await settled()
        batch = log.append(5)
        one.tell(batch)
        other.tell(batch)
        await settled()
    assert one.frames[-1] is other.frames[-1]


async def test_live_events_go_to_a_wire_at_once() -> None:
    """Without a switch to another task; with all that is said beside them in its place."""
    log = MemoryLog()
    async with running(Watcher(log, V1, has_wire=True)) as watcher:
        await settled()
        for _ in range(3):
            watcher.tell(log.append(2))
        assert watcher.sequences == [1, 2, 3, 4, 5, 6]
        watcher.subscription.heartbeat()
        watcher.tell(log.append(1))
        await settled()
        log.state = "success"
        watcher.tell(log.append(1))
        await settled()
    assert watcher.types() == ["live", *["events"] * 3, "heartbeat", "events", "events", "ended"]
    assert log.reads == 0


async def test_a_wire_that_is_full_is_waited_for() -> None:
    """What comes meanwhile waits behind it, in order."""
    log = MemoryLog()
    async with running(Watcher(log, has_wire=True)) as watcher:
        await settled()
        watcher.tell(log.append(1))
        watcher.may_send.clear()
        watcher.tell(log.append(1))
        await settled()
        watcher.tell(log.append(1))
        watcher.may_send.set()
        watcher.tell(log.append(1))
        await settled()
        watcher.tell(log.append(1))
        assert watcher.sequences == [1, 2, 3, 4, 5]


async def test_a_wire_ends_where_the_window_ends() -> None:
    """A v1 client that does not acknowledge is sent a window, and its acknowledgement opens the way again."""
    log = MemoryLog()
    log.page = 1
    async with running(Watcher(log, V1, has_wire=True)) as watcher:
        await settled()
        for _ in range(30):
            watcher.tell(log.append(1, size=WINDOW_BYTES // 10))
        await settled()
        assert watcher.sequences == list(range(1, 10))
        watcher.subscription.acknowledge(9)
        await settled()
        assert watcher.sequences == list(range(1, 19))


async def test_a_socket_that_takes_nothing_holds_bounded_memory_and_misses_nothing() -> None:
    """Invariant 5: over the bound its backlog is the store; when it reads again, it gets everything."""
    log = MemoryLog()
    async with running(Watcher(log)) as watcher:
        await settled()
        watcher.may_send.clear()
        for _ in range(100):
            watcher.tell(log.append(1, size=MAX_WAITING_BYTES // 20))
            await settled()
            assert sum(batch.size for batch in watcher.subscription._waiting) <= MAX_WAITING_BYTES
        watcher.may_send.set()
        await settled()
    assert watcher.sequences == list(range(1, 101))


async def test_a_client_that_does_not_acknowledge_is_sent_one_window() -> None:
    """Of a v1 client at most a window is on its way; heartbeats go on, and an acknowledgement lets the rest follow."""
    log = MemoryLog()
    async with running(Watcher(log, V1)) as watcher:
        await settled()
        for _ in range(30):
            watcher.tell(log.append(1, size=WINDOW_BYTES // 10))
            await settled()
        assert len(watcher.sequences) == 9
        watcher.subscription.heartbeat()
        await settled()
        assert orjson.loads(watcher.frames[-1]) == {"type": "heartbeat", "sequence": 30}
        while len(watcher.sequences) < 30:
            watcher.subscription.acknowledge(watcher.sequences[-1])
            await settled()
    assert watcher.sequences == list(range(1, 31))


@pytest.mark.parametrize("profile", [PLAIN, V1])
async def test_a_client_that_takes_nothing_for_too_long_is_given_up(profile: Profile) -> None:
    """Invariant 5: neither a socket that blocks nor a window that stays full is waited for without end."""
    log = MemoryLog()
    watcher = Watcher(log, profile)
    watcher.pump()
    await settled()
    watcher.subscription.give_up_if_stalled(0)
    assert watcher.endings() == []  # nothing waits for it
    if profile is PLAIN:
        watcher.may_send.clear()
    for _ in range(3):
        watcher.tell(log.append(1, size=WINDOW_BYTES // 2))
        await settled()
    watcher.subscription.give_up_if_stalled(1000)
    assert watcher.endings() == []
    watcher.subscription.give_up_if_stalled(0)
    await asyncio.gather(watcher.pumping, return_exceptions=True)
    assert (watcher.endings(), watcher.pumping.cancelled()) == ([STALLED], True)


async def test_a_new_life_of_the_trace_has_a_window_of_its_own() -> None:
    """What was unacknowledged of the life before does not hold back the new one."""
    log = MemoryLog()
    async with running(Watcher(log, V1)) as watcher:
        await settled()
        watcher.tell(log.append(1, size=WINDOW_BYTES - 1000))
        await settled()
        log.epoch, log.head, log.stored = "e2", 0, []
        watcher.subscription.begin_again()
        await settled()
        for _ in range(3):
            watcher.tell(log.append(1, size=WINDOW_BYTES // 4))
            await settled()
    assert watcher.sequences == [1, 1, 2, 3]


async def test_the_end_is_said_when_everything_was_sent() -> None:
    """``live`` once, ``ended`` behind the last event, and again if more follows."""
    log = MemoryLog()
    log.head = log.append(10).last_sequence
    log.state = "success"
    async with running(Watcher(log, V1)) as watcher:
        await settled()
        assert watcher.types() == ["events", "events", "live", "ended"]
        assert orjson.loads(watcher.frames[-1]) == {"type": "ended", "state": "success", "sequence": 10}
        watcher.tell(log.append())
        await settled()
    assert watcher.types() == ["events", "events", "live", "ended", "events", "ended"]


PROFILES: st.SearchStrategy[Profile] = st.sampled_from([PLAIN, V1])
STEPS = ["emit", "tell", "repeat", "lose", "look", "block", "turn"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_the_layer_does_each_event_arrives_once(data: st.DataObject) -> None:
    """Invariant 2, against layers that lose, repeat, delay and reorder, sockets that block, and looks at the head."""

    async def schedule() -> None:
        log = MemoryLog()
        log.page = data.draw(st.integers(1, 5))
        log.head = log.append(data.draw(st.integers(1, 6))).last_sequence
        since = data.draw(st.integers(0, log.head))
        in_flight: list[Batch] = []
        told: list[Batch] = []
        async with running(Watcher(log, data.draw(PROFILES), since, has_wire=data.draw(st.booleans()))) as watcher:
            for step in data.draw(
                st.lists(st.sampled_from(["emit", "tell", "repeat", "lose", "look", "block", "turn"]))
            ):
                if step == "emit":
                    in_flight.append(log.append(data.draw(st.integers(1, 4))))
                elif step in ("tell", "lose") and in_flight:
                    batch = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
                    if step == "tell":
                        told.append(batch)
                        watcher.tell(batch)
                elif step == "repeat" and told:
                    watcher.tell(told[data.draw(st.integers(0, len(told) - 1))])
                elif step == "look":
                    log.head = log.stored[-1].sequence
                    watcher.subscription.fall_behind()
                elif step == "block":
                    watcher.may_send.clear() if watcher.may_send.is_set() else watcher.may_send.set()
                else:
                    await asyncio.sleep(0)
            watcher.may_send.set()
            log.head = log.stored[-1].sequence
            watcher.subscription.fall_behind()
            await settled()
            assert watcher.sequences == list(range(since + 1, log.head + 1))

    asyncio.run(schedule())


async def test_a_client_that_has_more_of_a_deleted_trace_than_the_hub_is_told_of_the_next_life_alone() -> None:
    """It was served elsewhere: that it is beyond what is known here does not make its life another one."""
    log = MemoryLog()
    log.epoch, log.head, log.is_gone = "e1", 6, True
    async with running(Watcher(log, V1, 10, "e1")) as watcher:
        await settled()
        log.epoch, log.is_gone = "e2", False
        log.head = log.append(2).last_sequence
        watcher.subscription.begin_again()
        await settled()
    gaps = [frame for frame in map(orjson.loads, watcher.frames) if frame["type"] == "gap"]
    assert gaps[0] == {"type": "gap", "from": 1, "to": 10, "reason": "epoch", "epoch": "e2"}
    assert [gap["reason"] for gap in gaps[1:]] == ["pruned"]


@pytest.mark.parametrize("has_wire", [True, False])
async def test_news_that_overlap_are_told_once(has_wire: bool) -> None:
    """Whoever cuts them another way: each event arrives once."""
    log = MemoryLog()
    async with running(Watcher(log, has_wire=has_wire)) as watcher:
        await settled()
        first, second = log.append(3), log.append(3)
        watcher.tell(first)
        watcher.tell(replace(second, events=first.events[1:] + second.events))
        await settled()
    assert watcher.sequences == [1, 2, 3, 4, 5, 6]


async def test_a_filter_that_changes_while_a_page_is_read_holds_for_that_page() -> None:
    """What the new one wants is not passed over; the page is read again."""
    log = MemoryLog()
    log.append(5)
    log.head = 5
    log.may_read.clear()
    watcher = Watcher(log, V1)
    watcher.subscription.filter = EventFilter(frozenset({"route_decision"}), None)
    watcher.pump()
    for _ in range(3):
        await asyncio.sleep(0)
    assert log.reads == 1
    watcher.subscription.filter = EVERYTHING
    log.may_read.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert watcher.sequences == [1, 2, 3, 4, 5]
