"""The browser's client and the viewer's plain modules, tested in node: the cases are in ``*.test.mjs``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.test.mjs"))
FIRST_VERSION = 20
"""The first major version of node whose test runner can hold the clock."""


@pytest.fixture(scope="session")
def node() -> str:
    """The system's node."""
    executable = shutil.which("node")
    if executable is None:
        pytest.skip("No node is installed")
    version = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < FIRST_VERSION:
        pytest.skip(f"node {version.strip()} is older than {FIRST_VERSION}")
    return executable


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_in_node(node: str, cases: Path) -> None:
    """Every case of one file."""
    result = subprocess.run([node, "--test", str(cases)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
