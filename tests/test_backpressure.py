"""Backpressure on daphne: what a socket's transport says is heard, and the transport is let go in the end."""

from __future__ import annotations

import asyncio

import pytest
from twisted.internet.testing import StringTransport

from trace_streaming.backpressure import WriteGate


@pytest.fixture
async def transport() -> StringTransport:
    """A transport as a handshake leaves it: the HTTP channel is its producer."""
    transport = StringTransport()
    transport.registerProducer(object(), True)
    return transport


async def test_sending_waits_while_the_write_buffer_is_full(transport: StringTransport) -> None:
    """Full: wait, and read nothing of the client either. Empty: go on."""
    gate = WriteGate(transport)
    assert transport.producer is gate
    await asyncio.wait_for(gate.wait(), 5)
    gate.pauseProducing()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    assert (waiting.done(), transport.producerState) == (False, "paused")
    gate.resumeProducing()
    await asyncio.wait_for(waiting, 5)
    assert transport.producerState == "producing"


@pytest.mark.parametrize("end", ["close", "stopProducing"])
async def test_nobody_waits_for_a_connection_that_has_gone(transport: StringTransport, end: str) -> None:
    """Whoever ends it, a sender that waits goes on."""
    gate = WriteGate(transport)
    gate.pauseProducing()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    getattr(gate, end)()
    await asyncio.wait_for(waiting, 5)


async def test_the_transport_is_let_go(transport: StringTransport) -> None:
    """A transport with a producer would not close."""
    gate = WriteGate(transport)
    gate.close()
    assert transport.producer is None
