"""``manage.py test`` runs the same suite as ``pytest``, as pytest-django's documentation describes."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

import pytest


class PytestRunner:
    """A Django test runner that hands everything to pytest."""

    def __init__(self, verbosity: int = 1, failfast: bool = False, keepdb: bool = False, **options: Any) -> None:
        self.arguments = ["--quiet"] * (verbosity == 0) + ["--verbose"] * (verbosity == 2)
        self.arguments += ["--exitfirst"] * failfast + ["--reuse-db"] * keepdb
        self.arguments += [f"-k={word}" for word in options.get("test_name_patterns") or []]

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """The options of Django's runner that pytest has too."""
        parser.add_argument("--keepdb", action="store_true", help="Keep the test database.")
        parser.add_argument("-k", action="append", dest="test_name_patterns", help="Run tests that match.")

    def run_tests(self, test_labels: Sequence[str], **kwargs: Any) -> int:
        """Run pytest; labels are paths or node ids. Returns its exit code."""
        return int(pytest.main([*self.arguments, *test_labels]))
