"""A project's own ``manage.py test``: what its tests emit is theirs, and reaches no other database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.test_readme import Project, site_packages  # noqa: F401  the fixture

RUNS = 6
TESTS = """
import asyncio
import threading

from django.contrib.auth.models import User
from django.test import TestCase, TransactionTestCase
from trace_streaming import TraceEmitter
from trace_streaming.models import Event, Trace


def emit(trace_id, **options):
    with TraceEmitter(trace_id, **options) as emitter:
        with emitter.tool_call("search"):
            pass


class AgentTest(TestCase):
    def test_a_run_is_stored_with_its_owner(self):
        user = User.objects.create_user("made-in-a-test")
        emit("a-test", owner=user)
        trace = Trace.objects.get()
        assert (trace.owner, trace.state, trace.events.count()) == (user, "success", 2)

    def test_another_test_sees_none_of_it(self):
        assert not Trace.objects.exists()
        emit("a-test")

    async def test_async(self):
        emit("a-test")
        assert await Event.objects.acount() == 2


class WholeTest(TransactionTestCase):
    def test_its_tables_are_its_own(self):
        assert not Trace.objects.exists()
        for number in range(20):
            emit(f"t-{number}")
            assert Event.objects.count() == 2 * (number + 1)

    def test_threads(self):
        assert not Trace.objects.exists()
        for number in range(5):
            thread = threading.Thread(target=emit, args=[f"t-{number}"])
            thread.start()
            thread.join()
        assert Trace.objects.count() == 5


class LastTest(TransactionTestCase):
    def test_what_is_emitted_last(self):
        for number in range(200):
            TraceEmitter("the-last").emit("plan_created")
"""
FILE_SETTINGS = """
DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}
"""
THREAD_SETTINGS = f"""
TRACE_STREAMING_RECORDER = "thread"
{FILE_SETTINGS}
"""


@pytest.fixture
def project(tmp_path: Path, site_packages: Path) -> Project:  # noqa: F811
    project = Project(tmp_path, site_packages)
    (project.project / "tests.py").write_text(TESTS)
    project.manage(
        "shell", "-v0", "-c", "from django.contrib.auth.models import User; User.objects.create_superuser('root')"
    )
    return project


def run_tests(project: Project, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "manage.py", "test", *arguments]
    run = subprocess.run(command, cwd=project.project, env=project.env, text=True, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stderr


def traces_in_the_real_database(project: Project) -> int:
    with closing(sqlite3.connect(project.project / "db.sqlite3")) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM trace_streaming_trace").fetchone()
        return int(count)


def test_a_projects_tests_keep_what_they_emit_to_themselves(project: Project) -> None:
    """Invariant 11. However often they run: no trace in the real database, no locked table, no word of failure."""
    for _ in range(RUNS):
        said = run_tests(project)
        assert "\n......\n" in f"\n{said}", said  # nothing is printed between the dots
        assert traces_in_the_real_database(project) == 0


def test_tests_that_run_beside_each_other_have_a_database_each(project: Project) -> None:
    """Invariant 11. Copies of one that was made, in memory or, without WAL, as a file."""
    settings = project.project / "mysite" / "settings.py"
    run_tests(project, "--parallel=2", "tests.AgentTest", "tests.WholeTest")
    settings.write_text(settings.read_text().replace("PRAGMA journal_mode=WAL; ", "") + FILE_SETTINGS)
    run_tests(project, "--parallel=2", "tests.AgentTest", "tests.WholeTest")
    assert traces_in_the_real_database(project) == 0


def test_the_recorders_thread_stores_in_no_other_database_either(project: Project) -> None:
    """Invariant 11. A project may want the thread in its tests: what waits when their database goes is given up."""
    with (project.project / "mysite" / "settings.py").open("a") as settings:
        settings.write(THREAD_SETTINGS)
    for _ in range(RUNS // 2):
        run_tests(project, "tests.LastTest")
        assert traces_in_the_real_database(project) == 0


LIMITED_TESTS = """
from django.test import TestCase
from trace_streaming import TraceEmitter


class LimitedTest(TestCase):
    def test_what_is_too_much_is_shed(self):
        for _ in range(3):
            TraceEmitter("shed").emit("plan_created")
"""


@pytest.mark.parametrize("mode", ["inline", "thread"])
def test_what_was_shed_in_a_test_is_told_to_no_other_database(project: Project, mode: str) -> None:
    """The marker of how many comes with the next event of the trace, or at the end of the process."""
    (project.project / "tests.py").write_text(LIMITED_TESTS)
    with (project.project / "mysite" / "settings.py").open("a") as settings:
        settings.write('TRACE_STREAMING_LIMITS = {"events_per_trace": "1/h"}\n')
        if mode == "thread":
            settings.write(THREAD_SETTINGS)
    run_tests(project)
    assert traces_in_the_real_database(project) == 0
