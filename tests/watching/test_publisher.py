"""News through the channel layer: strings and numbers only, and never a reason for the recorder to stop."""

from __future__ import annotations

import asyncio
import logging
import re
import string
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from pytest_django import Settings

from trace_streaming.events import EncodedEvent
from trace_streaming.watching import channel_layer, publisher
from trace_streaming.watching.publisher import BATCH_BYTES, MAX_WAITING_BYTES, RETRY_SECONDS, Inbox, Publisher
from trace_streaming.watching.sending import MAX_IN_FLIGHT
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.frames import MAX_FRAME_BYTES

BATCH = Batch("t", "e1", "running", 2, (EncodedEvent(1, "plan_created", "success", '{"a":1}'),) * 2)


class SilentLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """A layer of another kind, which fails or hangs as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []
        self.error: Exception | None = None

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((group, message))


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> SilentLayer:
    layer = SilentLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    monkeypatch.setattr(publisher, "is_in_memory", lambda layer: False)
    return layer


def test_a_batch_survives_the_layers_encoding() -> None:
    """Nothing but what every backend carries: here the one of Redis."""
    message = msgpack.unpackb(msgpack.packb(channel_layer.to_message(replace(BATCH, trace_pk=7))))
    batch = channel_layer.from_message(message)
    assert (batch, batch.trace_pk) == (BATCH, 7)
    del message["trace_pk"]  # of another version, in a rolling update
    assert channel_layer.from_message(message).trace_pk == 0


@pytest.mark.parametrize("trace_id", ["t", "A" * 128, "a~b:c@d", *string.punctuation.replace("/", "")])
def test_group_names_are_valid_for_every_trace_id(trace_id: str) -> None:
    """Channels allows fewer letters in a group's name, and under 100 of them."""
    name = channel_layer.group_name(trace_id)
    assert re.fullmatch(r"[a-zA-Z\d\-_.]{1,99}", name)


def test_trace_ids_do_not_share_a_group() -> None:
    """Ids that differ in a letter that groups do not allow stay apart."""
    assert len({channel_layer.group_name(trace_id) for trace_id in ("a:b", "a~b", "a@b", "a.b", "A.b")}) == 5


def test_batches_are_sent_to_their_traces_groups(layer: SilentLayer) -> None:
    """One message per batch, in order."""
    sender = Publisher()
    sender.publish([BATCH, Batch("u", "e2", "success", 7)])
    sender.close()
    assert [group for group, _ in layer.sent] == [channel_layer.group_name("t"), channel_layer.group_name("u")]
    assert channel_layer.from_message(layer.sent[0][1]) == BATCH


def test_batches_of_many_traces_are_in_flight_together_and_those_of_one_in_order(
    layer: SilentLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the answer to another trace's message; and never more are sent at once than may be."""
    in_flight: set[str] = set()
    most, order = 0, []

    async def group_send(group: str, message: dict[str, Any]) -> None:
        nonlocal most
        assert group not in in_flight
        in_flight.add(group)
        most = max(most, len(in_flight))
        await asyncio.sleep(0)  # what the network takes
        in_flight.remove(group)
        order.append((message["trace_id"], message["last_sequence"]))

    monkeypatch.setattr(layer, "group_send", group_send)
    traces = [f"t-{number}" for number in range(100)]
    sender = Publisher()
    sender.publish([Batch(trace, "e", "running", sequence) for sequence in (1, 2, 3) for trace in traces])
    sender.close()
    assert most == MAX_IN_FLIGHT
    assert [[n for name, n in order if name == trace] for trace in traces] == [[1, 2, 3]] * 100


def test_a_layer_that_fails_is_logged_once_left_alone_for_a_second_and_used_again(
    layer: SilentLayer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 3: Redis may be down; the recorder goes on, and does not wait for it with every batch."""
    now = 100.0
    monkeypatch.setattr(publisher, "monotonic", lambda: now)
    sender = Publisher()
    layer.error = ConnectionError("no redis")
    with caplog.at_level(logging.WARNING):
        sender.publish([BATCH])
        now += RETRY_SECONDS + 0.01
        sender.publish([BATCH])
        layer.error = None
        sender.publish([BATCH])
        assert layer.sent == []
        now += RETRY_SECONDS + 0.01
        sender.publish([BATCH])
    sender.close()
    assert caplog.text.count("Publishing fails") == 1
    assert len(layer.sent) == 1


def test_a_layer_that_cannot_be_made_is_survived(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt backend is logged; what was emitted is stored all the same."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "no.such.Layer"}}
    Publisher().publish([BATCH])
    assert "Publishing fails" in caplog.text


def test_without_a_configured_layer_one_in_memory_is_used(settings: Settings) -> None:
    """An empty project works."""
    settings.CHANNEL_LAYERS = {}
    assert channel_layer.is_in_memory(channel_layer.channel_layer())
    assert channel_layer.channel_layer() is channel_layer.channel_layer()


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, asyncio.Queue[Batch]]]:
    """A hub's, as long as a test lasts."""
    delivered: asyncio.Queue[Batch] = asyncio.Queue()
    inbox = Inbox(asyncio.get_running_loop(), delivered.put_nowait, lambda delta: None)
    publisher.attach(inbox)
    yield inbox, delivered
    publisher.detach(inbox)


async def test_hubs_of_this_process_are_handed_the_batches_themselves(
    inbox: tuple[Inbox, asyncio.Queue[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the writer's thread, without a copy, and without the in-memory layer, which drops what is over 100."""
    monkeypatch.setitem(channel_layers.backends, "default", InMemoryChannelLayer())
    await asyncio.to_thread(Publisher().publish, [BATCH])
    assert await asyncio.wait_for(inbox[1].get(), 5) is BATCH


async def test_a_loop_that_is_busy_is_handed_the_newest(inbox: tuple[Inbox, asyncio.Queue[Batch]]) -> None:
    """Joined where they follow each other, and bounded: what is left out is seen by the number."""
    most = MAX_WAITING_BYTES // (MAX_FRAME_BYTES + BATCH_BYTES)
    events = [EncodedEvent(n, "plan_created", "success", "x" * MAX_FRAME_BYTES) for n in range(1, 1001)]
    for event in events:
        inbox[0].put([Batch("t", "e", "running", event.sequence, (event,))])
    batches = [await asyncio.wait_for(inbox[1].get(), 5) for _ in range(most)]
    assert [batch.last_sequence for batch in batches] == list(range(1001 - most, 1001))
    for event in events[:10]:
        inbox[0].put([Batch("t", "e", "running", event.sequence, (event._replace(text="{}"),))])
    assert len((await asyncio.wait_for(inbox[1].get(), 5)).events) == 10
    assert inbox[1].empty()


async def test_a_busy_loop_is_handed_a_batch_of_each_of_many_traces(
    inbox: tuple[Inbox, asyncio.Queue[Batch]],
) -> None:
    """They are small: none is left out, and so none is read again from the store."""
    event = EncodedEvent(1, "plan_created", "success", "x" * 300)
    traces = [f"t-{number}" for number in range(5000)]
    inbox[0].put([Batch(trace, "e", "running", 1, (event,)) for trace in traces])
    assert [(await asyncio.wait_for(inbox[1].get(), 5)).trace_id for _ in traces] == traces


async def test_an_event_that_is_larger_than_all_that_may_wait_is_handed_over(
    inbox: tuple[Inbox, asyncio.Queue[Batch]],
) -> None:
    """The newest always is."""
    event = EncodedEvent(1, "plan_created", "success", "x" * MAX_WAITING_BYTES)
    inbox[0].put([Batch("t", "e", "running", 1, (event,))])
    assert (await asyncio.wait_for(inbox[1].get(), 5)).events == (event,)


async def test_whoever_else_is_in_the_group_hears_of_it_through_the_layer(
    inbox: tuple[Inbox, asyncio.Queue[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer of the project may join a trace's group, in memory too; the hub itself is told once."""
    layer = InMemoryChannelLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    inbox[0].channel = await layer.new_channel()
    own = await layer.new_channel()
    for channel in (inbox[0].channel, own):
        await layer.group_add(channel_layer.group_name(BATCH.trace_id), channel)
    await asyncio.to_thread(Publisher().publish, [BATCH])
    message = await asyncio.wait_for(layer.receive(own), 5)
    assert channel_layer.from_message(message) == BATCH
    await layer.group_discard(channel_layer.group_name(BATCH.trace_id), own)
    await asyncio.to_thread(Publisher().publish, [BATCH])
    assert [await inbox[1].get(), await inbox[1].get()] == [BATCH, BATCH]
    assert layer.channels[inbox[0].channel].qsize() == 1


async def test_a_layer_in_memory_that_is_somebodys_own_is_told_on_the_hubs_loop(
    inbox: tuple[Inbox, asyncio.Queue[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A put from another thread would be seen only when the loop next wakes, seconds later."""
    sent_in: asyncio.Queue[int] = asyncio.Queue()

    class Layer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            sent_in.put_nowait(threading.get_ident())

    monkeypatch.setitem(channel_layers.backends, "default", Layer())
    await asyncio.to_thread(Publisher().publish, [BATCH])
    assert await asyncio.wait_for(sent_in.get(), 5) == threading.get_ident()
    assert inbox[1].empty()


def test_news_for_a_loop_that_has_gone_disturb_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A hub's loop may be closed at any moment."""
    loop = asyncio.new_event_loop()
    inbox = Inbox(loop, lambda batch: None, lambda delta: None)
    publisher.attach(inbox)
    loop.close()
    try:
        Publisher().publish([BATCH])
    finally:
        publisher.detach(inbox)
    assert not caplog.records


async def test_a_layer_in_memory_that_fails_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Until it works again."""
    inbox = Inbox(asyncio.get_running_loop(), lambda batch: None, lambda delta: None)

    async def fails() -> None:
        raise OSError

    async def works() -> None:
        """Nothing is to be sent."""

    for sending in (*[fails] * 3, works, *[fails] * 3):
        inbox.run(sending)
        while not inbox._sending:
            await asyncio.sleep(0)
        while inbox._sending:
            await asyncio.sleep(0)
    assert caplog.messages == ["Publishing fails (OSError); watchers read from the database"] * 2
