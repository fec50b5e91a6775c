"""Routers of projects: a replica that is read from, and a database for the app."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from tests.live.servers import Server
from tests.live.suites import pass_on
from tests.live.watching import collect, watch

EVENTS = [["tool_call_complete", {"n": n}, "success"] for n in range(50)]


class WithOwnDatabase(Server):
    def environment(self) -> dict[str, str]:
        settings = {"DJANGO_SETTINGS_MODULE": "tests.routing.settings_own_database"}
        return {**super().environment(), **settings, "TEST_OTHER_DATABASE": str(self.folder / "other.sqlite3")}

    def migrate(self) -> None:
        for alias in ("default", "agents"):
            self.manage("migrate", "--verbosity=0", f"--database={alias}")


@pytest.fixture
def with_own_database(tmp_path: Path) -> Iterator[Server]:
    server = WithOwnDatabase("daphne", tmp_path)
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log, server.log


NO_REQUESTS = [
    "tests/test_compatibility.py::test_traces_are_pruned_in_the_admin[ATOMIC_REQUESTS]",
    "tests/admin/test_admin.py::test_years_months_and_days_are_found_without_looking_at_every_trace",
    "tests/approvals/test_approvals.py::test_a_loop_is_not_blocked",
    "tests/approvals/test_approvals.py::test_who_may_not_decide_is_told",
]
"""Where a test asks in threads, or in the app's place, it is not known who asks; the first is a matter of Django's."""


@pytest.mark.takes(seconds=30)
def test_nothing_is_read_from_a_replica(tmp_path: Path) -> None:
    """Whatever the app reads there fails these tests: they may ask one database alone."""
    tests = ["tests/test_compatibility.py", "tests/api/test_traces.py", "tests/api/test_signals.py", "tests/admin"]
    options = ["--ds=tests.routing.settings_replica", "-m", "not thorough", *map("--deselect={}".format, NO_REQUESTS)]
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    pass_on(url, *options, *tests, "tests/approvals/test_approvals.py", TEST_FOLDER=str(tmp_path))


async def test_the_app_has_a_database_of_its_own(with_own_database: Server, trace_id: str) -> None:
    """With its users; the project's other database has none of its tables."""
    server = with_own_database
    server.manage("check", "--database=agents", "--database=default", "--fail-level=WARNING")
    async with AsyncExitStack() as stack:
        live = await watch(stack, server.url(trace_id))
        await server.emit(trace_id, EVENTS)
        received = await collect(live, len(EVENTS))
        assert await collect(await watch(stack, server.url(trace_id, since=0)), len(EVENTS)) == received
    assert [event["details"]["n"] for event in received] == list(range(len(EVENTS)))
    told = await asyncio.to_thread(server.get, f"/api/traces/{trace_id}/")
    assert (told["event_count"], told["owner"]) == (len(EVENTS), None)
    assert (await asyncio.to_thread(server.get, "/ws/health"))["status"] == "healthy"
    assert server.manage("export_trace", trace_id).stdout.count("\n") == len(EVENTS)
    with closing(sqlite3.connect(server.folder / "other.sqlite3")) as other:
        tables = {name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables <= {"django_migrations", "sqlite_sequence"}
