"""The database's part: ``store (append|raw|read|page) EVENTS BATCH``, in the migrated database of ``DATABASE_URL``.

``read`` and ``page`` fill it first, if it is empty.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType

import django

URL = os.environ["DATABASE_URL"]
DETAILS = {"tool": "search_contacts", "duration_ms": 12.5, "args": {"query": "name = 'Bob'", "limit": 10}, "ok": True}
COLUMNS = "trace_id, sequence, event, status, timestamp, details, tool_name, duration_ms"
ROW = ("tool_call_complete", "success", "2026-01-05 12:00:00.123456", json.dumps(DETAILS), "search_contacts", 12.5)


def batches(events: int, size: int) -> Iterator[range]:
    """Numbers, a transaction's at a time."""
    return (range(first, min(first + size, events + 1)) for first in range(1, events + 1, size))


def append(events: int, size: int) -> float:
    """Ours: numbers, encodes and stores."""
    store = app()
    from trace_streaming.events import TraceEvent

    event = TraceEvent("tool_call_complete", "t", datetime.now(UTC), ROW[3], "success", "search_contacts", 12.5)
    return timed(events, lambda: [store.append([event] * len(numbers)) for numbers in batches(events, size)])


def raw(events: int, size: int) -> float:
    """The quickest that the driver has, into a table of the same shape."""
    rows = [[(1, number, *ROW) for number in numbers] for numbers in batches(events, size)]
    if URL.startswith("sqlite"):
        connection = sqlite3.connect(URL.removeprefix("sqlite:///") + ".raw", isolation_level=None)
        connection.executescript("pragma journal_mode=wal; pragma synchronous=normal")
        connection.execute("drop table if exists raw")
        connection.execute(table("integer", "autoincrement"))

        def execute() -> None:
            for batch in rows:
                connection.execute("begin immediate")
                connection.executemany(f"insert into raw({COLUMNS}) values(?,?,?,?,?,?,?,?)", batch)
                connection.execute("commit")

    else:
        import psycopg

        database = psycopg.connect(URL)
        database.execute("drop table if exists raw")
        database.execute(table("bigserial", ""))
        database.commit()

        def execute() -> None:
            for batch in rows:
                with database.cursor().copy(f"copy raw({COLUMNS}) from stdin") as copy:
                    for row in batch:
                        copy.write_row(row)
                database.commit()

    return timed(events, execute)


def table(key: str, option: str) -> str:
    """Like the app's, with the same index."""
    return (
        f"create table raw(id {key} primary key {option}, trace_id bigint, sequence bigint, event varchar(64),"
        " status varchar(16), timestamp timestamp, details text, tool_name varchar(200), duration_ms double precision,"
        " unique(trace_id, sequence))"
    )


def read(events: int, size: int) -> float:
    """All rows of a trace, a column for each thing, with SQLite's own module."""
    raw(events, size)
    connection = sqlite3.connect(URL.removeprefix("sqlite:///") + ".raw")
    query = f"select {COLUMNS} from raw where trace_id = 1 order by sequence"
    return timed(events, lambda: connection.execute(query).fetchall())


def page(events: int, size: int) -> float:
    """The first page of a trace of so many events; pages per second."""
    fill(events, size)
    store = app()
    pk = store.read_heads(["t"])["t"].pk
    return timed(200, lambda: [store.read_page(pk, 0) for _ in range(200)])


def fill(events: int, size: int) -> None:
    if "t" not in app().read_heads(["t"]):
        append(events, size)


def app() -> ModuleType:
    """The app's log, of a project that is set up."""
    django.setup()
    from trace_streaming.storage import store

    return store


def timed(count: int, work: Callable[[], object]) -> float:
    """So many of them per second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    what, events, size = sys.argv[1:]
    print(json.dumps({"per_second": globals()[what](int(events), int(size))}))
