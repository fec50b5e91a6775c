"""Windows of signals on PostgreSQL, whose own percentiles they take."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.live.servers import ROOT
from tests.live.services import Postgres

pytestmark = pytest.mark.takes(seconds=15)


def test_windows_equal_a_scan_of_the_events_on_postgresql_too(postgres: Postgres) -> None:
    """The same tests as on SQLite, in a process with another database."""
    files = ["tests/analytics/test_windows.py", "tests/analytics/test_series.py", "tests/api/test_signals.py"]
    command = [sys.executable, "-m", "pytest", "-q", *files]
    environment = {**os.environ, "DATABASE_URL": postgres.url}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
