"""What goes on failing is logged once per burst."""

from __future__ import annotations

import logging

import pytest

from trace_streaming.telemetry.logs import BurstLog


def test_a_failure_is_logged_again_only_after_it_has_worked(caplog: pytest.LogCaptureFixture) -> None:
    """Each thing for itself; without a name, all of them work."""
    log = BurstLog(logging.getLogger("t"), logging.ERROR)
    for _ in range(3):
        log.failed("redis", "redis fails (%s)", "timeout", extra={"trace_id": "t-1"})
        log.failed("disk", "disk fails")
    log.works("redis")
    log.failed("redis", "redis fails (%s)", "again")
    log.failed("disk", "disk fails")
    log.works()
    log.failed("disk", "disk fails")
    messages = ["redis fails (timeout)", "disk fails", "redis fails (again)", "disk fails"]
    assert [record.getMessage() for record in caplog.records] == messages
    assert caplog.records[0].levelno == logging.ERROR
    assert vars(caplog.records[0])["trace_id"] == "t-1"
