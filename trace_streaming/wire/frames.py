"""Text frames that are sent together, encoded and compressed once for any number of sockets."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from trace_streaming.events import EncodedEvent

MAX_FRAME_BYTES: Final = 256 * 1024
"""Of a frame with several events, and of one message through the channel layer."""
MAX_EVENTS_BYTES: Final = MAX_FRAME_BYTES - 64
"""Of the events of one frame, with what stands between them; the rest is what stands around them."""
MIN_DEFLATED_BYTES: Final = 1024
"""A smaller frame is sent as it is: it would lose less in size than it costs."""
DEFLATE_LEVEL: Final = 3
"""A quarter to a third of tool outputs remains at 4 ns a byte; level 6 takes twice as long for a tenth less."""


class Packet:
    """Text frames that are sent together, encoded once for any number of sockets.

    :param sequence: of the last event that they carry; 0 for frames without events
    """

    def __init__(self, texts: Sequence[str], sequence: int = 0, events: int = 0, filtered: int = 0) -> None:
        self.texts = texts
        """Of each frame."""
        self.sequence = sequence
        self.events = events
        """How many it carries."""
        self.filtered = filtered
        """How many it leaves out, because its clients have not asked for them."""
        self.taken = 0
        """How many sockets have taken it at once, since these were counted."""
        self._deflated: dict[int, bytes] = {}

    @cached_property
    def data(self) -> bytes:
        """The WebSocket frames, as a server writes them to its transport."""
        payloads = [text.encode() for text in self.texts]
        return b"".join([part for payload in payloads for part in (_frame_header(len(payload)), payload)])

    @cached_property
    def body(self) -> bytes:
        """The texts one behind the other, for a client that reads a stream."""
        return "".join(self.texts).encode()

    def deflated(self, window_bits: int) -> bytes:
        """Like ``data``, the large frames compressed, each by itself, for clients with such a window (RFC 7692)."""
        if window_bits not in self._deflated:
            self._deflated[window_bits] = b"".join([_deflated(text, window_bits) for text in self.texts])
        return self._deflated[window_bits]

    @cached_property
    def size(self) -> int:
        """Bytes of the texts."""
        return sum(map(byte_length, self.texts))


def _frame_header(length: int, first: int = 0x81) -> bytes:
    """Of a text frame from a server: final, not masked, and not compressed unless ``first`` says so (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def _deflated(text: str, window_bits: int) -> bytes:
    payload = text.encode()
    if len(payload) < MIN_DEFLATED_BYTES:
        return _frame_header(len(payload)) + payload
    deflate = zlib.compressobj(DEFLATE_LEVEL, wbits=-window_bits)
    payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH).removesuffix(b"\x00\x00\xff\xff")
    return _frame_header(len(payload), 0xC1) + payload


def chunked(events: Sequence[EncodedEvent]) -> Iterator[Sequence[EncodedEvent]]:
    """Cut events into runs of at most ``MAX_FRAME_BYTES`` encoded bytes; a single larger event is its own run."""
    if events and total_bytes(events) + len(events) <= MAX_EVENTS_BYTES:  # nearly all are, and quickly seen to be
        yield events
        return
    start = size = 0
    for index, event in enumerate(events):
        length = byte_length(event.text) + 1
        if size + length > MAX_EVENTS_BYTES and index > start:
            yield events[start:index]
            start, size = index, 0
        size += length
    if start < len(events):
        yield events[start:]


def total_bytes(events: Sequence[EncodedEvent]) -> int:
    """Bytes of their texts."""
    return byte_length("".join([event.text for event in events]))


def byte_length(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
