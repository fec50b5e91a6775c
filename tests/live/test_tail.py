"""A terminal that reads the database itself: what it shows is what is stored, whatever the database does meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from threading import Timer

from tests.live.servers import ROOT
from tests.live.services import Postgres
from tests.live.sites import read_log

EVENTS = 200
EMIT = """
import sys, time, django; django.setup()
from trace_streaming import TraceEmitter
emitter = TraceEmitter(sys.argv[1])
for number in range(int(sys.argv[2])):
    emitter.emit("plan_created", {"number": number})
    time.sleep(0.02)  # the pace of the run
emitter.end("error")
sys.exit(not emitter.flush(60))
"""


def test_each_event_once_over_restarts_of_the_database(postgres: Postgres, trace_id: str) -> None:
    """It crashes and ends in order by turns, in the midst of a run; the exit code is the trace's state."""
    env = {**os.environ, "DATABASE_URL": postgres.url, "DJANGO_SETTINGS_MODULE": "tests.live.settings"}
    tail = [sys.executable, "manage.py", "tail_trace", trace_id, "--since", "0", "--json"]
    emit = [sys.executable, "-c", EMIT, trace_id, str(EVENTS)]
    with (
        subprocess.Popen(
            tail, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as terminal,
        subprocess.Popen(emit, cwd=ROOT, env=env) as emitter,
    ):
        patience = Timer(90, terminal.kill)
        patience.start()
        try:
            assert terminal.stdout is not None
            assert terminal.stderr is not None
            lines: list[str] = []
            for end in (postgres.kill, postgres.stop, postgres.kill):
                lines += [terminal.stdout.readline() for _ in range(30)]
                end()
                postgres.start()
            lines += terminal.stdout
            said = terminal.stderr.read()
            assert (terminal.wait(60), emitter.wait(60)) == (1, 0), said
        finally:
            patience.cancel()
            terminal.kill()
            emitter.kill()
    shown = [json.loads(line) for line in lines]
    stored = read_log(postgres.url, trace_id)
    assert [(sequence, details["number"]) for sequence, details in stored] == [(n + 1, n) for n in range(EVENTS)]
    assert [(event["sequence"], event["details"]) for event in shown] == stored
    assert said.endswith("The trace has ended: error\n")
