"""Nothing that was emitted is lost when the process that emitted it ends, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from celery import Celery

from tests.live.ending import PROCESSES
from tests.live.servers import ROOT, migrated_file
from tests.live.services import Postgres, Redis, free_port
from tests.live.sites import read_log

COUNT = 300
WAIT_SECONDS = 60


@dataclass
class Processes:
    """Starts processes on one database, and ends those that a test has left."""

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env={**self.env, **environment}, stdout=log, stderr=log
            )
        self.started.append(process)
        return process

    @property
    def log_file(self) -> Path:
        return self.folder / "processes.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while self.log.count(text) < times:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)  # between looks: a log does not tell of its growth

    def stored(self, trace_id: str, emitters: Sequence[str], count: int = COUNT) -> None:
        """Invariant 1: the log is 1..n, and has all of each emitter in the order it emitted it."""
        log = read_log(self.env["DATABASE_URL"], trace_id)
        assert [sequence for sequence, _ in log] == list(range(1, len(log) + 1))
        numbers = defaultdict[str, list[int]](list)
        for _, details in log:
            numbers[details["by"]].append(details["number"])
        lengths = {by: len(of_one) for by, of_one in numbers.items()}
        assert lengths == dict.fromkeys(emitters, count), self.log
        assert all(of_one == list(range(1, count + 1)) for of_one in numbers.values())


@pytest.fixture
def processes_on_sqlite(tmp_path: Path) -> Iterator[Processes]:
    shutil.copy(migrated_file(), tmp_path)
    yield from on_database(tmp_path, f"sqlite:///{tmp_path / migrated_file().name}")


@pytest.fixture
def processes_on_postgres(tmp_path: Path, postgres: Postgres) -> Iterator[Processes]:
    yield from on_database(tmp_path, postgres.url)


@pytest.fixture(params=["sqlite", "postgres"])
def processes(request: pytest.FixtureRequest) -> Processes:
    on_one: Processes = request.getfixturevalue(f"processes_on_{request.param}")
    return on_one


def on_database(folder: Path, url: str) -> Iterator[Processes]:
    inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    shared = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.live.settings_processes"}
    processes = Processes(folder, {**inherited, **shared})
    yield processes
    for process in processes.started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("returns", 0),
        ("exits", 3),
        ("fails", 1),
        ("is interrupted", -signal.SIGINT),
        ("is terminated", -signal.SIGTERM),
    ],
)
def test_a_script_that_ends_right_after_it_emitted_loses_nothing(
    processes: Processes, trace_id: str, way: str, code: int
) -> None:
    """And it ends as it would have ended without us."""
    assert processes.start("tests.live.ending", way, trace_id, str(COUNT)).wait(WAIT_SECONDS) == code
    processes.stored(trace_id, ["script"])


@pytest.mark.parametrize(
    "way",
    [
        "forks",
        "spawns",
        "has a server that forks",
        "has a pool that forks",
        "has a pool that spawns",
        "has a pool with a server that forks",
    ],
)
def test_children_that_end_right_after_they_emitted_lose_nothing(processes: Processes, trace_id: str, way: str) -> None:
    """Those of multiprocessing and of concurrent.futures end without atexit."""
    numbers = range(PROCESSES)
    emitters = [f"job {n}" for n in numbers] if "pool" in way else ["before", "after", *(f"child {n}" for n in numbers)]
    assert processes.start("tests.live.ending", way, trace_id, str(COUNT)).wait(WAIT_SECONDS) == 0
    processes.stored(trace_id, emitters)


def test_children_do_not_share_the_connections_of_their_parents_pool(
    processes_on_postgres: Processes, trace_id: str
) -> None:
    """psycopg's: the parent's writer has opened it, and goes on with it."""
    processes = processes_on_postgres
    ended = processes.start("tests.live.ending", "forks", trace_id, str(COUNT), TEST_DATABASE_POOL="1")
    assert ended.wait(WAIT_SECONDS) == 0
    processes.stored(trace_id, ["before", "after", *(f"child {n}" for n in range(PROCESSES))])


@pytest.mark.parametrize(
    "preload",
    [pytest.param([], marks=pytest.mark.thorough, id="each-loads"), pytest.param(["--preload"], id="preload")],
)
@pytest.mark.takes(seconds=10)
def test_gunicorn_workers_that_are_recycled_and_terminated_lose_nothing(
    processes: Processes, trace_id: str, preload: list[str]
) -> None:
    """A worker ends after 4 requests; the last ones when the master is told to end, right after the last answer."""
    port = free_port()
    options = ["--workers=2", "--max-requests=4", "--no-control-socket", f"--bind=127.0.0.1:{port}", *preload]
    gunicorn = processes.start("gunicorn", *options, "tests.live.wsgi:application")
    processes.wait_for("Booting worker", times=2)
    requests = [f"request {number}" for number in range(30)]

    def emit(by: str) -> bytes:
        path = f"emit-and-return/{trace_id}/{COUNT}/{by.replace(' ', '%20')}"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=WAIT_SECONDS) as response:
            answer: bytes = response.read()
            return answer

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(emit, requests))
    gunicorn.terminate()
    assert gunicorn.wait(WAIT_SECONDS) == 0
    assert len(answers) > 2  # workers
    processes.stored(trace_id, requests)


@pytest.mark.parametrize("tasks_per_child", [pytest.param(1, marks=pytest.mark.thorough), 100])
@pytest.mark.takes(seconds=10)
def test_celery_workers_that_are_recycled_and_terminated_lose_nothing_while_the_database_is_locked(
    processes_on_sqlite: Processes, redis: Redis, trace_id: str, tasks_per_child: int
) -> None:
    """A task emits and returns at once; its process ends with os._exit a second later."""
    processes = processes_on_sqlite
    options = ["--concurrency=2", f"--max-tasks-per-child={tasks_per_child}", "--loglevel=INFO"]
    worker = processes.start("celery", "-A", "tests.live.celery_app", "worker", *options, REDIS_URL=redis.url)
    processes.wait_for(" ready.")
    tasks = [f"task {number}" for number in range(6)]
    with closing(sqlite3.connect(processes.folder / "db.sqlite3", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with Celery(broker=redis.url) as client:
            for by in tasks:
                client.send_task("emit", (trace_id, COUNT, by), ignore_result=True)
        processes.wait_for("succeeded in", times=2)
        time.sleep(1.5)  # the lock itself is what is tested: longer than Celery waits, shorter than we do
    processes.wait_for("succeeded in", times=len(tasks))
    worker.terminate()
    assert worker.wait(WAIT_SECONDS) == 0
    processes.stored(trace_id, tasks)


@pytest.mark.takes(seconds=8)
def test_celerys_soft_limit_of_time_ends_a_task_that_emits(
    processes_on_sqlite: Processes, redis: Redis, trace_id: str
) -> None:
    """It is an ``Exception``, which comes in the middle of an emit; the trace ends with it."""
    processes = processes_on_sqlite
    options = ["--concurrency=1", "--loglevel=INFO"]
    worker = processes.start("celery", "-A", "tests.live.celery_app", "worker", *options, REDIS_URL=redis.url)
    processes.wait_for(" ready.")
    with Celery(broker=redis.url) as client:
        client.send_task("emit on", (trace_id,), ignore_result=True)
    processes.wait_for("raised unexpected: SoftTimeLimitExceeded")
    worker.terminate()
    assert worker.wait(WAIT_SECONDS) == 0
    with closing(sqlite3.connect(processes.folder / "db.sqlite3")) as database:
        states = database.execute("SELECT state FROM trace_streaming_trace WHERE trace_id = ?", [trace_id]).fetchall()
    assert states == [("error",)]
