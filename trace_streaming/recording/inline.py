"""Storing without the writer: database code run at once, wherever the caller is, and announced behind its commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, ParamSpec

from asgiref.sync import sync_to_async
from django.db import connections, transaction

from trace_streaming.signals import events_recorded
from trace_streaming.telemetry import metrics
from trace_streaming.watching.publisher import Publisher
from trace_streaming.wire.batches import Batch

P = ParamSpec("P")

TIMEOUT_SECONDS: Final = 10.0


def run_blocking(function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run synchronous database code now, and return when it is done.

    Under a running loop Django's database code refuses to run, so it goes where ``sync_to_async`` sends the async
    ORM, to see the same connection and transaction; only that here the loop waits for it. :exc:`TimeoutError` when
    that thread waits for the loop in turn.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _leaving_no_connections(function, *args, **kwargs)
        return
    done = Future[None]()

    def call() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            function(*args, **kwargs)
        finally:
            done.set_result(None)

    call_elsewhere = sync_to_async(call)()
    call_elsewhere.send(None)  # hands the call to its thread, and would now wait for it on the loop
    try:
        done.result(TIMEOUT_SECONDS)
    finally:
        done.cancel()  # what is given up is not done later, when the test that emitted it is over
        call_elsewhere.close()


def _leaving_no_connections(function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """A thread that Django does not know would keep what is opened here: no test database could be dropped."""
    is_main = threading.current_thread() is threading.main_thread()
    before = set(connections.all()) if is_main else {each for each in connections.all() if each.connection is not None}
    try:
        function(*args, **kwargs)
    finally:
        for connection in set(connections.all()) - before:
            connection.close()


def after_commit(alias: str, announcement: Callable[[], None]) -> None:
    """Call it behind the outermost commit of this thread, and not at all if that is rolled back.

    The transaction that Django's ``TestCase`` puts around a test is not waited for: it is never committed.
    """
    blocks = connections[alias].atomic_blocks
    if all(getattr(block, "_from_testcase", False) for block in blocks):
        announcement()
    else:
        transaction.on_commit(announcement, using=alias)


def is_in_a_test(alias: str) -> bool:
    """Whether this thread is in the transaction that Django's ``TestCase`` puts around a test; no other sees it."""
    return any(getattr(block, "_from_testcase", False) for block in connections[alias].atomic_blocks)


def announce_alone(batches: list[Batch]) -> None:
    """Like :func:`announce`, where nobody else publishes."""
    if not batches:
        return
    publisher = Publisher()
    try:
        announce(batches, publisher)
    finally:
        publisher.close()


def announce(batches: list[Batch], publisher: Publisher) -> None:
    """Tell the watchers, and the receivers of ``events_recorded``, what was committed."""
    metrics.counts.add("recorded", sum(len(batch.events) for batch in batches))
    publisher.publish(batches)
    events_recorded.send_robust(sender=Publisher, batches=batches)
