"""Batches of many traces through a channel layer: in flight together, bounded, and those of one trace in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from channels.layers import BaseChannelLayer

from trace_streaming.wire.batches import Batch

from .channel_layer import group_name, to_message

MAX_IN_FLIGHT: Final = 16
"""Traces; a layer may take a connection for each."""
MAX_PIPELINED: Final = 256
"""Messages in one round trip to Redis."""
MAX_PIPELINED_BYTES: Final = 4 * 1024 * 1024


async def send(layer: BaseChannelLayer, batches: Sequence[Batch]) -> None:
    """Send each to its trace's group; raises what the layer raises, and then some are not sent."""
    # Not of a subclass: what a project has changed is called.
    if len(batches) > 1 and type(layer).__module__ == "channels_redis.pubsub":
        await _send_pipelined(layer, batches)
    else:
        await _send_together(layer, batches)


async def _send_together(layer: BaseChannelLayer, batches: Sequence[Batch]) -> None:
    by_trace: defaultdict[str, list[Batch]] = defaultdict(list)
    for batch in batches:
        by_trace[batch.trace_id].append(batch)
    waiting = iter(by_trace.items())

    async def work() -> None:
        for trace_id, its in waiting:
            group = group_name(trace_id)
            for batch in its:
                await layer.group_send(group, to_message(batch))

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(len(by_trace), MAX_IN_FLIGHT)):
                tasks.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def _send_pipelined(layer: Any, batches: Sequence[Batch]) -> None:
    """As its ``group_send``, which waits for the answer to each message before it sends the next: 1,000 round trips."""
    own = layer._get_layer()
    by_shard: defaultdict[Any, list[tuple[str, Batch]]] = defaultdict(list)
    for batch in batches:
        channel = own._get_group_channel_name(group_name(batch.trace_id))
        by_shard[own._get_shard(channel)].append((channel, batch))
    for shard, messages in by_shard.items():
        async with shard._lock:
            shard._ensure_redis()
            for part in _parts(messages):
                pipeline = shard._redis.pipeline(transaction=False)
                for channel, batch in part:
                    pipeline.publish(channel, layer.serialize(to_message(batch)))
                await pipeline.execute()


def _parts(messages: Sequence[tuple[str, Batch]]) -> Iterator[Sequence[tuple[str, Batch]]]:
    start = size = 0
    for index, (_, batch) in enumerate(messages):
        if index - start >= MAX_PIPELINED or (size + batch.size > MAX_PIPELINED_BYTES and index > start):
            yield messages[start:index]
            start, size = index, 0
        size += batch.size
    yield messages[start:]
