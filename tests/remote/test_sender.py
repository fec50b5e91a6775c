"""What waits is sent in order, once, and again where nobody knows whether it came."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import pytest

from tests.interrupting import at_each_step
from tests.remote.ingest_servers import Scripted, ScriptedServer
from trace_streaming.remote import RemoteTraceEmitter, sender
from trace_streaming.remote.sender import all_senders


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    all_senders.close()


def emit(emitter: RemoteTraceEmitter, *numbers: int) -> None:
    for n in numbers:
        emitter.emit("plan_created", {"n": n})


def test_who_interrupts_a_thread_that_emits_may_emit() -> None:
    """Invariant 3: a finalizer, or a signal's handler, wherever it comes; the thread does not wait for itself."""
    with ScriptedServer().serving() as server:
        open_emitter = RemoteTraceEmitter(server.url, "secret", "t")
        emit(open_emitter, 0)

        def end_and_begin() -> None:
            open_emitter._sender.open_traces.closed("t")
            emit(RemoteTraceEmitter(server.url, "secret", "t"), 1)

        at_each_step(end_and_begin, end_and_begin, "trace_streaming.remote", "trace_streaming.starting", "threading")
        assert open_emitter.flush(60)


def test_ctrl_c_while_the_thread_is_started_leaves_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 1: two would send what comes later beside what was before."""

    def interrupted(thread: threading.Thread) -> None:
        monkeypatch.undo()
        thread.start()
        raise KeyboardInterrupt

    with ScriptedServer().serving() as server:
        before, emitter = threading.enumerate(), RemoteTraceEmitter(server.url, "secret", "t")
        monkeypatch.setattr(sender, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            emit(emitter, 0)
        emit(emitter, 1)
        assert emitter.flush(60)
        assert [thread.name for thread in threading.enumerate() if thread not in before].count("trace-sender") == 1
        assert [number for batch in server.batches() for number in batch] == [0, 1]


def sent_through(*answers: Scripted, count: int = 2) -> tuple[ScriptedServer, RemoteTraceEmitter, float]:
    """What a server with these answers gets of some events that it is sent together, and how long it took."""
    with ScriptedServer(*answers).serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        server.gate.clear()
        emit(emitter, 0)  # holds the thread, so that what follows is one load
        emit(emitter, *range(1, count))
        began = monotonic()
        server.gate.set()
        assert emitter.flush(60)
        return server, emitter, monotonic() - began


def test_what_gathers_during_a_request_is_the_next_batch() -> None:
    """Batches grow under load."""
    with ScriptedServer().serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        server.gate.clear()
        emit(emitter, 0)
        while not server.requests:
            pass
        emit(emitter, *range(1, 501))
        server.gate.set()
        assert emitter.flush(60)
        assert server.batches() == [[0], list(range(1, 501))]
        assert server.authorizations == ["Token secret"] * 2


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_what_may_work_later_is_sent_again_with_the_same_ids(status: int) -> None:
    """The server knows repeats by them."""
    server, emitter, _ = sent_through((status, {}, {}), (status, {}, {}), count=1)
    bodies = [body for _, body in server.requests]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert emitter.lost == 0


@pytest.mark.parametrize("is_date", [True, False])
def test_the_server_says_when_to_come_back(is_date: bool) -> None:
    """``Retry-After`` in both its forms."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)  # some of which it takes to begin
    _, _, seconds = sent_through((429, {"Retry-After": date if is_date else "1"}, {}), count=1)
    assert 0.9 <= seconds < 10


def test_what_is_taken_but_not_stored_is_sent_again_in_smaller_parts() -> None:
    """202: had the server died then, what followed would have been stored before it."""
    taken: Scripted = (202, {}, {"accepted": 4, "stored": False, "errors": []})
    with ScriptedServer(taken).serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        for n in range(4):
            emitter._sender._queue.put(emitter._make("plan_created", {"n": n}, "pending")[0])
        assert emitter.flush(60)
        assert server.batches() == [[0, 1, 2, 3], [0, 1], [2, 3]]


def test_what_is_too_large_is_halved() -> None:
    """413, until one event alone is too large: that one is lost."""
    too_large: Scripted = (413, {}, {})
    with ScriptedServer(too_large, too_large).serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        for n in range(2):
            emitter._sender._queue.put(emitter._make("plan_created", {"n": n}, "pending")[0])
        assert emitter.flush(60)
        assert server.batches() == [[0, 1], [0], [1]]
        assert emitter.lost == 1


def test_bad_items_are_reported_and_never_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """207: the others are stored."""
    bad: Scripted = (207, {}, {"accepted": 0, "stored": True, "errors": [{"index": 0, "error": "Non-canonical"}]})
    server, emitter, _ = sent_through(bad, count=1)
    assert (len(server.requests), emitter.lost) == (1, 1)
    assert "Non-canonical" in caplog.text


def test_what_a_server_answers_writes_no_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Something may stand before it that nobody knows."""
    sent_through((403, {}, {"detail": "no\r\nERROR of nobody \x1b[2J"}))
    assert r"403 no\r\nERROR of nobody \x1b[2J" in caplog.text


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_what_is_refused_is_counted_and_never_sent_again(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, and without the token."""
    answer: Scripted = (status, {}, {"detail": "No."})
    server, emitter, _ = sent_through(answer, answer, answer, count=3)
    assert sorted(n for batch in server.batches() for n in batch) == [0, 1, 2]
    assert emitter.lost == 3
    assert caplog.text.count(f"it answers {status}") == 1
    assert "secret" not in caplog.text


def test_a_page_of_something_between_is_no_answer() -> None:
    """A proxy that answers 200 with a page of its own has stored nothing."""
    _, emitter, _ = sent_through((200, {}, {"hello": "world"}), count=1)
    assert emitter.lost == 1


def test_a_full_queue_gives_up_the_oldest_informational_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors stay; what is lost is counted."""
    monkeypatch.setattr(sender, "QUEUE_SIZE", 20)
    with ScriptedServer().serving() as server:
        emitter = RemoteTraceEmitter(server.url, "secret", "t")
        server.gate.clear()
        emit(emitter, -1)
        while not server.requests:
            pass
        emitter.emit("tool_call_error", {"n": -2}, "error")
        emit(emitter, *range(30))
        server.gate.set()
        assert emitter.flush(60)
        received = [n for batch in server.batches() for n in batch]
        assert received[:2] == [-1, -2]
        assert received == sorted(set(received), key=lambda n: (n >= 0, abs(n)))
        assert len(received) + emitter.lost == 32 > len(received)


def test_an_idle_thread_ends_and_the_next_event_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emitters for many tokens hold no thread each, once their traces have ended."""
    monkeypatch.setattr(sender, "IDLE_SECONDS", 0.01)
    with ScriptedServer().serving() as server:
        for n in range(2):
            emitter = RemoteTraceEmitter(server.url, "secret", "t")
            emit(emitter, n)
            emitter.end()
            assert emitter.flush(60)
            for thread in threading.enumerate():
                if thread.name == "trace-sender":
                    thread.join(60)
            assert "trace-sender" not in [thread.name for thread in threading.enumerate()]
        assert server.batches() == [[0], [1]]


def test_a_server_that_is_away_holds_nobody_for_long() -> None:
    """The end of the process takes its seconds, and says what is left."""
    emitter = RemoteTraceEmitter("http://127.0.0.1:9", "secret")
    emit(emitter, 1, 2, 3)
    assert not emitter.flush(0.1)
    began = monotonic()
    emitter._sender.close(0.2)
    assert monotonic() - began < 2
    assert emitter.lost == 3


SCRIPT = """
import multiprocessing, os, signal, sys
from trace_streaming.remote import RemoteTraceEmitter

emitter = RemoteTraceEmitter(sys.argv[1], "secret", "t")
emitter.emit("plan_created", {"n": 0})
match sys.argv[2]:
    case "exit":
        pass
    case "sigterm":
        emitter.emit("plan_created", {"n": 1})
        os.kill(os.getpid(), signal.SIGTERM)
    case "fork":
        while len(emitter._sender._queue):
            pass
        emitter.emit("plan_created", {"n": 1})  # waits: the server does not answer to the first
        if os.fork() == 0:
            emitter.emit("plan_created", {"n": 2})
            sys.exit()
        print("forked", flush=True)
        os.wait()
        emitter.emit("plan_created", {"n": 3})
    case "multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=emitter.emit, args=("plan_created", {"n": 1}))
        process.start()
        process.join()
"""


@pytest.mark.parametrize(
    ("how", "numbers", "code"),
    [
        ("exit", [0], 0),
        ("sigterm", [0, 1], -signal.SIGTERM),
        ("fork", [0, 1, 2, 3], 0),
        ("multiprocessing", [0, 1], 0),
    ],
)
def test_however_a_process_ends_what_it_emitted_is_sent_once(how: str, numbers: list[int], code: int) -> None:
    """Without Django settings, too: this is a plain script."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with ScriptedServer().serving() as server:
        command = [sys.executable, "-W", "error", "-c", SCRIPT, server.url, how]
        if how == "fork":
            server.gate.clear()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            if how == "fork":
                assert process.stdout is not None
                process.stdout.readline()
                server.gate.set()
            _, errors = process.communicate(timeout=90)
        assert (process.returncode, errors) == (code, b"")
        assert sorted(n for batch in server.batches() for n in batch) == numbers
        ids = [event["event_id"] for _, body in server.requests for event in body["events"]]
        assert len(set(ids)) == len(numbers)
