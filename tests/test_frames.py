"""What the server says, in both profiles."""

from __future__ import annotations

import json
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

from trace_streaming.batches import Batch, event_packet, merge
from trace_streaming.events import MAX_TOOL_NAME_LENGTH, EncodedEvent, TraceEvent, encode_event
from trace_streaming.frames import PLAIN, V1, WINDOW_BYTES, Connected, Gap, Profile
from trace_streaming.freezing import MAX_BYTES
from trace_streaming.packets import MAX_FRAME_BYTES, MIN_DEFLATED_BYTES, Frame, Packet, byte_length, chunked
from trace_streaming.protocol import EVERYTHING, CloseCode, EventFilter

CONNECTED = Connected("t-1", 7, "ab12", "running", 15.0)
NOT_BEGUN = Connected("t-1", 0, None, None, 15.0)
GAP = Gap(3, 5, "pruned", "ab12")


def encoded(sequence: int, text: str | None = None, status: str = "success") -> EncodedEvent:
    return EncodedEvent(sequence, "plan_created", status, text or f'{{"sequence":{sequence}}}')


EVENTS = (encoded(1), encoded(2, status="error"), encoded(3))


def test_plain_connected_is_what_existing_clients_expect() -> None:
    """The first frame of the plain profile, key by key and in order: it must never change."""
    frame = json.loads(PLAIN.connected(CONNECTED))
    assert datetime.fromisoformat(frame["timestamp"]).tzinfo == UTC
    assert list(frame.items()) == [
        ("event", "connected"),
        ("trace_id", "t-1"),
        ("status", "success"),
        ("message", "WebSocket trace streaming active"),
        ("timestamp", frame["timestamp"]),
        ("details", {}),
        ("sequence", 7),
        ("epoch", "ab12"),
    ]


def test_plain_notices_have_the_shape_of_an_event() -> None:
    """A gap and an error are read by the code that reads events."""
    gap = json.loads(PLAIN.gap("t-1", GAP))
    assert gap.pop("timestamp")
    assert gap.pop("details").items() >= {"from": 3, "to": 5, "reason": "pruned"}.items()
    assert gap == {"event": "gap", "trace_id": "t-1", "status": "warning"}
    error = json.loads(PLAIN.error("t-1", CloseCode.BAD_REQUEST, "Bad since"))
    assert error.pop("timestamp")
    assert error == {
        "event": "error",
        "trace_id": "t-1",
        "status": "error",
        "details": {"code": 4400, "message": "Bad since"},
    }


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            V1.connected(CONNECTED),
            {"type": "connected", "trace_id": "t-1", "epoch": "ab12", "sequence": 7, "state": "running"}
            | {"heartbeat_seconds": 15.0, "window": WINDOW_BYTES},
        ),
        (
            V1.connected(NOT_BEGUN),
            {"type": "connected", "trace_id": "t-1", "epoch": None, "sequence": 0, "state": None}
            | {"heartbeat_seconds": 15.0, "window": WINDOW_BYTES},
        ),
        (V1.gap("t-1", GAP), {"type": "gap", "from": 3, "to": 5, "reason": "pruned", "epoch": "ab12"}),
        (V1.live(7), {"type": "live", "sequence": 7}),
        (V1.heartbeat(7), {"type": "heartbeat", "sequence": 7}),
        (V1.ended("success", 7), {"type": "ended", "state": "success", "sequence": 7}),
        (V1.pong(), {"type": "pong"}),
        (V1.result(5), {"type": "result", "id": 5}),
        (V1.error("t-1", CloseCode.TOO_SLOW, "slow"), {"type": "error", "code": 4008, "message": "slow"}),
        (V1.error("t-1", 4400, "bad", 0), {"type": "error", "id": 0, "code": 4400, "message": "bad"}),
    ],
    ids=["connected", "not-begun", "gap", "live", "heartbeat", "ended", "pong", "result", "error", "error-of-id-0"],
)
def test_v1_frames_are_what_the_protocol_says(frame: str, expected: dict[str, object]) -> None:
    """Every frame has a type, and exactly the fields of the protocol's table."""
    assert json.loads(frame) == expected


def test_plain_profile_has_no_marker_frames() -> None:
    """Existing clients would take any other frame for an event."""
    profile: Profile = PLAIN
    assert [profile.live(1), profile.heartbeat(1), profile.ended("success", 1)] == [None, None, None]


def test_plain_frames_are_the_events_themselves() -> None:
    """One frame per event, byte for byte what was encoded."""
    assert [tuple(frame) for frame in PLAIN.events(EVENTS)] == [(event.text, event.sequence) for event in EVENTS]


def test_a_v1_frame_carries_many_events_and_names_the_last() -> None:
    """A burst needs one frame, and the frame knows up to where it reaches."""
    (frame,) = V1.events(EVENTS)
    expected = {"type": "events", "events": [{"sequence": 1}, {"sequence": 2}, {"sequence": 3}]}
    assert json.loads(frame.text) == expected
    assert frame.sequence == 3


@pytest.mark.parametrize("profile", [PLAIN, V1], ids=["plain", "v1"])
def test_no_events_are_no_frames(profile: Profile) -> None:
    """A batch of which nothing is wanted sends nothing, not an empty frame."""
    for packet in (
        event_packet(profile, EVERYTHING, ()),
        event_packet(profile, EventFilter(frozenset({"tool_call_start"})), EVENTS),
    ):
        assert (packet.frames, packet.sequence, packet.size, packet.data) == ([], 0, 0, b"")


def test_frames_carry_only_what_is_wanted() -> None:
    """Invariant 8: replay and live make their frames here, with the same filter."""
    wanted = EventFilter(statuses=frozenset({"error"}))
    assert [frame.sequence for frame in event_packet(PLAIN, wanted, EVENTS).frames] == [2]
    batch = Batch("t-1", "e", "running", 3, EVENTS)
    assert [frame.sequence for frame in batch.packet(PLAIN, wanted).frames] == [2]


def test_a_batch_makes_its_frames_once_for_all_sockets() -> None:
    """A hundred sockets share one text; another profile or filter has its own."""
    batch = Batch("t-1", "ab12", "running", 3, EVENTS)
    packet = batch.packet(V1, EventFilter(frozenset({"plan_created"})))
    assert batch.packet(V1, EventFilter(frozenset({"plan_created"}))) is packet
    assert packet.data is packet.data
    assert batch.packet(V1, EVERYTHING) is not packet
    assert len(batch.packet(PLAIN, EVERYTHING).frames) == 3


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_packet_is_what_a_websocket_library_writes(length: int) -> None:
    """RFC 6455, 5.2: read back by another implementation, the texts are the same, in every size of header."""
    texts = ["x" * length, "é" * length, "last"]
    assert read_back(Packet([Frame(text, n) for n, text in enumerate(texts)]).data) == texts


@pytest.mark.parametrize("window_bits", [9, 12, 15])
@given(texts=st.lists(st.text() | st.text().map(lambda text: f"{text} and so on " * 200)))
def test_a_client_inflates_each_frame_by_itself(window_bits: int, texts: list[str]) -> None:
    """RFC 7692: read back with a fresh window for each, the texts are the same; the large ones take less."""
    packet = Packet([Frame(text) for text in texts])
    deflated = packet.deflated(window_bits)
    assert read_back(deflated, PerMessageDeflate(True, True, window_bits, window_bits)) == texts
    large = [byte_length(text) for text in texts if byte_length(text) >= MIN_DEFLATED_BYTES]
    assert len(packet.data) - len(deflated) >= sum(large) / 2
    if not large:
        assert deflated == packet.data


def read_back(data: bytes, *extensions: Extension) -> list[str]:
    protocol = ClientProtocol(parse_uri("ws://host"), state=State.OPEN, max_size=None)
    protocol.extensions = list(extensions)
    protocol.receive_data(data)
    frames = [event for event in protocol.events_received() if isinstance(event, WebSocketFrame)]
    assert {(frame.opcode, frame.fin) for frame in frames} <= {(Opcode.TEXT, True)}
    return [bytes(frame.data).decode() for frame in frames]


def piece(first: int, last: int, state: str = "running", epoch: str = "e", size: int = 2, trace_id: str = "t") -> Batch:
    return Batch(trace_id, epoch, state, last, tuple(encoded(n, "x" * size) for n in range(first, last + 1)))


def test_batches_that_follow_each_other_are_told_as_one() -> None:
    """Each trace for itself, the end with its events; nothing is joined over a hole, another life or a full frame."""
    joined = [piece(1, 2), piece(1, 1, trace_id="u"), piece(3, 3), Batch("t", "e", "success", 3)]
    assert list(merge(joined)) == [piece(1, 3, "success"), piece(1, 1, trace_id="u")]
    for apart in (
        [piece(1, 2), piece(4, 4)],
        [piece(1, 2), piece(3, 3, epoch="f")],
        [piece(1, 1, size=MAX_FRAME_BYTES), piece(2, 2)],
    ):
        assert list(merge(apart)) == apart


def test_a_batch_knows_its_bytes() -> None:
    """Memory is counted in bytes of UTF-8, not in characters."""
    assert Batch("t-1", "e", "running", 2, (encoded(1, '"é"'), encoded(2, '"e"'))).size == 7
    assert Batch("t-1", "e", "running", 0).size == 0


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
        encoded(number, f'"{letter * ((length - 2) // byte_length(letter))}"')
        for number, (length, letter) in enumerate(lengths, 1)
    ]
    chunks: list[Sequence[EncodedEvent]] = list(chunked(events))
    assert [event for chunk in chunks for event in chunk] == events
    frames = list(V1.events(events))
    assert [frame.sequence for frame in frames] == [chunk[-1].sequence for chunk in chunks]
    assert all(byte_length(frame.text) <= MAX_FRAME_BYTES for frame in frames)


def test_an_event_too_large_for_a_frame_stands_alone() -> None:
    """It is not lost, and takes none of its neighbours along."""
    large = encoded(2, f'"{"x" * 2 * MAX_FRAME_BYTES}"')
    assert [[e.sequence for e in chunk] for chunk in chunked([encoded(1), large, encoded(3)])] == [[1], [2], [3]]


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
    assert byte_length(frame.text) <= MAX_FRAME_BYTES
