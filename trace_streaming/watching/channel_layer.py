"""The project's channel layer, and how a batch travels through it."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers, get_channel_layer

from trace_streaming.events import EncodedEvent
from trace_streaming.events.deltas import TextDelta
from trace_streaming.wire.batches import Batch

DELTA: Final = "trace.delta"
"""The type of its messages."""
_fallback = InMemoryChannelLayer()


def channel_layer() -> BaseChannelLayer:
    """The project's default channel layer, or one in memory where none is configured."""
    return get_channel_layer() or _fallback


def new_channel_layer() -> BaseChannelLayer:
    """Another instance of it: only one event loop at a time may read an instance of channels_redis' core layer."""
    if DEFAULT_CHANNEL_LAYER not in channel_layers:
        return InMemoryChannelLayer()
    layer: BaseChannelLayer = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
    return layer


def is_in_memory(layer: BaseChannelLayer) -> bool:
    """Whether the layer reaches this process only."""
    return isinstance(layer, InMemoryChannelLayer)


def group_name(trace_id: str) -> str:
    """The trace's group. Hashed: group names allow fewer letters than trace ids, and under 100 of them."""
    return f"trace_streaming.{hashlib.sha256(trace_id.encode()).hexdigest()[:40]}"


def to_message(batch: Batch) -> dict[str, Any]:
    """A batch as the channel layer carries it: strings and numbers only, so every backend can."""
    return {
        "type": "trace.batch",
        "trace_id": batch.trace_id,
        "epoch": batch.epoch,
        "state": batch.state,
        "last_sequence": batch.last_sequence,
        "events": [list(event) for event in batch.events],
        "trace_pk": batch.trace_pk,
    }


def to_delta_message(delta: TextDelta) -> dict[str, Any]:
    """A piece of text as the channel layer carries it."""
    return {"type": DELTA, **delta._asdict()}


def from_delta_message(message: dict[str, Any]) -> TextDelta:
    """The piece of a message."""
    return TextDelta(message["trace_id"], message["call_id"], message["offset"], message["text"])


def from_message(message: dict[str, Any]) -> Batch:
    """The batch of a message."""
    return Batch(
        message["trace_id"],
        message["epoch"],
        message["state"],
        message["last_sequence"],
        tuple(EncodedEvent(*event) for event in message["events"]),
        message.get("trace_pk", 0),  # another version of this app may not say it, in a rolling update
    )
