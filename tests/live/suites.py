"""Tests that are run again, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.live.servers import ROOT


def pass_on(database_url: str, *arguments: str, **environment: str) -> None:
    """These tests pass with another database."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    variables = {**os.environ, "DATABASE_URL": database_url, **environment}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
