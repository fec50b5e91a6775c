"""The only reader of the channel layer in a process: hands each batch to the local subscriptions of its trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from time import monotonic, time
from typing import Any, Final

from django.db import Error as DatabaseError

from trace_streaming.conf import conf
from trace_streaming.events import emitted_at
from trace_streaming.events.deltas import TextDelta
from trace_streaming.exceptions import StorageUnavailableError
from trace_streaming.storage.store import Head
from trace_streaming.telemetry import metrics
from trace_streaming.telemetry.logs import BurstLog, describe
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.profiles import Profile
from trace_streaming.wire.protocol import WatchRequest

from . import publisher
from .channel_layer import DELTA, from_delta_message, from_message, group_name
from .contracts import Client
from .listener import Listener
from .reader import LogReader
from .subscription import Subscription
from .topics import Topic

logger = logging.getLogger(__name__)

NEWS_SECONDS: Final = 0.25
"""How long news of a commit may take to come: what a look sees sooner is being handed over, and need not be read."""


class Hub:
    """Subscriptions of one event loop. Runs while it has any, and leaves nothing behind with the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stopped: Callable[[], object]) -> None:
        """:param stopped: called when the last subscription has gone, and the hub with it"""
        self.topics: dict[str, Topic] = {}
        self._loop = loop
        self._stopped = stopped
        self._reader = LogReader(loop)
        self._look_now = asyncio.Event()
        self._log = BurstLog(logger)
        self._tasks: set[asyncio.Task[None]] = set()
        self.looked_at = monotonic()
        """When the database last said where the watched logs end."""
        metrics.reporter.start()
        self._listener = Listener(self._spawn, self._deliver, self._rejoin)
        self._inbox = publisher.Inbox(loop, self._hand_out, self._hand_out_delta)
        publisher.attach(self._inbox)
        # It ends with the hub, or with the loop, whose tasks are all cancelled before it closes.
        self._spawn(self._look()).add_done_callback(lambda _: self._end())
        self._spawn(self._beat())

    async def subscribe(self, request: WatchRequest, profile: Profile, client: Client) -> Subscription:
        """Give a watcher its place; :exc:`StorageUnavailableError` when the database does not answer."""
        topic = self.topics.get(request.trace_id)
        if topic is None:
            topic = self.topics[request.trace_id] = Topic(request.trace_id, self._reader.page)
        subscription = Subscription(topic, profile, client)
        topic.subscriptions.add(subscription)  # before anything is awaited: from here on topic and hub stay
        try:
            async with topic.membership:
                if not topic.ready:
                    await self._join(topic)  # first join, then look: nothing can fall in between
                # A client that seems to be of another life may only know of more than we were told.
                if not topic.ready or request.contradicts(topic.head, topic.epoch):
                    await self._look_at([topic])
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

    async def _look_at(self, topics: Iterable[Topic], patience: float = 0) -> list[Topic]:
        """Ask the store where logs end; return the topics that had missed something.

        :param patience: seconds that news may still be on their way; who has not got them then is asked for once more
        """
        asked = [(topic, topic.epoch) for topic in topics]
        heads = await self._reader.heads([topic.trace_id for topic, _ in asked])
        early, missed = [], []
        for topic, epoch in asked:
            head = heads.get(topic.trace_id)
            if self._is_late(topic, epoch, head):
                continue
            if patience and topic.lags(head):
                early.append(topic)
            elif topic.look(head):
                missed.append(topic)
        if early:
            await asyncio.sleep(patience)
            late = [topic for topic in early if topic.lags(heads.get(topic.trace_id))]
            missed += await self._look_at(late) if late else []
        return missed

    def _is_late(self, topic: Topic, epoch: str | None, head: Head | None) -> bool:
        """Whether news have told of the trace's beginning since it was asked for, and so maybe of what came later."""
        if topic.epoch == epoch or (head is not None and head.epoch == topic.epoch):
            return False
        if head is not None:  # of which life nobody knows
            self._look_now.set()
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A task of the hub failed: %s", describe(error))

    async def _join(self, topic: Topic) -> None:
        """Join the trace's group. Where that fails, the looks at the heads serve the trace until it succeeds.

        Called with ``topic.membership`` held.
        """
        await self._listener.join(group_name(topic.trace_id))

    async def _join_again(self, topic: Topic) -> None:
        async with topic.membership:
            if topic.subscriptions and self.topics.get(topic.trace_id) is topic:
                await self._join(topic)

    async def _leave(self, topic: Topic) -> None:
        async with topic.membership:
            if topic.subscriptions or self.topics.get(topic.trace_id) is not topic:
                return
            topic.ready = False
            await self._listener.leave(group_name(topic.trace_id))
            if not topic.subscriptions:
                del self.topics[topic.trace_id]
        if not self.topics:
            self._stop()

    def forget(self) -> None:
        """The loop was closed with sockets open: only what is outside of it can be let go."""
        publisher.detach(self._inbox)
        self._reader.close()

    def _end(self) -> None:
        """Begin nothing more."""
        self._inbox.close()
        self._reader.close()

    def _stop(self) -> None:
        publisher.detach(self._inbox)
        self._stopped()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._reader.close()

    async def _rejoin(self, lost_channel: str | None = None) -> None:
        """Join the groups of all topics; what was missed meanwhile is found by a look."""
        for topic in list(self.topics.values()):
            if lost_channel is not None:
                await self._listener.leave(group_name(topic.trace_id), lost_channel)
            await self._join_again(topic)
        self._inbox.channel = self._listener.channel
        self._look_now.set()

    def _deliver(self, message: dict[str, Any]) -> None:
        try:
            if message["type"] == DELTA:
                self._hand_out_delta(from_delta_message(message))
            else:
                self._hand_out(from_message(message))
        except Exception:  # from another version of this app, in a rolling update
            self._look_now.set()

    def _hand_out(self, batch: Batch) -> None:
        topic = self.topics.get(batch.trace_id)
        if topic is None:
            return
        if not topic.deliver(batch):
            self._look_now.set()
        elif batch.events and metrics.IS_AVAILABLE:
            metrics.delivery_seconds.observe(max(time() - emitted_at(batch.events[-1]), 0))

    def _hand_out_delta(self, delta: TextDelta) -> None:
        if (topic := self.topics.get(delta.trace_id)) is not None:
            for subscription in topic.subscriptions:
                subscription.tell(delta)

    async def _look(self) -> None:
        """Ask the store from time to time where the watched logs end: the layer may have lost the last word."""
        joined_at = self._loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_interval()):
                    await self._look_now.wait()
            self._look_now.clear()
            if self._loop.time() - joined_at > self._listener.membership_seconds / 2:
                joined_at = self._loop.time()
                await self._rejoin()
            try:
                missed = await self._look_at(list(self.topics.values()), NEWS_SECONDS)
            except Exception as error:
                self._log_failing("Looking at the heads of the watched traces", error)
                continue
            self.looked_at = monotonic()
            self._log.works("Looking at the heads of the watched traces")
            for topic in missed:
                await self._join_again(topic)  # the layer may have forgotten that we are in the group

    def _look_interval(self) -> float:
        if conf.HEAD_CHECK_SECONDS is not None:
            return conf.HEAD_CHECK_SECONDS
        return 10.0 if self._listener.is_quick else 1.0

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(conf.HEARTBEAT_SECONDS)
            for topic in self.topics.values():
                for subscription in topic.subscriptions:
                    subscription.heartbeat()
                    subscription.give_up_if_stalled(conf.STALL_SECONDS)

    def _log_failing(self, what: str, error: Exception) -> None:
        self._log.failed(what, "%s fails (%s); tried again until it works", what, type(error).__name__)
