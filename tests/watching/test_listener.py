"""The hub's ear notices that it is deaf, although the layer says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from trace_streaming.watching import channel_layer, listener
from trace_streaming.watching import listener as module
from trace_streaming.watching.listener import Listener


class Layer:
    """As channels_redis' pubsub layer: ``receive`` never fails, it only waits."""

    group_expiry = 100

    def __init__(self) -> None:
        self.queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.groups: set[tuple[str, str]] = set()
        self.sent = 0
        self.loses = False
        """Whether what is sent never arrives."""
        self.error: Exception | None = None

    async def new_channel(self) -> str:
        name = f"channel-{len(self.queues)}"
        self.queues[name] = asyncio.Queue()
        return name

    async def receive(self, channel: str) -> dict[str, Any]:
        return await self.queues[channel].get()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        if self.error is not None:
            raise self.error
        self.sent += 1
        if not self.loses:
            self.queues[channel].put_nowait(message)

    async def group_add(self, group: str, channel: str) -> None:
        if self.error is not None:
            raise self.error
        self.groups.add((group, channel))

    async def group_discard(self, group: str, channel: str) -> None:
        self.groups.discard((group, channel))


class Hearing:
    """A listener with its tasks, and what it was told."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.messages: list[dict[str, Any]] = []
        self.connected: list[str | None] = []
        self.listener = Listener(self._spawn, self.messages.append, self._on_connected)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def _on_connected(self, lost: str | None) -> None:
        self.connected.append(lost)
        await self.listener.join("g")

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    layer = Layer()
    monkeypatch.setattr(listener, "channel_layer", lambda: layer)
    monkeypatch.setattr(module, "WORD_SECONDS", 0.005)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(module, "MAX_UNHEARD", 1000)
    return layer


@pytest.fixture
async def hearing(layer: Layer) -> Any:
    hearing = Hearing()
    await hearing.until(lambda: hearing.listener.is_quick)
    yield hearing
    for task in hearing.tasks:
        task.cancel()
    await asyncio.gather(*hearing.tasks, return_exceptions=True)


async def test_words_to_itself_are_heard_and_not_told(layer: Layer, hearing: Hearing) -> None:
    """Only what others say is a message."""
    channel = hearing.listener.channel
    assert channel is not None
    await hearing.until(lambda: layer.sent > 5)
    layer.queues[channel].put_nowait({"type": "trace.batch"})
    await hearing.until(lambda: hearing.messages)
    assert hearing.messages == [{"type": "trace.batch"}]
    assert hearing.listener.is_quick
    assert hearing.connected == [None]


async def test_a_layer_that_loses_what_it_takes_is_noticed_logged_once_and_joined_again_when_it_is_back(
    layer: Layer, hearing: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis was stopped or cut off: until then the log is looked at every second."""
    layer.loses = True
    await hearing.until(lambda: not hearing.listener.is_quick)
    await hearing.until(lambda: hearing.listener._unheard > 4)
    assert caplog.text.count("The channel layer fails (TimeoutError)") == 1
    layer.groups.clear()
    layer.loses = False
    await hearing.until(lambda: hearing.listener.is_quick)
    assert hearing.connected == [None, None]
    assert layer.groups == {("g", hearing.listener.channel)}


async def test_after_some_words_in_vain_another_channel_is_taken(
    layer: Layer, hearing: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection may be dead while Redis lives."""
    first = hearing.listener.channel
    layer.loses = True
    monkeypatch.setattr(module, "MAX_UNHEARD", 3)
    await hearing.until(lambda: hearing.listener.channel not in (None, first))
    assert hearing.connected[:2] == [None, first]
    layer.loses = False
    await hearing.until(lambda: hearing.listener.is_quick)


async def test_a_layer_that_refuses_to_send_is_lost_at_once(layer: Layer, hearing: Hearing) -> None:
    """Another channel, and all groups, when it takes messages again."""
    first = hearing.listener.channel
    layer.error = ConnectionError("no redis")
    await hearing.until(lambda: hearing.listener.channel != first)
    layer.error = None
    await hearing.until(lambda: hearing.listener.is_quick and layer.groups >= {("g", hearing.listener.channel)})


async def test_an_in_memory_layer_hears_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no words; what other processes say it never tells, so the log is looked at."""
    layer = channel_layer.new_channel_layer()
    monkeypatch.setattr(listener, "channel_layer", lambda: layer)
    hearing = Hearing()
    await hearing.until(lambda: hearing.listener.channel)
    assert not hearing.listener.is_quick
    assert len(hearing.tasks) == 1
    hearing.tasks[0].cancel()
    await asyncio.gather(*hearing.tasks, return_exceptions=True)
