"""A sender tells the server that it lives, and which traces it has open."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.remote.ingest_servers import STORED, ScriptedServer
from tests.stopping.test_stopping import until
from trace_streaming.remote import RemoteTraceEmitter, beats, delivery
from trace_streaming.remote.ingest import IngestClient
from trace_streaming.remote.sender import all_senders


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    all_senders.close()


def flushed(emitter: RemoteTraceEmitter) -> None:
    emitter.emit("plan_created", {"n": 1})
    assert emitter.flush(60)


def test_a_trace_is_told_before_anybody_relies_on_its_being_stored() -> None:
    """Whoever has flushed may be killed at once. A trace that the server knows costs no further request."""
    with ScriptedServer().serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        flushed(emitter)
        [told] = server.beats
        assert (told["traces"], told["ends"], len(told["sender"])) == (["t"], False, 32)
        flushed(emitter)
        flushed(RemoteTraceEmitter(server.url, "secret", "other"))
        assert [beat["traces"] for beat in server.beats] == [["t"], ["t", "other"]]
        assert {beat["sender"] for beat in server.beats} == {told["sender"]}


def test_a_trace_that_ends_with_its_first_batch_costs_no_beat() -> None:
    """Short ones cost what they did."""
    with ScriptedServer().serving() as server:
        server.gate.clear()
        first = RemoteTraceEmitter(server.url, "secret", "first")
        first.emit("plan_created")
        first.end()
        with RemoteTraceEmitter(server.url, "secret", "t") as emitter:
            emitter.emit("plan_created")
        server.gate.set()
        assert emitter.flush(60)
        assert server.beats == []


def test_it_is_told_again_while_nothing_is_emitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some times as often as the server would believe it no more."""
    monkeypatch.setattr(beats, "BEAT_SECONDS", 0.01)
    with ScriptedServer().serving() as server:
        flushed(RemoteTraceEmitter(server.url, "secret", "t"))
        while len(server.beats) < 4:
            threading.Event().wait(0.01)  # between looks
        assert all(beat == server.beats[0] for beat in server.beats)


def test_it_is_told_while_the_server_asks_to_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process lives, and has its traces open. One that the server does not have yet is told once it has it."""
    monkeypatch.setattr(beats, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 0.01)
    with ScriptedServer(STORED, (429, {"Retry-After": "60"}, {})).serving() as server:
        flushed(RemoteTraceEmitter(server.url, "secret", "t"))
        emitter = RemoteTraceEmitter(server.url, "secret", "other")
        emitter.emit("plan_created")
        until(lambda: len(server.requests) == 2)
        told = len(server.beats)
        until(lambda: len(server.beats) > told + 2)
        assert all(beat["traces"] == ["t"] for beat in server.beats)
        emitter._sender.close(0)


def test_a_process_that_ends_says_so_and_what_it_leaves() -> None:
    """Traces that have ended are none of it."""
    with ScriptedServer().serving() as server:
        flushed(RemoteTraceEmitter(server.url, "secret", "t"))
        with RemoteTraceEmitter(server.url, "secret", "ended") as emitter:
            flushed(emitter)
        all_senders.close()
        last = server.beats[-1]
        assert (last["traces"], last["ends"]) == (["t"], True)


@pytest.mark.parametrize(("status", "answer"), [(404, {}), (403, {}), (200, {"held": 0, "expires_in": None})])
def test_a_server_that_knows_no_beats_is_told_once(status: int, answer: dict[str, None]) -> None:
    """An older one, one that does not let us, and one that has no leases."""
    with ScriptedServer().serving() as server:
        server.beat_answer = (status, {}, answer)
        flushed(RemoteTraceEmitter(server.url, "secret", "t"))
        flushed(RemoteTraceEmitter(server.url, "secret", "other"))
        all_senders.close()
        assert len(server.beats) == 1


def test_a_server_that_does_not_answer_is_asked_again_later() -> None:
    """And not with each batch."""
    with ScriptedServer().serving() as server:
        server.beat_answer = (503, {}, {})
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        flushed(emitter)
        flushed(emitter)
        assert len(server.beats) == 1
        assert emitter._sender.open_traces.are_told
        assert emitter._sender.open_traces.wait <= beats.RETRY_SECONDS


def test_who_only_adds_holds_nothing() -> None:
    """An emitter may be told so."""
    with ScriptedServer().serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        emitter.holds = False
        flushed(emitter)
        assert server.beats == []


def test_of_too_many_the_newest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a beat says stays small; one that goes on is among the newest again."""
    monkeypatch.setattr(beats, "MAX_OPEN", 2)
    with ScriptedServer().serving() as server:
        told = beats.OpenTraces()
        for trace_id in ("a", "b", "a", "c", "a"):
            told.opened(trace_id)
        client = IngestClient(server.url, "Token secret")
        told.tell(client)
        client.close()
        assert server.beats[0]["traces"] == ["c", "a"]
