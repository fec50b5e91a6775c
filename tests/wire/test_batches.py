"""What watchers are sent of a batch, and which batches are told as one."""

from __future__ import annotations

from trace_streaming.events import EncodedEvent
from trace_streaming.wire.batches import Batch, event_packet, merge
from trace_streaming.wire.frames import MAX_FRAME_BYTES
from trace_streaming.wire.profiles import PLAIN, V1
from trace_streaming.wire.protocol import EVERYTHING, EventFilter


def encoded(sequence: int, text: str | None = None, status: str = "success") -> EncodedEvent:
    return EncodedEvent(sequence, "plan_created", status, text or f'{{"sequence":{sequence}}}')


EVENTS = (encoded(1), encoded(2, status="error"), encoded(3))


def test_frames_carry_only_what_is_wanted() -> None:
    """Invariant 8: replay and live make their frames here, with the same filter."""
    wanted = EventFilter(statuses=frozenset({"error"}))
    assert event_packet(PLAIN, wanted, EVENTS).texts == [EVENTS[1].text]
    batch = Batch("t-1", "e", "running", 3, EVENTS)
    assert batch.packet(PLAIN, wanted).sequence == 2


def test_a_batch_makes_its_frames_once_for_all_sockets() -> None:
    """A hundred sockets share one text; another profile or filter has its own."""
    batch = Batch("t-1", "ab12", "running", 3, EVENTS)
    packet = batch.packet(V1, EventFilter(frozenset({"plan_created"})))
    assert batch.packet(V1, EventFilter(frozenset({"plan_created"}))) is packet
    assert packet.data is packet.data
    assert batch.packet(V1, EVERYTHING) is not packet
    assert len(batch.packet(PLAIN, EVERYTHING).texts) == 3


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
