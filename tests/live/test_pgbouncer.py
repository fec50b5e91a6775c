"""PgBouncer in transaction mode: no session lasts longer than a transaction."""

from __future__ import annotations

import pytest

from tests.live.conftest import StartSite
from tests.live.services import Postgres
from tests.live.suites import pass_on
from tests.live.system_services import PgBouncer
from tests.live.watching import all_have, watching

pytestmark = pytest.mark.takes(seconds=20)


@pytest.mark.thorough
def test_what_is_promised_of_the_log_holds(pgbouncer: PgBouncer) -> None:
    """The same tests as on SQLite; their database is not deleted, which PgBouncer keeps open."""
    settings = "--ds=tests.routing.settings_pgbouncer"
    tests = [f"tests/storage/test_{name}.py" for name in ("store", "leases", "owners", "retention", "hidden_values")]
    pass_on(pgbouncer.url, settings, "--reuse-db", *tests, "tests/api/test_traces.py")


async def test_several_processes_are_watched(
    start_site: StartSite, pgbouncer: PgBouncer, postgres: Postgres, trace_id: str
) -> None:
    """Live, replayed in pages, and while PostgreSQL goes away behind it."""
    site = start_site("pubsub", database=pgbouncer, TEST_POOLER="1")
    async with site.emitting(2) as processes, watching(*site.watchers(trace_id, comes_back=True)) as watchers:
        for process in processes:
            await process.emit(trace_id, count=600, pause=0.002)
        await all_have(watchers, 100)
        postgres.restart()
        for process in processes:
            await process.stored()
        await all_have(watchers, 1200)
        async with watching(*site.watchers(trace_id, comes_back=True)) as late:
            await all_have(late, 1200)
    for watcher in (*watchers, *late):
        watcher.got_each_once(1200)
