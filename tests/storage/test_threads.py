"""Threads for an event loop: their connections last as long as there is work, and a little longer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError, connection

from trace_streaming.storage import threads as database_threads
from trace_streaming.storage.threads import DatabaseThreads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def threads() -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads(asyncio.get_running_loop(), 1, "test-threads")
    yield threads
    threads.close()
    async with asyncio.timeout(60):
        while any(thread.name.startswith("test-threads") for thread in threading.enumerate()):
            await asyncio.sleep(0.001)


def connected() -> tuple[object, bool]:
    """Which connection the thread has now, and whether it had one before."""
    had_one = connection.connection is not None
    connection.ensure_connection()
    return connection.connection, had_one


async def test_one_connection_serves_all_who_wait_and_is_closed_behind_them(
    threads: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Django's default for requests, nothing is held by a thread that has had no work for a while."""
    monkeypatch.setattr(database_threads, "LINGER_SECONDS", 0)
    begun, go_on = threading.Event(), threading.Event()

    def held() -> object:
        begun.set()
        assert go_on.wait(60)
        return connected()[0]

    first = asyncio.create_task(threads.run(held))
    assert await asyncio.to_thread(begun.wait, 10)
    others = [asyncio.create_task(threads.run(connected)) for _ in range(3)]
    await asyncio.sleep(0)
    go_on.set()
    used = await first
    assert [await other for other in others] == [(used, True)] * 3
    async with asyncio.timeout(60):
        while threads._working:
            await asyncio.sleep(0.001)
    assert (await threads.run(connected))[1] is False


async def test_who_comes_again_soon_finds_the_same_connection(
    threads: DatabaseThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay asks for page after page: to connect for each would take twice as long as to read it."""
    monkeypatch.setattr(database_threads, "LINGER_SECONDS", 600)  # and the fixture does not wait for that
    used, had_one = await threads.run(connected)
    assert not had_one
    for _ in range(3):
        assert await threads.run(connected) == (used, True)


async def test_one_who_waits_for_work_is_given_it_and_others_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than there may be, and nobody waits while one of them does nothing."""
    monkeypatch.setattr(database_threads, "LINGER_SECONDS", 600)
    threads = DatabaseThreads(asyncio.get_running_loop(), 3, "test-threads")
    together = threading.Barrier(3)
    await threads.run(lambda: None)
    async with asyncio.timeout(60):
        for _ in range(3):
            await asyncio.gather(*(threads.run(together.wait, 60) for _ in range(6)))
    assert threads._working == 3
    threads.close()


async def test_what_one_raises_is_its_own(threads: DatabaseThreads) -> None:
    """The next is answered, by a connection that is looked at."""

    def fail() -> None:
        raise OperationalError("away")

    failing = asyncio.create_task(threads.run(fail))
    working = asyncio.create_task(threads.run(connected))
    with pytest.raises(OperationalError):
        await failing
    assert await working


async def test_who_has_gone_is_not_worked_for(threads: DatabaseThreads) -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def held() -> None:
        begun.set()
        assert go_on.wait(60)
        done.append("first")

    tasks = [asyncio.create_task(threads.run(held)), asyncio.create_task(threads.run(done.append, "second"))]
    assert await asyncio.to_thread(begun.wait, 10)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    last = asyncio.create_task(threads.run(done.append, "last"))
    await asyncio.sleep(0)
    go_on.set()
    await last
    assert done == ["first", "last"]


def test_a_loop_that_was_closed_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    """The thread ends without a word."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def held() -> None:
        begun.set()
        assert go_on.wait(60)

    async def leave() -> DatabaseThreads:
        threads = DatabaseThreads(asyncio.get_running_loop(), 1, "test-threads")
        asyncio.create_task(threads.run(held))
        assert await asyncio.to_thread(begun.wait, 10)
        threads._pool.submit(ended.set)
        return threads

    threads = asyncio.run(leave())
    go_on.set()
    assert ended.wait(60)
    threads.close()
    assert caplog.records == []
