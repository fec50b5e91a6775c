"""The log on PostgreSQL, which has its own way to raise heads; and windows of signals, by its own percentiles."""

from __future__ import annotations

import pytest

from tests.live.services import Postgres
from tests.live.suites import pass_on

pytestmark = pytest.mark.takes(seconds=15)


def test_windows_equal_a_scan_of_the_events_on_postgresql_too(postgres: Postgres) -> None:
    """The same tests as on SQLite, in a process with another database."""
    pass_on(
        postgres.url, "tests/analytics/test_windows.py", "tests/analytics/test_series.py", "tests/api/test_signals.py"
    )


def test_the_log_is_the_same_on_postgresql(postgres: Postgres) -> None:
    """Invariant 1, and all else that is promised of heads and pages."""
    pass_on(postgres.url, *(f"tests/storage/test_{name}.py" for name in ("store", "model_calls", "faults")))


@pytest.mark.thorough
def test_what_is_due_is_the_same_on_postgresql(postgres: Postgres) -> None:
    """By its clock, and its ways of locking."""
    pass_on(postgres.url, "tests/approvals/test_calling.py", "tests/notifying", "tests/access/test_tickets.py")
