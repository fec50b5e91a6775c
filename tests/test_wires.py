"""Wires: bytes go straight to a transport that takes them; what it says is heard, and it is let go in the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from trace_streaming.frames import Frame, Packet
from trace_streaming.wires import DaphneWire, UvicornWire


def packet(text: str) -> Packet:
    return Packet([Frame(text)])


class DaphneProtocol:
    """What is used of daphne's, as a handshake leaves it: the HTTP channel is its transport's producer."""

    STATE_OPEN = 3
    _perMessageCompress: Any = None

    def __init__(self) -> None:
        self.state = 3
        self.transport = StringTransport()
        self.transport.registerProducer(object(), True)


async def test_daphnes_transport_is_waited_for_while_its_buffer_is_full() -> None:
    """Full: write nothing, and read nothing of the client either. Empty: go on."""
    protocol = DaphneProtocol()
    wire = DaphneWire(protocol)
    assert protocol.transport.producer is wire
    assert wire.write(packet("one"))
    await asyncio.wait_for(wire.wait(), 5)
    wire.pauseProducing()
    waiting = asyncio.create_task(wire.wait())
    await asyncio.sleep(0)
    assert (wire.write(packet("two")), waiting.done(), protocol.transport.producerState) == (False, False, "paused")
    wire.resumeProducing()
    await asyncio.wait_for(waiting, 5)
    assert protocol.transport.producerState == "producing"
    assert protocol.transport.value() == packet("one").data


@pytest.mark.parametrize("end", ["close", "stopProducing"])
async def test_nobody_waits_for_a_daphne_connection_that_has_gone(end: str) -> None:
    """Whoever ends it, a sender that waits goes on, and hears of it."""
    protocol = DaphneProtocol()
    wire = DaphneWire(protocol)
    wire.pauseProducing()
    waiting = asyncio.create_task(wire.wait())
    await asyncio.sleep(0)
    protocol.state = 0
    getattr(wire, end)()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(waiting, 5)
    assert not wire.write(packet("late"))
    assert protocol.transport.value() == b""


async def test_daphnes_transport_is_let_go() -> None:
    """A transport with a producer would not close."""
    protocol = DaphneProtocol()
    DaphneWire(protocol).close()
    assert protocol.transport.producer is None


@pytest.fixture
async def uvicorn_protocol() -> Any:
    """What is used of uvicorn's."""
    written: list[bytes] = []
    writable = asyncio.Event()
    writable.set()
    transport = SimpleNamespace(write=written.append, written=written, is_closing=lambda: False)
    conn = SimpleNamespace(extensions=[], max_message_size=16 * 2**20)
    return SimpleNamespace(transport=transport, conn=conn, writable=writable, close_sent=False, disconnected=False)


async def test_uvicorns_transport_is_waited_for_while_its_buffer_is_full(uvicorn_protocol: Any) -> None:
    """As uvicorn's own ``send`` does."""
    wire = UvicornWire(uvicorn_protocol)
    assert wire.write(packet("one"))
    uvicorn_protocol.writable.clear()
    waiting = asyncio.create_task(wire.wait())
    await asyncio.sleep(0)
    assert (wire.write(packet("two")), waiting.done()) == (False, False)
    uvicorn_protocol.writable.set()
    await asyncio.wait_for(waiting, 5)
    assert uvicorn_protocol.transport.written == [packet("one").data]


@pytest.mark.parametrize("end", ["close_sent", "disconnected"])
async def test_nothing_is_written_behind_a_close(uvicorn_protocol: Any, end: str) -> None:
    """Neither after ours nor after the client's."""
    wire = UvicornWire(uvicorn_protocol)
    setattr(uvicorn_protocol, end, True)
    assert not wire.write(packet("late"))
    with pytest.raises(ConnectionError):
        await wire.wait()
    assert uvicorn_protocol.transport.written == []
