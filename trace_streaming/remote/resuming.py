"""A trace followed to its end: server-sent events, of whatever source, read on where they broke off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import orjson

from trace_streaming.wire.protocol import CloseCode

_RETRY_SECONDS: Final = (0.1, 5.0)
"""First and longest wait between attempts."""
_COME_BACK: Final = frozenset({CloseCode.GOING_AWAY, CloseCode.TOO_SLOW})


class Place(NamedTuple):
    """Where to read on."""

    since: int | None
    """None is live only."""
    epoch: str | None = None


Source = Callable[[Place], AsyncGenerator[bytes, None]]
"""Begins a stream of server-sent events; raises :exc:`AwayError` where it breaks, and :exc:`NotLetInError`."""


class AwayError(Exception):
    """The source does not answer, or its stream broke: the same may work a moment later."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds, where the source has said so."""


class NotLetInError(Exception):
    """It will not let us in; the text says why."""


class Message(NamedTuple):
    """One server-sent event."""

    name: str
    """Empty for an event of the trace."""
    data: str
    """JSON text; empty where only a place is told."""
    place: int | None = None


async def follow(source: Source, since: int | None) -> AsyncGenerator[Message, None]:
    """Each event once, in order, and what is said of the stream; ``ended`` is the last.

    :param since: the first sequence that is not wanted any more; None is live only
    :raises NotLetInError: whoever asks may not watch
    """
    place, (wait, longest) = Place(since), _RETRY_SECONDS
    while True:
        away = AwayError("The stream has ended")
        try:
            async with aclosing(source(place)) as parts, aclosing(_parsed(parts)) as messages:
                async for message in messages:
                    if message.place is not None:
                        place = place._replace(since=message.place)
                    if message.name == "connected":
                        place, wait = place._replace(epoch=orjson.loads(message.data)["epoch"]), _RETRY_SECONDS[0]
                    if message.name == "refused":
                        away = _why(orjson.loads(message.data))
                    elif message.data:
                        yield message
                    if message.name == "ended":
                        return
        except AwayError as error:
            away = error
        yield Message("away", orjson.dumps({"message": str(away)}).decode())
        await asyncio.sleep(away.retry_after or wait * random.uniform(0.5, 1.5))
        wait = min(wait * 2, longest)


def _why(refused: dict[str, Any]) -> AwayError:
    if refused["code"] not in _COME_BACK:
        raise NotLetInError(refused["message"])
    return AwayError(refused["message"])


async def _parsed(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[Message, None]:
    """Messages of a stream; one that it breaks in is none."""
    rest = b""
    async for part in parts:
        *blocks, rest = (rest + part).split(b"\n\n")
        for block in blocks:
            # By line feeds alone: an event's text may hold other letters that ``splitlines`` takes for an end of line.
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
            if fields:
                place = int(fields["id"]) if "id" in fields else None
                yield Message(fields.get("event", ""), fields.get("data", ""), place)
