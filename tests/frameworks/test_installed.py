"""Whether the frameworks are there, as they are pinned: `make test-frameworks` sees to it."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.frameworks.conftest import MISSING

if MISSING:
    pytest.skip(f"Not installed: {', '.join(MISSING)}. make test-frameworks installs them", allow_module_level=True)

REQUIREMENTS = Path(__file__).parent / "requirements.txt"


@pytest.mark.skipif(Path(sys.prefix).name == "newest", reason="these are to be the newest")
def test_the_versions_are_those_that_are_pinned() -> None:
    """What is tested is known."""
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    assert {name: version(name) for name in pins} == pins
