"""Pieces of texts, from whoever says them to whoever watches: through the channel layer, and nothing else."""

from __future__ import annotations

from typing import Any

from trace_streaming.events.deltas import TextDelta
from trace_streaming.signals import text_streamed

from .publisher import Publisher

_publisher = Publisher()
"""Of the thread that tells them."""


def connect() -> None:
    """Receive what emitters of this process say."""
    text_streamed.connect(_publish, dispatch_uid="trace_streaming.deltas")


def _publish(sender: object, delta: TextDelta, **kwargs: Any) -> None:
    _publisher.tell(delta)
