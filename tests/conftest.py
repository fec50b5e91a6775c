"""Fixtures that more than one test file uses."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from trace_streaming.recorder import recorder

RECORDINGS = sorted((Path(__file__).parent.parent / "cuga_site" / "recordings").glob("*.jsonl"))


@pytest.fixture(scope="session", autouse=True)
def _writer_thread_ends() -> Iterator[None]:
    """The writer gives its database connection back before the test database goes."""
    yield
    recorder.close()


@pytest.fixture(autouse=True)
def _passwords_are_quick(settings: Settings) -> None:
    """To set, and to guess."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(params=RECORDINGS, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Path:
    """One of the recordings of real agents' runs."""
    path: Path = request.param
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where nothing may be skipped, a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL_TESTS"):
        report.outcome = "failed"
    return report
