"""What the server says: the frames of the plain profile and of ``trace-stream.v1``."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

import orjson

from .events import EncodedEvent, format_timestamp
from .protocol import EventFilter

MAX_FRAME_BYTES: Final = 256 * 1024
"""Of a frame with several events, and of one message through the channel layer."""
MIN_DEFLATED_BYTES: Final = 1024
"""A smaller frame is sent as it is: it would lose less in size than it costs."""
DEFLATE_LEVEL: Final = 3
"""A quarter to a third of tool outputs remains at 4 ns a byte; level 6 takes twice as long for a tenth less."""
WINDOW_BYTES: Final = 1024 * 1024
"""What may be on its way to a ``trace-stream.v1`` client without its acknowledgement."""


class Frame(NamedTuple):
    """One text frame, ready to be sent to any number of sockets."""

    text: str
    sequence: int = 0
    """The last event it carries; 0 for a frame without events."""


class Packet:
    """Frames that are sent together, encoded once for any number of sockets."""

    def __init__(self, frames: Sequence[Frame], events: int = 0, filtered: int = 0) -> None:
        self.frames = frames
        self.events = events
        """How many it carries."""
        self.filtered = filtered
        self.taken = 0
        """How many sockets have taken it at once, since these were counted."""
        """How many it leaves out, because its clients have not asked for them."""
        self.sequence = frames[-1].sequence if frames else 0
        """The last event it carries; 0 for frames without events."""
        self._deflated: dict[int, bytes] = {}

    @cached_property
    def data(self) -> bytes:
        """The WebSocket frames, as a server writes them to its transport."""
        payloads = [frame.text.encode() for frame in self.frames]
        return b"".join([part for payload in payloads for part in (_frame_header(len(payload)), payload)])

    @cached_property
    def body(self) -> bytes:
        """The texts one behind the other, for a client that reads a stream."""
        return "".join([frame.text for frame in self.frames]).encode()

    def deflated(self, window_bits: int) -> bytes:
        """Like ``data``, the large frames compressed, each by itself, for clients with such a window (RFC 7692)."""
        if window_bits not in self._deflated:
            self._deflated[window_bits] = b"".join([_deflated(frame, window_bits) for frame in self.frames])
        return self._deflated[window_bits]

    @cached_property
    def size(self) -> int:
        """Bytes of the texts."""
        return sum(byte_length(frame.text) for frame in self.frames)


def _frame_header(length: int, first: int = 0x81) -> bytes:
    """Of a text frame from a server: final, not masked, and not compressed unless ``first`` says so (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def _deflated(frame: Frame, window_bits: int) -> bytes:
    payload = frame.text.encode()
    if len(payload) < MIN_DEFLATED_BYTES:
        return _frame_header(len(payload)) + payload
    deflate = zlib.compressobj(DEFLATE_LEVEL, wbits=-window_bits)
    payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH).removesuffix(b"\x00\x00\xff\xff")
    return _frame_header(len(payload), 0xC1) + payload


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
    def events(self, events: Sequence[EncodedEvent]) -> Iterator[Frame]: ...  # noqa: D102
    def gap(self, trace_id: str, gap: Gap) -> str: ...  # noqa: D102
    def error(self, trace_id: str, code: int, message: str, id: object = None) -> str: ...  # noqa: A002, D102
    def live(self, sequence: int) -> str | None: ...  # noqa: D102
    def heartbeat(self, sequence: int) -> str | None: ...  # noqa: D102
    def ended(self, state: str, sequence: int) -> str | None: ...  # noqa: D102


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

    def events(self, events: Sequence[EncodedEvent]) -> Iterator[Frame]:
        """One frame per event."""
        return (Frame(event.text, event.sequence) for event in events)

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

    def events(self, events: Sequence[EncodedEvent]) -> Iterator[Frame]:
        """As many events per frame as ``MAX_FRAME_BYTES`` allow."""
        for chunk in chunked(events):
            yield Frame(
                f'{{"type":"events","events":[{",".join([event.text for event in chunk])}]}}', chunk[-1].sequence
            )

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

    @staticmethod
    def pong() -> str:
        """The answer to ``ping``."""
        return _json(type="pong")

    @staticmethod
    def result(id: object) -> str:  # noqa: A002
        """The answer to a command that was carried out."""
        return _json(type="result", id=id)


PLAIN: Final = PlainProfile()
V1: Final = V1Profile()


@dataclass(frozen=True)
class Batch:
    """Consecutive events of one trace and the trace's state after them: what the channel layer carries."""

    trace_id: str
    epoch: str
    state: str
    last_sequence: int
    """Of the last event up to here, in this batch or before it."""
    events: tuple[EncodedEvent, ...] = ()

    @cached_property
    def size(self) -> int:
        """Bytes of the encoded events."""
        return sum(byte_length(event.text) for event in self.events)

    def is_followed_by(self, batch: Batch) -> bool:
        """Whether the other can be told together with this one."""
        return (
            self.epoch == batch.epoch
            and self.last_sequence + len(batch.events) == batch.last_sequence
            and self.size + batch.size <= MAX_FRAME_BYTES
        )

    @cached_property
    def _packets(self) -> dict[tuple[Profile, EventFilter], Packet]:
        return {}

    def packet(self, profile: Profile, wanted: EventFilter) -> Packet:
        """What one kind of client with one filter is sent, made once for all of their sockets."""
        packet = self._packets.get((profile, wanted))
        if packet is None:
            packet = self._packets[profile, wanted] = event_packet(profile, wanted, self.events)
        return packet

    def taken(self) -> tuple[int, int]:
        """How many events sockets have taken at once since the last call, and how many they have not asked for."""
        delivered = filtered = 0
        for packet in self._packets.values():
            delivered += packet.events * packet.taken
            filtered += packet.filtered * packet.taken
            packet.taken = 0
        return delivered, filtered


def merge(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Join batches that follow each other, as far as one frame can carry them: each costs every socket a write."""
    joined: dict[str, Batch] = {}
    for batch in batches:
        before = joined.get(batch.trace_id)
        if before is None:
            joined[batch.trace_id] = batch
        elif before.is_followed_by(batch):
            events = before.events + batch.events
            joined[batch.trace_id] = Batch(batch.trace_id, batch.epoch, batch.state, batch.last_sequence, events)
        else:
            yield joined.pop(batch.trace_id)
            joined[batch.trace_id] = batch
    yield from joined.values()


def event_packet(profile: Profile, wanted: EventFilter, events: Sequence[EncodedEvent]) -> Packet:
    """What carries those of the events that are wanted."""
    carried = [event for event in events if wanted.matches(event.event, event.status)]
    return Packet(list(profile.events(carried)), len(carried), len(events) - len(carried))


def chunked(events: Sequence[EncodedEvent]) -> Iterator[Sequence[EncodedEvent]]:
    """Cut events into runs of at most ``MAX_FRAME_BYTES`` encoded bytes; a single larger event is its own run."""
    start = size = 0
    for index, event in enumerate(events):
        length = byte_length(event.text) + 1
        if size + length > MAX_FRAME_BYTES - 64 and index > start:
            yield events[start:index]
            start, size = index, 0
        size += length
    if start < len(events):
        yield events[start:]


def byte_length(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _json(**fields: Any) -> str:
    return orjson.dumps(fields).decode()
