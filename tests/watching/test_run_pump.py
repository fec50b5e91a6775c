"""How a pump ends, and what its connection is told."""

from __future__ import annotations

import asyncio

import pytest

from trace_streaming.watching.contracts import Page, Reader
from trace_streaming.watching.subscription import GONE, Subscription, run_pump
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.profiles import PLAIN
from trace_streaming.wire.protocol import FAILED, CloseCode, Ending, WatchRequest


class Log:
    """Of one trace, that cannot be read."""

    trace_id = "t"
    epoch: str | None = "e"
    head = 3
    state: str | None = "running"
    is_gone = False

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def read(self, after: int, reader: Reader) -> Page:
        if self._error is None:
            await asyncio.Event().wait()
        raise self._error or AssertionError


class Client:
    """Takes nothing."""

    def send_now(self, packet: Packet) -> bool:
        return False

    async def send_packet(self, packet: Packet) -> None:
        raise AssertionError

    def encode(self, packet: Packet) -> None:
        """Nothing is made of it."""

    def pump(self) -> None:
        """The test runs it."""


def behind(error: Exception | None = None) -> Subscription:
    subscription = Subscription(Log(error), PLAIN, Client())
    subscription.open(WatchRequest("t", since=0))
    return subscription


@pytest.mark.parametrize(
    ("error", "ending"), [(ConnectionResetError("abc"), GONE), (ZeroDivisionError("abc"), FAILED)], ids=["gone", "bug"]
)
async def test_what_fails_ends_the_connection(
    error: Exception, ending: Ending, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is logged, with where it was and without its text; a client that went is not."""
    assert await run_pump(behind(error), {"client": ("192.0.2.1", 7)}) is ending
    assert [record.__dict__["connection"] for record in caplog.records] == ["192.0.2.1:7"] * (ending is FAILED)
    assert "abc" not in caplog.text


@pytest.mark.parametrize("ending", [Ending(CloseCode.NOT_ALLOWED, "No"), None])
async def test_what_ends_it_from_outside_is_passed_on(ending: Ending | None) -> None:
    """A cancellation without an ending is the server's own."""
    subscription = behind()
    pump = asyncio.create_task(run_pump(subscription, {}))
    await asyncio.sleep(0)
    if ending is not None:
        subscription.end(ending)
        assert await pump is ending
    else:
        pump.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pump
