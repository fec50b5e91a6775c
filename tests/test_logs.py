"""Logs: which trace a line belongs to, and never what an event holds."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter, emit_trace_event
from trace_streaming.approvals.decisions import decide
from trace_streaming.events import TraceStart
from trace_streaming.exceptions import ApprovalConflictError
from trace_streaming.logs import TraceIdFilter
from trace_streaming.models import Approval
from trace_streaming.recording.recorder import recorder

MARKER = "m4rker-0f-a-payload"


def filtered(**extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": "hello", **extra})
    assert TraceIdFilter().filter(record)
    return record


def test_a_line_inside_a_trace_says_which() -> None:
    """Of the innermost; what a record says by itself stays, and outside it says that there is none."""
    with TraceEmitter("outer"), TraceEmitter("inner"):
        assert filtered().__dict__["trace_id"] == "inner"
        assert filtered(trace_id="own").__dict__["trace_id"] == "own"
    assert filtered().__dict__["trace_id"] == "-"
    text = logging.Formatter("%(trace_id)s %(sequence)s %(connection)s %(message)s").format(filtered(sequence=7))
    assert text == "- 7 - hello"


class FailingRedactor:
    """A project's own redactor, with a mistake."""

    def __call__(self, details: object) -> dict[str, object]:
        raise ValueError(details)


fail = FailingRedactor()


@pytest.mark.django_db(transaction=True)
async def test_no_log_line_holds_a_payload(caplog: pytest.LogCaptureFixture, settings: Settings) -> None:
    """A whole run, with all that goes wrong in it, logged down to the last line of every logger of ours."""
    caplog.set_level(logging.DEBUG)
    details = {"args": {"text": MARKER}, "list": [MARKER], MARKER: 1, "odd": object()}
    with pytest.raises(RuntimeError), TraceEmitter("run", metadata={"note": MARKER}) as emitter:
        emitter.emit("tool_call_start", details)
        settings.TRACE_STREAMING_REDACTOR = "tests.test_logs.fail"
        emitter.emit("tool_call_complete", details)
        del settings.TRACE_STREAMING_REDACTOR
        with emitter.tool_call("search", text=MARKER):
            raise RuntimeError(MARKER)
    await emit_trace_event("run", {"event": "plan_created", "details": details, "timestamp": "never"})
    await emit_trace_event("run", {"event": "plan_created", "details": details})
    recorder.record(TraceStart("refused", datetime.now(UTC), 2**70, f'{{"note": "{MARKER}"}}'))  # no such primary key
    settings.TRACE_STREAMING_LIMITS = {"events_per_trace": "1/h"}
    for _ in range(3):
        TraceEmitter("shed").emit("plan_created", details)
    assert await emitter.aflush(60)
    lines = [logging.Formatter().format(r) + str(r.__dict__) for r in caplog.records if r.name.startswith("trace_s")]
    for part in ("refuses it", "redactor fails", "not emitted", "too many"):
        assert any(part in line for line in lines), part
    assert not [line for line in lines if MARKER in line]


@pytest.mark.django_db(transaction=True)
def test_no_log_line_holds_what_a_human_decided(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the arguments nor the comment."""
    caplog.set_level(logging.DEBUG)
    emitter = TraceEmitter("approval")
    emitter.ask_approval("send", risk_level="low", arguments={"text": MARKER})
    assert emitter.flush(60)
    approval = Approval.objects.get()
    decide(approval, "edited", user=None, channel="api", comment=MARKER, edited={"text": MARKER})
    with pytest.raises(ApprovalConflictError):
        decide(Approval.objects.get(), "approved", user=None, channel="api")
    assert emitter.flush(60)
    assert not [r for r in caplog.records if MARKER in logging.Formatter().format(r) + str(r.__dict__)]
