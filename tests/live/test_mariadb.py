"""MariaDB, as distributions install it, beside SQLite and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pymysql
import pytest

from tests.live.conftest import StartSite
from tests.live.servers import ROOT
from tests.live.suites import pass_on
from tests.live.system_services import MariaDB
from tests.live.watching import all_have, watching

pytestmark = pytest.mark.takes(seconds=30)
BACK = """
import django
django.setup()
from django.core.management import call_command
from django.db import connection
tables = connection.introspection.table_names
call_command("migrate", "trace_streaming", "zero", verbosity=0)
assert not [name for name in tables() if name.startswith("trace_streaming")], tables()
call_command("migrate", verbosity=0)
call_command("check", databases=["default"], fail_level="WARNING")
"""


SAME = {
    "storage": ["tests/storage"],
    "admin": ["tests/admin", "-k", "not without_looking_at_every_trace"],
    "api": [
        *("tests/analytics", "tests/api/test_signals.py", "tests/api/test_traces.py", "tests/api/test_pages.py"),
        "--deselect=tests/api/test_traces.py::test_what_is_asked_for_is_looked_up_and_not_searched",
    ],
    "approvals": ["tests/approvals", "tests/access/test_tickets.py", "tests/stopping", "tests/notifying"],
}
"""What is left out is about indexes of expressions, and zones of time, which MariaDB has not."""


@pytest.mark.parametrize(
    "part", ["storage", *(pytest.param(part, marks=pytest.mark.thorough) for part in ("admin", "api", "approvals"))]
)
def test_what_is_promised_of_the_log_holds(mariadb: MariaDB, part: str) -> None:
    """The same tests as on SQLite, in a process with another database."""
    pass_on(f"{mariadb.url}_{part}", *SAME[part], "-m", "not thorough")


def test_the_tables_can_go_and_come_back(mariadb: MariaDB) -> None:
    """By the migrations, and Django's own checks have nothing to say of what is there then."""
    url = f"{mariadb.url}_back"
    with closing(pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root")) as connection:
        connection.cursor().execute("CREATE DATABASE traces_back CHARACTER SET latin1")
        env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
        for command in (["manage.py", "migrate", "-v0"], ["-c", BACK]):
            subprocess.run([sys.executable, *command], cwd=ROOT, env=env, check=True)
        with connection.cursor() as cursor:
            ours = "TABLE_SCHEMA = 'traces_back' AND TABLE_NAME LIKE 'trace_streaming%'"
            texts = "SELECT DISTINCT COLLATION_NAME FROM information_schema.COLUMNS WHERE COLLATION_NAME IS NOT NULL"
            cursor.execute(f"{texts} AND {ours}")
            assert cursor.fetchall() == (("utf8mb4_nopad_bin",),)


async def test_several_processes_are_watched(start_site: StartSite, mariadb: MariaDB, trace_id: str) -> None:
    """Each event once, in order, from processes that emit into one trace at the same time, while it goes away."""
    site = start_site("pubsub", database=mariadb)
    async with site.emitting(2) as processes, watching(*site.watchers(trace_id, comes_back=True)) as watchers:
        for process in processes:
            await process.emit(trace_id, count=150, pause=0.01)
        await all_have(watchers, 50)
        mariadb.restart()
        for process in processes:
            await process.stored()
        await all_have(watchers, 300)
    for watcher in watchers:
        watcher.got_each_once(300)
