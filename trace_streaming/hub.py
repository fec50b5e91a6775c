"""The only reader of the channel layer in a process: hands each batch to the local subscriptions of its trace."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from django.db import Error as DatabaseError

from . import publisher, store
from .conf import conf
from .events import EncodedEvent
from .exceptions import StorageUnavailableError
from .frames import Batch, Profile
from .protocol import WatchRequest
from .subscription import Send, Subscription

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

READ_THREADS: Final = 4
RING_EVENTS: Final = 256
RING_BYTES: Final = 512 * 1024
RETRY_SECONDS: Final = 1.0
LAYER_TIMEOUT_SECONDS: Final = 2.0


class Topic:
    """One watched trace: its subscriptions, what is known of its log, and the log's newest events."""

    def __init__(self, hub: Hub, trace_id: str) -> None:
        self.trace_id = trace_id
        self.epoch: str | None = None
        self.head = 0
        self.state: str | None = None
        self.subscriptions: set[Subscription] = set()
        self.membership = asyncio.Lock()
        """Held while the group is joined or left."""
        self.ready = False
        """Whether the log was looked at after the group was joined."""
        self._hub = hub
        self._pk = 0
        self._ring: deque[EncodedEvent] = deque()
        self._ring_bytes = 0

    async def read(self, after: int) -> Sequence[EncodedEvent]:
        """The next events after a sequence, from the ring when it has them; waits while the database is away."""
        if self._ring and self._ring[0].sequence <= after + 1 <= self._ring[-1].sequence:
            return [event for event in self._ring if event.sequence > after]
        while True:
            try:
                return await self._hub.in_thread(store.read_page, self.trace_id, self._pk, after)
            except DatabaseError as error:
                logger.warning("Reading a trace fails (%s)", type(error).__name__, extra={"trace_id": self.trace_id})
                await asyncio.sleep(RETRY_SECONDS)

    def deliver(self, batch: Batch) -> bool:
        """Take a batch from the channel layer; False when only the store can say what it means."""
        if batch.epoch != self.epoch:
            return False  # the trace has just begun, or began again, or this is late news of an earlier life
        self.state = batch.state
        if batch.last_sequence > self.head:
            if batch.events and batch.events[0].sequence > self.head + 1:
                self._clear_ring()
            self._remember(batch.events)
            self.head = batch.last_sequence
        for subscription in self.subscriptions:
            subscription.offer(batch)
        return True

    def look(self, head: store.Head | None) -> bool:
        """Take what the store says; True when it knew more than the channel layer had told."""
        if head is None or (head.epoch == self.epoch and head.sequence <= self.head and head.state == self.state):
            return False
        began_again = self.epoch is not None and head.epoch != self.epoch
        if began_again or head.sequence > self.head:
            self._clear_ring()
        self._pk, self.epoch, self.state = head.pk, head.epoch, head.state
        self.head = head.sequence if began_again else max(head.sequence, self.head)
        for subscription in self.subscriptions:
            subscription.begin_again() if began_again else subscription.fall_behind()
        return True

    def _remember(self, events: Sequence[EncodedEvent]) -> None:
        for event in events:
            if event.sequence > self.head:
                self._ring.append(event)
                self._ring_bytes += len(event.text)
        while self._ring and (len(self._ring) > RING_EVENTS or self._ring_bytes > RING_BYTES):
            self._ring_bytes -= len(self._ring.popleft().text)

    def _clear_ring(self) -> None:
        self._ring.clear()
        self._ring_bytes = 0


class Hub:
    """Subscriptions of one event loop. Runs while it has any, and leaves nothing behind with the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.topics: dict[str, Topic] = {}
        self._loop = loop
        self._layer = publisher.channel_layer()
        self._channel: str | None = None
        """Ours, while the channel layer answers."""
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="trace-reader")
        self._look_now = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        for service in (self._receive, self._look, self._beat):
            self._spawn(service())
        publisher.attach(loop)

    async def subscribe(self, request: WatchRequest, profile: Profile, send: Send) -> Subscription:
        """Give a watcher its place; :exc:`StorageUnavailableError` when the database does not answer."""
        topic = self.topics.get(request.trace_id)
        if topic is None:
            topic = self.topics[request.trace_id] = Topic(self, request.trace_id)
        subscription = Subscription(topic, profile, send)
        topic.subscriptions.add(subscription)  # before anything is awaited: from here on topic and hub stay
        try:
            async with topic.membership:
                if not topic.ready:
                    # Join first, look second: nothing can fall in between.
                    await self._join(topic)
                    heads = await self.in_thread(store.read_heads, [topic.trace_id])
                    topic.look(heads.get(topic.trace_id))
                    topic.ready = True
        except BaseException as error:
            self.unsubscribe(subscription)
            if isinstance(error, DatabaseError):
                raise StorageUnavailableError("The database does not answer") from error
            raise
        subscription.open(request)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Free a watcher's place, at once; leaving the group goes on in the background."""
        topic = self.topics.get(subscription.trace_id)
        if topic is None or subscription not in topic.subscriptions:
            return
        topic.subscriptions.discard(subscription)
        if not topic.subscriptions:
            self._spawn(self._leave(topic))

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run database code in the hub's own threads: the one that all sync code shares may be busy for seconds."""
        work = partial(store.with_fresh_connection, function, *args, **kwargs)
        return await self._loop.run_in_executor(self._threads, work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, topic: Topic) -> None:
        """Join the trace's group. Where that fails, the looks at the heads serve the trace until it succeeds."""
        if self._channel is None:
            return
        try:
            async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                await self._layer.group_add(publisher.group_name(topic.trace_id), self._channel)
        except Exception as error:
            self._lose_layer(error)

    async def _leave(self, topic: Topic) -> None:
        async with topic.membership:
            if topic.subscriptions:
                return
            topic.ready = False
            if self._channel is not None:
                try:
                    async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
                        await self._layer.group_discard(publisher.group_name(topic.trace_id), self._channel)
                except Exception as error:
                    self._lose_layer(error)
            if not topic.subscriptions:
                del self.topics[topic.trace_id]
        if not self.topics:
            self._stop()

    def _stop(self) -> None:
        publisher.detach(self._loop)
        _hubs.pop(self._loop, None)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._threads.shutdown(wait=False)

    async def _receive(self) -> None:
        """Read the channel layer, and come back to it after any failure."""
        while True:
            try:
                if self._channel is None:
                    await self._connect()
                message = await self._layer.receive(self._channel)
            except Exception as error:
                self._lose_layer(error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._deliver(message)

    async def _connect(self) -> None:
        """Take a channel and join the groups of all topics; what was missed meanwhile is found by a look."""
        async with asyncio.timeout(LAYER_TIMEOUT_SECONDS):
            channel = await self._layer.new_channel()
            for trace_id in list(self.topics):
                await self._layer.group_add(publisher.group_name(trace_id), channel)
        self._channel = channel
        for topic in self.topics.values():  # topics that came while the others joined
            await self._join(topic)
        self._look_now.set()

    def _lose_layer(self, error: Exception) -> None:
        if self._channel is not None:
            logger.warning("The channel layer fails (%s); reading from the database", type(error).__name__)
        self._channel = None

    def _deliver(self, message: dict[str, Any]) -> None:
        try:
            batch = publisher.from_message(message)
        except (KeyError, TypeError):  # from another version of this app, in a rolling update
            self._look_now.set()
            return
        topic = self.topics.get(batch.trace_id)
        if topic is not None and not topic.deliver(batch):
            self._look_now.set()

    async def _look(self) -> None:
        """Ask the store from time to time where the watched logs end: the layer may have lost the last word."""
        while True:
            try:
                await asyncio.wait_for(self._look_now.wait(), self._look_interval())
            except TimeoutError:
                pass
            self._look_now.clear()
            try:
                heads = await self.in_thread(store.read_heads, list(self.topics))
            except Exception as error:
                logger.warning("Looking at the heads of the watched traces fails (%s)", type(error).__name__)
                continue
            for topic in list(self.topics.values()):
                if topic.look(heads.get(topic.trace_id)):
                    await self._join(topic)  # the layer may have forgotten that we are in the group

    def _look_interval(self) -> float:
        if conf.HEAD_CHECK_SECONDS is not None:
            return conf.HEAD_CHECK_SECONDS
        return 1.0 if self._channel is None or publisher.is_in_memory(self._layer) else 10.0

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(conf.HEARTBEAT_SECONDS)
            for topic in self.topics.values():
                for subscription in topic.subscriptions:
                    subscription.heartbeat()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def current_hub() -> Hub:
    """The hub of the running loop; made when there is none."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        for closed in [other for other in _hubs if other.is_closed()]:
            del _hubs[closed]
        _hubs[loop] = Hub(loop)
    return _hubs[loop]


def connections_by_trace() -> dict[str, int]:
    """How many connections of this process watch each trace. Callable from any thread."""
    counts: dict[str, int] = {}
    for hub in list(_hubs.values()):
        for topic in list(hub.topics.values()):
            if connections := len(topic.subscriptions):
                counts[topic.trace_id] = counts.get(topic.trace_id, 0) + connections
    return counts
