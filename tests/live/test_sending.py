"""Batches of many traces through a real Redis, with each of its layers."""

from __future__ import annotations

import asyncio

import pytest
from channels.layers import channel_layers
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from tests.live.services import Redis
from trace_streaming.events import EncodedEvent
from trace_streaming.watching import publisher
from trace_streaming.watching.channel_layer import from_message, group_name
from trace_streaming.watching.sending import send
from trace_streaming.wire.batches import Batch

TRACES = [f"t-{number}" for number in range(600)]  # more than are sent in one round trip
BATCHES = [
    Batch(trace, "e", "running", n, (EncodedEvent(n, "plan_created", "success", f'{{"n":{n}}}'),))
    for n in (1, 2)
    for trace in TRACES
]


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kind", [RedisPubSubChannelLayer, RedisChannelLayer])
@pytest.mark.takes(seconds=10)
async def test_what_many_traces_are_told_at_once_comes_to_each_whole_and_in_order(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, kind: type, shards: int
) -> None:
    """One message per batch, in its trace's group, spread over the servers as the layer spreads them."""
    hosts = [{"address": redis.url, "socket_timeout": None}] * shards
    layer = kind(hosts=hosts, capacity=10_000)
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    monkeypatch.setattr(
        publisher, "PUBLISH_TIMEOUT_SECONDS", 60.0
    )  # what a busy machine takes for so many is not at stake
    channel = await layer.new_channel()
    for trace in TRACES:
        await layer.group_add(group_name(trace), channel)
    sender = publisher.Publisher()
    await asyncio.to_thread(sender.publish, BATCHES)
    async with asyncio.timeout(60):
        heard = [from_message(await layer.receive(channel)) for _ in BATCHES]
    await asyncio.to_thread(sender.close)
    await layer.flush()
    for trace in TRACES:
        assert [batch for batch in heard if batch.trace_id == trace] == [
            batch for batch in BATCHES if batch.trace_id == trace
        ]


@pytest.mark.takes(seconds=5)
async def test_redis_is_asked_once_for_many_traces(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is used of channels_redis for that is its own: this fails when it is no longer there."""
    layer = RedisPubSubChannelLayer(hosts=[redis.url])

    async def one_by_one(*args: object) -> None:
        raise AssertionError("a round trip for each")

    own = layer._get_layer()
    for shard in own._shards:
        monkeypatch.setattr(shard, "publish", one_by_one)
    await send(layer, BATCHES)
    await layer.flush()
