"""What a hub knows of a trace: news that are late, lost or contradictory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from trace_streaming.events import EncodedEvent
from trace_streaming.storage.store import Head
from trace_streaming.watching.contracts import Page, Reader
from trace_streaming.watching.reader import Place
from trace_streaming.watching.topics import RING_BYTES, RING_EVENTS, Topic
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.profiles import PLAIN, V1
from trace_streaming.wire.protocol import EVERYTHING, EventFilter

ANYBODY = Reader(PLAIN, EVERYTHING, lambda packet: None)


async def no_page(place: Place, reader: Reader) -> Page:
    raise LookupError(place.after)


def texts(first: int, last: int) -> list[str]:
    return [event.text for event in batch(first, last).events]


@pytest.fixture
async def topic() -> Topic:
    """A trace whose log is known to end at 3."""
    topic = Topic("t", no_page)
    assert topic.look(Head(1, "e1", 3, "running"))
    return topic


def batch(first: int, last: int, state: str = "running", epoch: str = "e1", size: int = 0) -> Batch:
    events = [EncodedEvent(n, "plan_created", "success", f"{n}" + "x" * size) for n in range(first, last + 1)]
    return Batch("t", epoch, state, last, tuple(events))


def test_news_of_another_life_are_not_believed(topic: Topic) -> None:
    """Late news of a deleted trace look the same as early news of a new one: the store knows."""
    assert not topic.deliver(batch(4, 4, epoch="e2"))
    assert topic.head == 3


async def test_a_beginning_is_all_that_there_is_and_need_not_be_read() -> None:
    """Who knows of no trace learns of it by its first event, where the news say which row it has."""
    topic = Topic("t", no_page)
    first = replace(batch(1, 2), trace_pk=7)
    assert not topic.deliver(batch(1, 2))
    assert not topic.deliver(replace(batch(2, 2), trace_pk=7))
    assert (topic.epoch, topic.head) == (None, 0)
    assert topic.deliver(first)
    assert (topic.epoch, topic.head, topic.state) == ("e1", 2, "running")
    assert (await topic.read(0, ANYBODY)).packet.texts == texts(1, 2)
    assert topic.deliver(batch(3, 3, "success"))
    with pytest.raises(LookupError):
        await Topic("t", no_page).read(0, ANYBODY)
    pages: list[int] = []

    async def page(place: Place, reader: Reader) -> Page:
        pages.append(place.trace_pk)
        return reader.page("t", place.after, place.head, [])

    other = Topic("t", page)
    assert other.deliver(first)
    assert other.deliver(batch(4, 4))
    await other.read(2, ANYBODY)
    assert pages == [7]


def test_an_end_whose_events_were_lost_is_not_believed(topic: Topic) -> None:
    """Invariant 2: it would move the head past events that nobody got."""
    assert not topic.deliver(Batch("t", "e1", "success", 5))
    assert (topic.head, topic.state) == (3, "running")
    assert topic.deliver(Batch("t", "e1", "success", 3))
    assert topic.state == "success"


def test_late_news_do_not_take_back_the_end(topic: Topic) -> None:
    """Neither from the layer, which may reorder, nor from a look that began before the end."""
    topic.deliver(batch(4, 5, "success"))
    topic.deliver(batch(4, 4, "running"))
    assert not topic.look(Head(1, "e1", 4, "running"))
    assert not topic.look(Head(1, "e1", 5, "running"))
    assert topic.state == "success"
    assert topic.look(Head(1, "e1", 5, "error"))
    assert topic.state == "error"


async def test_the_ring_holds_no_hole(topic: Topic) -> None:
    """Invariant 2: after a hole only what follows it is remembered; the rest is read from the store."""
    topic.deliver(batch(4, 5))
    assert (await topic.read(3, ANYBODY)).packet.texts == texts(4, 5)
    topic.deliver(batch(7, 8))
    assert (await topic.read(6, ANYBODY)).packet.texts == texts(7, 8)
    for after in (3, 5, 8):
        with pytest.raises(LookupError):
            await topic.read(after, ANYBODY)


async def test_those_who_miss_the_same_read_it_once() -> None:
    """After a hole all sockets of a trace ask at once; one reads, even when the one that began is cut off."""
    reads: list[int] = []
    may_read = asyncio.Event()

    async def read_page(place: Place, reader: Reader) -> Page:
        reads.append(place.after)
        await may_read.wait()
        return reader.page("t", place.after, place.head, batch(place.after + 1, place.after + 2).events)

    topic = Topic("t", read_page)
    topic.look(Head(1, "e1", 10, "running"))
    readers = [asyncio.create_task(topic.read(4, ANYBODY)) for _ in range(10)]
    another = asyncio.create_task(topic.read(5, ANYBODY))
    for _ in range(3):
        await asyncio.sleep(0)
    assert reads == [4, 5]
    readers[0].cancel()
    readers[5].cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert reads == [4, 5, 4]
    may_read.set()
    pages = await asyncio.gather(*readers, return_exceptions=True)
    pages = [page for page in pages if isinstance(page, Page)]
    assert len(pages) == 8
    assert all(page is pages[0] for page in pages)
    assert (await another).packet.texts == texts(6, 7)
    assert topic._reading == {}


async def test_those_who_miss_the_same_of_the_ring_share_its_packet(topic: Topic) -> None:
    """Until the log goes on."""
    topic.deliver(batch(4, 6))
    assert await topic.read(4, ANYBODY) is await topic.read(4, ANYBODY)
    before = await topic.read(4, ANYBODY)
    topic.deliver(batch(7, 7))
    assert (await topic.read(4, ANYBODY)).packet.texts == texts(5, 7)
    assert before.packet.texts == texts(5, 6)


def test_the_ring_is_bounded(topic: Topic) -> None:
    """By events and by bytes."""
    topic.deliver(batch(4, 3 + 2 * RING_EVENTS))
    assert len(topic._ring) == RING_EVENTS
    topic.deliver(batch(topic.head + 1, topic.head + 50, size=RING_BYTES // 10))
    assert topic._ring_bytes == sum(len(event.text) for event in topic._ring) <= RING_BYTES


async def test_readers_of_any_filter_share_what_is_read() -> None:
    """They choose their filters themselves: one read for each would keep all others waiting."""
    reads: list[int] = []
    may_read = asyncio.Event()

    async def read_page(place: Place, reader: Reader) -> Page:
        reads.append(place.after)
        await may_read.wait()
        return reader.page("t", place.after, place.head, batch(place.after + 1, place.head).events)

    topic = Topic("t", read_page)
    topic.look(Head(1, "e1", 10, "running"))
    filters = [EventFilter(frozenset({name}), None) for name in ("plan_created", "other", "another")]
    reading = [
        asyncio.create_task(topic.read(4, Reader(profile, wanted, lambda packet: None)))
        for profile in (PLAIN, V1)
        for wanted in filters
    ]
    for _ in range(3):
        await asyncio.sleep(0)
    may_read.set()
    pages = await asyncio.gather(*reading)
    assert reads == [4]
    assert [page.packet.events for page in pages] == [6, 0, 0, 6, 0, 0]
    assert {page.last for page in pages} == {10}


async def test_kinds_of_readers_that_take_turns_share_what_is_made_of_the_ring(topic: Topic) -> None:
    """Each its own."""
    topic.deliver(batch(4, 6))
    plain, v1 = Reader(PLAIN, EVERYTHING, lambda packet: None), Reader(V1, EVERYTHING, lambda packet: None)
    first = [await topic.read(4, plain), await topic.read(4, v1)]
    assert all([await topic.read(4, plain) is first[0] and await topic.read(4, v1) is first[1] for _ in range(3)])
