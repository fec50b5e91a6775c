"""What the server says, in both profiles."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from trace_streaming.events import EncodedEvent
from trace_streaming.wire.batches import event_packet
from trace_streaming.wire.profiles import PLAIN, V1, WINDOW_BYTES, Connected, Gap, Profile
from trace_streaming.wire.protocol import EVERYTHING, CloseCode, EventFilter
from trace_streaming.wire.server_sent_events import EVENT_STREAM

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
    assert PLAIN.events(EVENTS) == [event.text for event in EVENTS]


@pytest.mark.parametrize("profile", [PLAIN, V1, EVENT_STREAM], ids=["plain", "v1", "events"])
def test_events_that_the_database_has_put_together_are_sent_as_all_others(profile: Profile) -> None:
    """Invariant 8: byte for byte."""
    assert profile.joined("\n".join(event.text for event in EVENTS), 1) == profile.events(EVENTS)


def test_a_v1_frame_carries_many_events_and_names_the_last() -> None:
    """A burst needs one frame, and the frame knows up to where it reaches."""
    packet = event_packet(V1, EVERYTHING, EVENTS)
    (text,) = packet.texts
    expected = {"type": "events", "events": [{"sequence": 1}, {"sequence": 2}, {"sequence": 3}]}
    assert json.loads(text) == expected
    assert packet.sequence == 3


@pytest.mark.parametrize("profile", [PLAIN, V1], ids=["plain", "v1"])
def test_no_events_are_no_frames(profile: Profile) -> None:
    """A batch of which nothing is wanted sends nothing, not an empty frame."""
    for packet in (
        event_packet(profile, EVERYTHING, ()),
        event_packet(profile, EventFilter(frozenset({"tool_call_start"})), EVENTS),
    ):
        assert (packet.texts, packet.sequence, packet.size, packet.data) == ([], 0, 0, b"")
