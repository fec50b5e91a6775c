"""Wires: bytes go straight to a transport that takes them; what it says is heard, and it is let go in the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from trace_streaming.servers.gates import DaphneGate, UvicornGate
from trace_streaming.servers.lines import UvicornLine
from trace_streaming.servers.wires import MAX_FRAME_BYTES, DaphneWire, UvicornWire
from trace_streaming.wire.frames import Packet


def packet(text: str) -> Packet:
    return Packet([text])


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
    await asyncio.wait_for(waiting, 60)
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
        await asyncio.wait_for(waiting, 60)
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
    await asyncio.wait_for(waiting, 60)
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


async def test_a_client_of_uvicorn_that_is_not_answered_yet_may_say_no_more_than_afterwards(
    uvicorn_protocol: Any,
) -> None:
    """Invariant 5: what nobody can take gathers."""
    UvicornLine(uvicorn_protocol).stop_reading()
    assert uvicorn_protocol.conn.max_message_size == MAX_FRAME_BYTES


class DaphneRequest:
    """What is used of daphne's ``WebRequest``."""

    producer: Any = None

    def __init__(self, *, is_open: bool = True) -> None:
        self.aborted: list[str] = []
        transport = SimpleNamespace(abortConnection=lambda: self.aborted.append("aborted"))
        self.channel: Any = SimpleNamespace(transport=transport) if is_open else None

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None


@pytest.mark.parametrize("end", ["resumeProducing", "stopProducing", "close"])
async def test_a_long_response_waits_at_daphnes_gate(end: str) -> None:
    """While the buffer is full; until it is empty, the connection lost, or the response made."""
    request = DaphneRequest()
    gate = DaphneGate(request)
    assert request.producer is gate
    await asyncio.wait_for(gate.wait(), 5)
    gate.pauseProducing()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    getattr(gate, end)()
    await asyncio.wait_for(waiting, 60)
    gate.close()
    assert request.producer is None
    gate.abort()
    assert request.aborted == ["aborted"]


async def test_a_request_whose_client_has_gone_has_an_open_gate() -> None:
    """Before the response began."""
    gate = DaphneGate(DaphneRequest(is_open=False))
    await asyncio.wait_for(gate.wait(), 5)
    gate.close()
    gate.abort()


async def test_uvicorns_gate_leaves_the_waiting_to_uvicorn() -> None:
    """And drops what waits, where it is asked to."""
    aborted: list[bool] = []
    gate = UvicornGate(SimpleNamespace(transport=SimpleNamespace(abort=lambda: aborted.append(True))))
    await asyncio.wait_for(gate.wait(), 5)
    gate.close()
    gate.abort()
    assert aborted == [True]
