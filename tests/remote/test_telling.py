"""What a call says while it says it, told to a server elsewhere."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.remote.ingest_servers import ScriptedServer
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.remote.sender import all_senders


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    all_senders.close()


def pieces(server: ScriptedServer) -> list[object]:
    return [body for path, body in server.requests if path == "/api/traces/t/deltas"]


def test_a_piece_is_told_while_the_call_runs() -> None:
    """Redacted here; the connection is closed when no emitter is left: a socket that is not is an error of the test."""
    with ScriptedServer().serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        with emitter.llm_call("m") as call:
            call.stream("The password is hunter2-Tr0ub4dor as it was. \n")
            while not pieces(server):
                pass
        text = "The password is [redacted:key] as it was. \n"
        assert pieces(server) == [{"call_id": call.call_id, "offset": 0, "text": text}]
        assert server.authorizations[-1] == "Token secret"
        emitter.end()
        assert emitter.flush(60)
        all_senders.close()
        del emitter, call
        gc.collect()
