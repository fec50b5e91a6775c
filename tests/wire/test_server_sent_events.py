"""The texts of server-sent events, as an ``EventSource`` reads them."""

from __future__ import annotations

import pytest

from trace_streaming.events import EncodedEvent
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import Connected, Gap
from trace_streaming.wire.server_sent_events import EVENT_STREAM


def read(text: str) -> list[dict[str, str]]:
    """The fields of each message; the empty name is a comment."""
    assert text.endswith("\n\n")
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in text[:-2].split("\n\n")]


def test_an_event_is_a_message_with_its_sequence_as_id() -> None:
    """Without a name, so that ``onmessage`` gets it."""
    events = [EncodedEvent(n, "plan_created", "success", f'{{"n":{n}}}') for n in (7, 8)]
    assert read(Packet(EVENT_STREAM.events(events)).body.decode()) == [
        {"id": "7", "data": '{"n":7}'},
        {"id": "8", "data": '{"n":8}'},
    ]


def test_the_first_message_says_where_the_log_ends_and_when_to_come_back() -> None:
    """Where the client asked for nothing before, a place to resume from goes ahead of it."""
    first = EVENT_STREAM.connected(Connected("t", 5, "e", "running", 15.0))
    retry, connected = read(first)
    assert (retry, connected["event"]) == ({"retry": "2000"}, "connected")
    assert connected["data"] == '{"trace_id":"t","epoch":"e","sequence":5,"state":"running","heartbeat_seconds":15.0}'
    assert read(EVENT_STREAM.place(5)) == [{"id": "5"}]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (EVENT_STREAM.live(3), {"event": "live", "data": '{"sequence":3}'}),
        (EVENT_STREAM.heartbeat(3), {"": "3"}),
        (EVENT_STREAM.ended("success", 3), {"event": "ended", "id": "3", "data": '{"state":"success","sequence":3}'}),
        (EVENT_STREAM.gap("t", Gap(1, 4, "pruned")), {"event": "gap", "data": '{"from":1,"to":4,"reason":"pruned"}'}),
        (
            EVENT_STREAM.gap("t", Gap(1, 4, "epoch", "e")),
            {"id": "0", "event": "gap", "data": '{"from":1,"to":4,"reason":"epoch","epoch":"e"}'},
        ),
        (
            EVENT_STREAM.error("t", 4001, "no\nmore"),
            {"event": "refused", "data": '{"code":4001,"message":"no\\nmore"}'},
        ),
    ],
)
def test_what_else_is_said_has_a_name(text: str, fields: dict[str, str]) -> None:
    """``error`` is none of them: that is what an ``EventSource`` calls a connection that broke."""
    assert read(text) == [fields]


def test_nothing_comes_behind_the_end() -> None:
    """Only ``ended`` ends the stream."""
    assert EVENT_STREAM.is_end(Packet([EVENT_STREAM.live(3), EVENT_STREAM.ended("error", 3)]))
    assert not EVENT_STREAM.is_end(Packet([EVENT_STREAM.live(3)]))
