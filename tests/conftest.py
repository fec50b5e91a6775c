"""Fixtures that more than one test file uses; and the tables of what was measured."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Q, UniqueConstraint
from pytest_django import Settings
from xdist.scheduler import LoadScopeScheduling

from tests.live import reports
from trace_streaming import TraceEmitter
from trace_streaming.access import views
from trace_streaming.approvals import calling
from trace_streaming.conf import conf
from trace_streaming.integrations import holding
from trace_streaming.models import Event
from trace_streaming.notifying import telling
from trace_streaming.otlp.endings import endings
from trace_streaming.recording.recorder import recorder
from trace_streaming.redaction.known import memory
from trace_streaming.watching import hubs

RECORDINGS = sorted((Path(__file__).parent.parent / "cuga_site" / "recordings").glob("*.jsonl"))

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_configure() -> None:
    """Events are recorded as in production, by the writer's thread: a test run is inline by itself."""
    settings.TRACE_STREAMING_RECORDER = "thread"


@pytest.fixture(scope="session", autouse=True)
def _writer_thread_ends() -> Iterator[None]:
    """The writer gives its database connection back before the test database goes."""
    yield
    recorder.close()


@pytest.fixture(autouse=True)
def _settings_are_read_again() -> None:
    """pytest-django tells nobody when it puts back a setting that a test has deleted."""
    vars(conf).clear()


@pytest.fixture(autouse=True)
def _passwords_are_quick(settings: Settings) -> None:
    """To set, and to guess."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _what_has_failed_is_over() -> None:
    """It is logged once, until it works again: a later test would look for a line that an earlier one has got."""
    for module in (calling, holding, telling, views):
        module._log.works()


@pytest.fixture(autouse=True)
def _what_was_shed_is_forgotten() -> None:
    """How much was shed of a trace is told with its next event, or when the recorder closes, in whichever test."""
    recorder._limits.clear()


@pytest.fixture(autouse=True)
def _what_was_hidden_is_forgotten() -> Iterator[None]:
    """What one test calls a secret is none to the next, which may use the same names of traces."""
    before = list(memory.project.values)
    yield
    memory.forget_traces()
    if new := [value for value in memory.project.values if value not in before]:
        memory.project.forget(new)


@pytest.fixture(autouse=True)
def _nobody_ends_the_traces_of_the_next_test() -> Iterator[None]:
    """A process that has taken spans looks for traces that are over."""
    yield
    endings.close()


@pytest.fixture(autouse=True)
def _hubs_of_closed_loops_go() -> None:
    """A test that reads a stream through Django's client leaves one: it would be waited for at the end of another."""
    for loop in [loop for loop in hubs.running if loop.is_closed()]:
        hubs.running.pop(loop).forget()


@pytest.fixture
def picky_database(transactional_db: None) -> Iterator[str]:
    """A database that refuses events of one tool, for good: it may have one of them, and has it; the tool's name."""
    tool = "poison"
    constraint = UniqueConstraint(fields=["tool_name"], condition=Q(tool_name=tool), name="one_event_of_this_tool")
    emitter = TraceEmitter("before")
    emitter.emit("tool_call_start", {"tool": tool})
    assert emitter.flush(60)
    recorder.close()  # its connection may hold the table
    with connection.schema_editor() as editor:
        editor.add_constraint(Event, constraint)
    yield tool
    recorder.close()
    with connection.schema_editor() as editor:
        editor.remove_constraint(Event, constraint)


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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no worker is left alone with it; all else stays in its random order."""
    items.sort(key=lambda item: (-seconds(item), group(item.nodeid)))


def seconds(item: pytest.Item) -> float:
    """How long it takes, or nothing."""
    mark = item.get_closest_marker("takes")
    return mark.kwargs["seconds"] if mark else 0.0


TOGETHER = re.compile(r"test_(?:doors|howto|readme|revocation)\.py|test_fault_matrix\.py.*\[\w+-\w+")
"""Tests that share something that is costly to start, by how their ids begin."""


def group(nodeid: str) -> str:
    """What the test stays together with, if it does."""
    return found[0] if (found := TOGETHER.search(nodeid)) else ""


# pytest-xdist 3.8 does not see its own marks under pytest 9.2; it has no annotations either.
class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Each group goes to one worker, each other test to any."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Of `-n`, whatever `--dist` says."""
    return Groups(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands over what its tests measured."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["tables"] = reports.TABLES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker has measured."""
    for name, rows in getattr(node, "workeroutput", {}).get("tables", {}).items():
        reports.TABLES.setdefault(name, []).extend(rows)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured; ``RELIABILITY_TABLE`` names a document to keep it in."""
    for name, rows in reports.TABLES.items():
        terminalreporter.section(name)
        terminalreporter.write(reports.markdown(rows))
    if reports.TABLES and (document := os.environ.get("RELIABILITY_TABLE")):
        reports.write_between_markers(Path(document))
