"""Serving processes know of each other, and forget those that died."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models.functions import Now

from trace_streaming.models import StreamServer
from trace_streaming.servers import presence as module
from trace_streaming.servers.presence import (
    DEAD_AFTER_SECONDS,
    MOST_TRACES,
    Fleet,
    Presence,
    fleet,
    living,
    watchers_by_trace,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What this process serves, by trace."""
    counts: dict[str, int] = {}
    monkeypatch.setattr(module, "connections_by_trace", lambda: dict(counts))
    return counts


@pytest.fixture
def presence() -> Iterator[Presence]:
    """Another process, as far as the rows are concerned."""
    presence = Presence()
    yield presence
    presence.close()


def server(name: str, seconds_ago: float = 0, **fields: Any) -> None:
    since = Now() - timedelta(seconds=seconds_ago)
    StreamServer.objects.create(name=name, host="h", pid=1, started_at=since, seen_at=since, **fields)


def test_a_process_says_who_it_is_and_what_it_serves(presence: Presence, watched: dict[str, int]) -> None:
    """One row, made once and kept fresh."""
    watched.update({"b": 2, "a": 1})
    presence._beat()
    first = StreamServer.objects.get()
    assert (first.host, first.pid, first.connections, first.traces) == (socket.gethostname(), os.getpid(), 3, 2)
    watched.clear()
    presence._beat()
    second = StreamServer.objects.get()
    assert (second.pk, second.started_at, second.connections) == (first.pk, first.started_at, 0)
    assert second.seen_at >= first.seen_at


def test_the_fleet_is_this_process_now_and_the_others_as_they_were_seen(watched: dict[str, int]) -> None:
    """Traces that several processes serve are named once; the first ten of all are among the first tens of each."""
    watched.update({f"t-{number:02}": 1 for number in range(0, 30, 2)})
    server("other", connections=7, traces=15, first_traces=[f"t-{number:02}" for number in range(0, 30, 3)][:10])
    server(module.presence.name, connections=99)
    names = sorted({f"t-{n:02}" for n in range(30) if n % 2 == 0 or n % 3 == 0})[:10]
    assert fleet() == Fleet(15 + 7, names)


def test_who_watches_a_trace_is_counted_over_all_processes(presence: Presence, watched: dict[str, int]) -> None:
    """This one as it is now, the living others as they were seen, each by its thousand most watched."""
    watched.update({"a": 1, "b": 2})
    server("other", watchers={"b": 3, "c": 4})
    server("dead", DEAD_AFTER_SECONDS + 1, watchers={"a": 100})
    server(module.presence.name, watchers={"a": 100})
    assert watchers_by_trace() == {"a": 1, "b": 5, "c": 4}
    watched.update({f"many-{number}": 1 for number in range(MOST_TRACES)})
    presence._beat()
    said = StreamServer.objects.get(name=presence.name).watchers
    assert (len(said), said["b"]) == (MOST_TRACES, 2)


def test_a_dead_process_is_forgotten(presence: Presence, watched: dict[str, int]) -> None:
    """At once by those who ask, and its row with the next beat of any other."""
    assert DEAD_AFTER_SECONDS <= 30
    server("dead", DEAD_AFTER_SECONDS + 1, connections=5, first_traces=["ghost"])
    assert fleet() == Fleet(0, [])
    assert not living().exists()
    presence._beat()
    assert list(StreamServer.objects.values_list("name", flat=True)) == [presence.name]


def test_a_process_that_ends_takes_its_row_with_it(presence: Presence, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread starts once, beats at once, and leaves when it is told."""
    beaten = threading.Event()
    beat = presence._beat

    def beat_and_say() -> None:
        beat()
        beaten.set()

    monkeypatch.setattr(presence, "_beat", beat_and_say)
    presence.start()
    presence.start()
    assert beaten.wait(60)
    assert [thread.name for thread in threading.enumerate()].count("trace-presence") == 1
    presence.close()
    assert not StreamServer.objects.exists()


def test_a_database_that_is_away_is_logged_once(presence: Presence, caplog: pytest.LogCaptureFixture) -> None:
    """The process goes on serving, and tells again when it can."""

    def fail() -> None:
        raise DatabaseError

    for _ in range(3):
        presence._try(fail)
    assert caplog.text.count("Telling that this process serves fails (DatabaseError)") == 1
    presence._try(presence._beat)
    assert StreamServer.objects.count() == 1


def test_a_forked_child_is_a_process_of_its_own(presence: Presence) -> None:
    """Another name, and no thread yet."""
    presence.start()
    name = presence.name
    presence.close()
    presence.reset()
    assert presence.name != name
    assert presence._thread is None
