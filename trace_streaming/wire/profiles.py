"""What the server says: the frames of the plain profile and of ``trace-stream.v1``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

import orjson

from trace_streaming.events import EncodedEvent, format_timestamp
from trace_streaming.events.deltas import TextDelta

from .frames import chunked

WINDOW_BYTES: Final = 1024 * 1024
"""What may be on its way to a ``trace-stream.v1`` client without its acknowledgement."""


class Gap(NamedTuple):
    """Numbers that no longer exist."""

    first: int
    last: int
    reason: str
    """``pruned`` or ``epoch``."""
    epoch: str | None = None
    """The new epoch, where that is the reason: the client resumes with it."""

    def fields(self) -> dict[str, Any]:
        """As both profiles say it."""
        fields = {"from": self.first, "to": self.last, "reason": self.reason}
        return fields if self.epoch is None else {**fields, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Connected:
    """What a client is told first."""

    trace_id: str
    sequence: int
    """The log's head."""
    epoch: str | None
    """None until the trace has begun."""
    state: str | None
    """The trace's state; None until it has begun."""
    heartbeat_seconds: float


class Profile(Protocol):
    """How one kind of client is spoken to. A frame that a profile does not have is None."""

    acknowledges: bool
    """Whether the client acknowledges what it receives."""

    def connected(self, connected: Connected) -> str: ...  # noqa: D102
    def events(self, events: Sequence[EncodedEvent]) -> list[str]: ...  # noqa: D102
    def joined(self, texts: str, first: int) -> list[str]: ...  # noqa: D102
    def gap(self, trace_id: str, gap: Gap) -> str: ...  # noqa: D102
    def error(self, trace_id: str, code: int, message: str, id: object = None) -> str: ...  # noqa: A002, D102
    def live(self, sequence: int) -> str | None: ...  # noqa: D102
    def heartbeat(self, sequence: int) -> str | None: ...  # noqa: D102
    def ended(self, state: str, sequence: int) -> str | None: ...  # noqa: D102
    def delta(self, delta: TextDelta) -> str | None: ...  # noqa: D102


class PlainProfile:
    """One event per frame, in the shape of an event, for clients that offer no subprotocol. Never changes."""

    acknowledges = False

    def connected(self, connected: Connected) -> str:
        """The first frame."""
        return _json(
            event="connected",
            trace_id=connected.trace_id,
            status="success",
            message="WebSocket trace streaming active",
            timestamp=format_timestamp(datetime.now(UTC)),
            details={},
            sequence=connected.sequence,
            epoch=connected.epoch,
        )

    def events(self, events: Sequence[EncodedEvent]) -> list[str]:
        """One frame per event."""
        return [event.text for event in events]

    def joined(self, texts: str, first: int) -> list[str]:
        """The same of events whose texts stand in lines."""
        return texts.split("\n")

    def gap(self, trace_id: str, gap: Gap) -> str:
        """Numbers that no longer exist."""
        return self._notice("gap", trace_id, "warning", gap.fields())

    def error(self, trace_id: str, code: int, message: str, id: object = None) -> str:  # noqa: A002
        """What went wrong, before a close."""
        return self._notice("error", trace_id, "error", {"code": int(code), "message": message})

    def live(self, sequence: int) -> None:
        """No such frame."""

    def heartbeat(self, sequence: int) -> None:
        """No such frame."""

    def ended(self, state: str, sequence: int) -> None:
        """No such frame."""

    def delta(self, delta: TextDelta) -> None:
        """No such frame."""

    @staticmethod
    def _notice(event: str, trace_id: str, status: str, details: dict[str, Any]) -> str:
        timestamp = format_timestamp(datetime.now(UTC))
        return _json(event=event, trace_id=trace_id, timestamp=timestamp, status=status, details=details)


class V1Profile:
    """``trace-stream.v1``: every frame has a ``type``, and a frame carries as many events as fit."""

    acknowledges = True

    def connected(self, connected: Connected) -> str:
        """The first frame."""
        return _json(
            type="connected",
            trace_id=connected.trace_id,
            epoch=connected.epoch,
            sequence=connected.sequence,
            state=connected.state,
            heartbeat_seconds=connected.heartbeat_seconds,
            window=WINDOW_BYTES,
        )

    def events(self, events: Sequence[EncodedEvent]) -> list[str]:
        """As many events per frame as ``MAX_FRAME_BYTES`` allow."""
        return [_events_frame(",".join([event.text for event in chunk])) for chunk in chunked(events)]

    def joined(self, texts: str, first: int) -> list[str]:
        """The same of events whose texts stand in lines, and fit one frame."""
        return [_events_frame(texts.replace("\n", ","))]

    def gap(self, trace_id: str, gap: Gap) -> str:
        """Numbers that no longer exist."""
        return _json(type="gap", **gap.fields())

    def error(self, trace_id: str, code: int, message: str, id: object = None) -> str:  # noqa: A002
        """The answer to a command that failed, or what went wrong before a close."""
        return _json(type="error", **({} if id is None else {"id": id}), code=int(code), message=message)

    def live(self, sequence: int) -> str:
        """The replay is done."""
        return _json(type="live", sequence=sequence)

    def heartbeat(self, sequence: int) -> str:
        """The log's head, from time to time."""
        return _json(type="heartbeat", sequence=sequence)

    def ended(self, state: str, sequence: int) -> str:
        """The trace is finished, and all of it was sent."""
        return _json(type="ended", state=state, sequence=sequence)

    def delta(self, delta: TextDelta) -> str:
        """A call's text while it streams."""
        return _json(type="delta", call_id=delta.call_id, offset=delta.offset, text=delta.text)

    @staticmethod
    def pong() -> str:
        """The answer to ``ping``."""
        return _json(type="pong")

    @staticmethod
    def result(id: object) -> str:  # noqa: A002
        """The answer to a command that was carried out."""
        return _json(type="result", id=id)


def _events_frame(texts: str) -> str:
    return f'{{"type":"events","events":[{texts}]}}'


PLAIN: Final = PlainProfile()
V1: Final = V1Profile()


def _json(**fields: Any) -> str:
    return orjson.dumps(fields).decode()
