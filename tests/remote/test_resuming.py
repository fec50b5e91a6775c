"""A stream that breaks is read on where it broke off."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from trace_streaming.remote import resuming
from trace_streaming.remote.resuming import AwayError, NotLetInError, Place, follow

CONNECTED = b'retry: 2000\n\nevent: connected\ndata: {"epoch":"e1"}\n\n'
ENDED = b'event: ended\nid: 3\ndata: {"state":"success","sequence":3}\n\n'


def event(sequence: int) -> bytes:
    return b'id: %d\ndata: {"sequence":%d}\n\n' % (sequence, sequence)


class Script:
    """Streams, one for each time that it is asked; None breaks one."""

    def __init__(self, *streams: list[bytes | None]) -> None:
        self.asked: list[Place] = []
        self.closed = 0
        self._streams = list(streams)

    async def __call__(self, place: Place) -> AsyncGenerator[bytes, None]:
        self.asked.append(place)
        try:
            for part in self._streams.pop(0):
                if part is None:
                    raise AwayError("gone")
                yield part
        finally:
            self.closed += 1


async def names(script: Script, since: int | None = 0) -> list[str]:
    return [message.name or message.data async for message in follow(script, since)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "_RETRY_SECONDS", (0.0, 0.0))


async def test_each_event_once_over_breaks() -> None:
    """After a break, an end without a word, and half a message, which is none."""
    script = Script(
        [CONNECTED, event(1), None],
        [CONNECTED, event(2), b"id: 3\nda"],
        [CONNECTED + event(3)[:9], event(3)[9:], b": 3\n\n", ENDED],
    )
    received = [name for name in await names(script) if name.startswith("{")]
    assert received == ['{"sequence":1}', '{"sequence":2}', '{"sequence":3}']
    assert script.asked == [Place(0), Place(1, "e1"), Place(2, "e1")]


async def test_each_stream_is_closed_when_it_is_left() -> None:
    """By who follows it, and not by the end of the event loop, which closes a request and its connection at once."""
    script = Script(
        [CONNECTED, b'event: refused\ndata: {"code":4001,"message":"restart"}\n\n'], [CONNECTED, ENDED, b""]
    )
    await names(script)
    assert script.closed == 2


async def test_a_watcher_of_what_is_live_comes_back_to_its_place() -> None:
    """The place is told before the first event."""
    script = Script([b"id: 7\n\n", CONNECTED, None], [CONNECTED, ENDED])
    await names(script, None)
    assert script.asked == [Place(None), Place(7, "e1")]


async def test_a_server_that_goes_is_come_back_to_and_one_that_refuses_is_not() -> None:
    """The codes of a socket's close."""

    def refused(code: int) -> bytes:
        return b'event: refused\ndata: {"code":%d,"message":"No."}\n\n' % code

    assert (await names(Script([refused(4001)], [refused(4008)], [ENDED])))[-1] == "ended"
    with pytest.raises(NotLetInError, match="No"):
        await names(Script([refused(4403)]))


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
async def test_no_text_ends_a_line_of_the_stream(letter: str) -> None:
    """Python takes many letters for an end of line, and an event may hold them: it forges nothing behind them."""
    text = f'{{"sequence":1,"text":"{letter}event: ended{letter}data: {{}}"}}'
    received = await names(Script([CONNECTED, f"id: 1\ndata: {text}\n\n".encode(), event(2), ENDED]))
    assert received == ["connected", text, '{"sequence":2}', "ended"]
