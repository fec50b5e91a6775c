"""What servers write to their transports, encoded and cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from trace_streaming.events import MAX_TOOL_NAME_LENGTH, EncodedEvent, TraceEvent, encode_event
from trace_streaming.events.freezing import MAX_BYTES
from trace_streaming.wire.frames import MAX_FRAME_BYTES, MIN_DEFLATED_BYTES, Packet, byte_length, chunked
from trace_streaming.wire.profiles import V1


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_packet_is_what_a_websocket_library_writes(length: int) -> None:
    """RFC 6455, 5.2: read back by another implementation, the texts are the same, in every size of header."""
    texts = ["x" * length, "é" * length, "last"]
    assert read_back(Packet(texts).data) == texts


@pytest.mark.parametrize("window_bits", [9, 12, 15])
@given(parts=st.lists(st.tuples(st.text(), st.sampled_from([0, 200]))))
def test_a_client_inflates_each_frame_by_itself(window_bits: int, parts: list[tuple[str, int]]) -> None:
    """RFC 7692: read back with a fresh window for each, the texts are exactly what was sent."""
    texts = [f"{text} and so on " * times if times else text for text, times in parts]
    packet = Packet(texts)
    deflated = packet.deflated(window_bits)
    assert read_back(deflated, PerMessageDeflate(True, True, window_bits, window_bits)) == texts
    if all(byte_length(text) < MIN_DEFLATED_BYTES for text in texts):
        assert deflated == packet.data


@pytest.mark.parametrize("window_bits", [9, 12, 15])
def test_large_frames_that_repeat_themselves_take_less_than_half(window_bits: int) -> None:
    """Within what the smallest window holds; what does not repeat itself need not become smaller."""
    text = "a line of a tool's output, much like the others\n" * 100
    packet = Packet([text, "small", text])
    assert len(packet.deflated(window_bits)) < len(packet.data) / 2


def read_back(data: bytes, *extensions: Extension) -> list[str]:
    protocol = ClientProtocol(parse_uri("ws://host"), state=State.OPEN, max_size=None)
    protocol.extensions = list(extensions)
    protocol.receive_data(data)
    frames = [event for event in protocol.events_received() if isinstance(event, WebSocketFrame)]
    assert {(frame.opcode, frame.fin) for frame in frames} <= {(Opcode.TEXT, True)}
    return [bytes(frame.data).decode() for frame in frames]


@given(st.text())
def test_byte_length_is_that_of_utf8(text: str) -> None:
    """The shortcut for ASCII gives the same as encoding does."""
    assert byte_length(text) == len(text.encode())


LENGTHS = st.integers(2, 1000) | st.integers(MAX_FRAME_BYTES // 4, MAX_FRAME_BYTES - 100)


@hypothesis.settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(LENGTHS, st.sampled_from("xé")), max_size=12))
def test_cutting_into_frames_loses_reorders_and_exceeds_nothing(lengths: list[tuple[int, str]]) -> None:
    """Every event is in exactly one frame, in order; no frame that has several is larger than allowed. Invariant 2."""
    events = [
        EncodedEvent(number, "plan_created", "success", f'"{letter * ((length - 2) // byte_length(letter))}"')
        for number, (length, letter) in enumerate(lengths, 1)
    ]
    chunks: list[Sequence[EncodedEvent]] = list(chunked(events))
    assert [event for chunk in chunks for event in chunk] == events
    frames = V1.events(events)
    assert len(frames) == len(chunks)
    assert all(byte_length(frame) <= MAX_FRAME_BYTES for frame in frames)


def test_an_event_too_large_for_a_frame_stands_alone() -> None:
    """It is not lost, and takes none of its neighbours along."""
    small, large, last = (
        EncodedEvent(number, "plan_created", "success", f'"{"x" * size}"')
        for number, size in enumerate((1, 2 * MAX_FRAME_BYTES, 1), 1)
    )
    assert [[e.sequence for e in chunk] for chunk in chunked([small, large, last])] == [[1], [2], [3]]


def test_the_largest_event_that_can_be_emitted_fits_a_frame() -> None:
    """What freezing lets through is what a frame, and a message through the channel layer, can carry."""
    details = f'{{"a":"{"x" * (MAX_BYTES - 8)}"}}'
    event = TraceEvent(
        "e" * 64,
        "t" * 128,
        datetime.now(UTC),
        details,
        "pending",
        "\x01" * MAX_TOOL_NAME_LENGTH,
        1.7976931348623157e308,
    )
    (frame,) = V1.events([encode_event(event, 2**63 - 1)])
    assert byte_length(frame) <= MAX_FRAME_BYTES
