"""Events that wait in files outlive their process, whoever is killed when, and are stored once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.servers import ROOT
from tests.live.services import Postgres
from tests.live.sites import read_log

pytestmark = pytest.mark.takes(seconds=15)

COUNT = 1_000
EMIT = """
import sys, time, django; django.setup()
from trace_streaming import TraceEmitter
from trace_streaming.recorder import recorder
emitter = TraceEmitter(sys.argv[1])
for number in range(1, int(sys.argv[3]) + 1):
    emitter.emit("plan_created", {"by": sys.argv[2], "number": number}, "success")
    time.sleep(0.0005)  # the pace of the run
    while recorder.pending - recorder.pending_in_files >= 150:
        time.sleep(0.0005)  # no quicker than the disk, however slow
print("emitted", recorder.lost, flush=True)
print("stored", emitter.flush(60), recorder.lost, flush=True)
"""


def start(env: dict[str, str], trace_id: str, by: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", EMIT, trace_id, by, str(COUNT)]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def says(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Processes that end with the test."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("killed_again", [False, True], ids=["once", "while-storing"])
def test_a_killed_process_leaves_its_files_to_the_next(
    postgres: Postgres, tmp_path: Path, trace_id: str, stack: ExitStack, killed_again: bool
) -> None:
    """Three processes share the folder; the first is killed while the database is away, a second while it stores."""
    spool = tmp_path / "spool"
    env = {
        **os.environ,
        "DATABASE_URL": postgres.url,
        "DJANGO_SETTINGS_MODULE": "tests.live.settings_processes",
        "TEST_SPOOL_DIR": str(spool),
    }
    postgres.stop()
    first, second = (
        stack.enter_context(start(env, trace_id, "first")),
        stack.enter_context(start(env, trace_id, "second")),
    )
    assert says(first) == says(second) == ["emitted", "0"]
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    assert len(list(spool.glob("*.spool"))) > 2
    postgres.start()
    if killed_again:
        second.send_signal(signal.SIGKILL)
    else:
        assert says(second) == ["stored", "True", "0"]
    second.wait(30)
    third = stack.enter_context(start(env, trace_id, "third"))
    assert says(third) == ["emitted", "0"]
    assert says(third) == ["stored", "True", "0"]
    third.wait(60)
    numbers = defaultdict[str, list[int]](list)
    log = read_log(postgres.url, trace_id)
    for _, details in log:
        numbers[details["by"]].append(details["number"])
    assert [sequence for sequence, _ in log] == list(range(1, len(log) + 1))
    for by, stored in numbers.items():
        assert stored == list(range(1, len(stored) + 1)), by
    # A kill takes what was in memory: at most half of the queue, and what was just being written.
    assert len(numbers["first"]) >= COUNT - 200
    assert len(numbers["second"]) >= (COUNT - 200 if killed_again else COUNT)
    assert len(numbers["third"]) == COUNT
    assert [path.suffix for path in spool.iterdir() if path.suffix != ".unfinished"] == []
