"""Approvals that processes decide differently at the same time, while their time runs out: one outcome each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.servers import ROOT, migrated_file

pytestmark = pytest.mark.takes(seconds=15)
A_THOUSAND = pytest.param(1000, marks=[pytest.mark.thorough, pytest.mark.takes(seconds=30)])
SPACING_SECONDS = 0.02
"""On a quiet machine; at most five times as much, or they would race for minutes."""
PREPARE = """
import sys, django
django.setup()
from datetime import datetime, timedelta, UTC
from trace_streaming.models import Approval
trace_id, start, spacing, races = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
times = [datetime.fromtimestamp(start + spacing * n, UTC) for n in range(races)]
fields = dict(trace_id=trace_id, action="send", allowed=["approved", "rejected"], requested_at=times[0])
rows = [Approval(approval_id=f"a-{n}", expires_at=time, **fields) for n, time in enumerate(times)]
if stored := list(Approval.objects.filter(trace_id=trace_id).order_by("pk")):
    for row, time in zip(stored, times):
        row.expires_at = time
    Approval.objects.bulk_update(stored, ["expires_at"], batch_size=200)
else:
    Approval.objects.bulk_create(rows)
"""
OUTCOMES = """
import sys, django, json
django.setup()
from trace_streaming.models import Approval, Event
rows = dict(Approval.objects.filter(trace_id=sys.argv[1]).values_list("approval_id", "decision"))
stored = Event.objects.filter(trace__trace_id=sys.argv[1]).order_by("sequence")
events = [(json.loads(e.details), e.event, e.sequence) for e in stored]
print(json.dumps({"rows": rows, "events": events}))
"""


@pytest.mark.parametrize("races", [100, A_THOUSAND])
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_thousand_races_have_one_outcome_each(
    database: str, races: int, tmp_path: Path, trace_id: str, request: pytest.FixtureRequest
) -> None:
    """Approved, rejected or timed out: the row, its one event and the winner's answer agree."""
    is_sqlite = database == "sqlite"
    url = f"sqlite:///{tmp_path}/db.sqlite3" if is_sqlite else request.getfixturevalue("postgres").url
    env = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.live.settings"}
    if is_sqlite:
        shutil.copy(migrated_file(), tmp_path / "db.sqlite3")
    run(["-c", PREPARE, trace_id, "0", "0", str(races)], env)
    deciders = {
        what: subprocess.Popen(
            [sys.executable, "-m", "tests.live.deciding", what, trace_id],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for what in ("approved", "rejected", "expire")
    }
    for decider in deciders.values():
        assert decider.stdout is not None
        assert decider.stdout.readline() == "ready\n"
    prepared_in = time.time()
    run(["-c", PREPARE, trace_id, str(prepared_in), "3600", str(races)], env)
    took = time.time() - prepared_in
    margin, spacing = 2 * took + 1, SPACING_SECONDS * min(max(took, 1), 5)
    while True:
        start = time.time() + margin
        run(["-c", PREPARE, trace_id, str(start), str(spacing), str(races)], env)
        if time.time() < start:
            break
        margin *= 2  # the machine had others to serve
    for decider in deciders.values():
        assert decider.stdin is not None
        decider.stdin.write(f"{start} {spacing}\n")
        decider.stdin.flush()
    wins = {what: int(decider.communicate(timeout=300)[0]) for what, decider in deciders.items()}
    found = json.loads(run(["-c", OUTCOMES, trace_id], env))
    rows: dict[str, str] = found["rows"]
    said = {details["approval_id"]: details.get("decision", "timeout") for details, _, _ in found["events"]}
    assert said == rows
    assert [sequence for _, _, sequence in found["events"]] == list(range(1, races + 1))
    counts = {what: list(rows.values()).count(what) for what in ("approved", "rejected", "timeout")}
    assert (counts["approved"], counts["rejected"]) == (wins["approved"], wins["rejected"])
    assert 0 < counts["timeout"] < races, counts  # they did race


def run(arguments: list[str], env: dict[str, Any]) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, text=True, capture_output=True).stdout
