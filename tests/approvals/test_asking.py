"""An agent that asks and goes; and an answer in place of what is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from trace_streaming import TraceEmitter
from trace_streaming.approvals import answers
from trace_streaming.approvals.decisions import decide, with_timeouts
from trace_streaming.emitting.asking import requests
from trace_streaming.exceptions import (
    ApprovalConflictError,
    ApprovalNotFoundError,
    InvalidDecisionError,
    OtherArgumentsError,
)
from trace_streaming.models import Approval, Trace
from trace_streaming.models import Event as StoredEvent
from trace_streaming.storage import store, trace_rows

pytestmark = pytest.mark.django_db(transaction=True)

ARGUMENTS = {"to": "bob", "password": "hunter2"}


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


def asked(emitter: TraceEmitter, **question: Any) -> Approval:
    approval_id = emitter.ask_approval("send_mail", arguments=ARGUMENTS, **question)
    assert emitter.flush(60)
    return Approval.objects.get(approval_id=approval_id)


def test_who_asks_and_goes_finds_the_decision_later(alice: User) -> None:
    """By the id alone, with another emitter, as another process has one; with what a human was not shown."""
    approval = asked(TraceEmitter("t"))
    later = TraceEmitter("t")
    assert later.find_decision(approval.approval_id, ARGUMENTS) is None
    shown = {**approval.arguments, "to": "carol"}
    decide(approval, "edited", user=alice, channel="api", edited=shown)
    decision = later.find_decision(approval.approval_id, ARGUMENTS)
    assert decision is not None
    assert (decision.decision, decision.decided_by) == ("edited", "alice")
    assert decision.arguments == {"to": "carol", "password": "hunter2"}


async def test_a_loop_finds_it_too() -> None:
    """What was asked a moment ago, and is not stored yet, is undecided, and not unknown."""
    emitter = TraceEmitter("t")
    approval_id = emitter.ask_approval("send_mail")
    assert await emitter.afind_decision(approval_id) is None


def test_who_waits_for_what_is_not_stored_yet_waits(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for before the writer has come to it, and is not unknown for that."""
    is_looked_for, append, look = Event(), store.append, with_timeouts

    def append_behind_a_look(*args: Any) -> Any:
        assert is_looked_for.wait(60)
        return append(*args)

    def look_and_say_so(ids: Any) -> Any:
        rows = look(ids)
        is_looked_for.set()
        return rows

    monkeypatch.setattr(store, "append", append_behind_a_look)
    monkeypatch.setattr(answers, "with_timeouts", look_and_say_so)
    emitter = TraceEmitter("t")
    pending = emitter.pending_approval(emitter.ask_approval("send_mail"))
    assert emitter.flush(60)
    decide(Approval.objects.get(), "approved", user=alice, channel="api")
    assert pending.result().is_approved


def test_who_waits_for_what_is_not_stored_keeps_no_other_waiting(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be stored: a decision of another process is heard, and an id is not called unknown."""
    emitter, is_mended, append = TraceEmitter("t"), Event(), store.append
    pending = emitter.submit_approval("send_mail")
    assert emitter.flush(60)

    def append_once_it_is_mended(*args: Any) -> Any:
        assert is_mended.wait(60)
        return append(*args)

    monkeypatch.setattr(store, "append", append_once_it_is_mended)
    emitter.emit("plan_created")
    unknown = emitter.pending_approval("never-asked")
    Approval.objects.update(decision="rejected")
    with ThreadPoolExecutor(1) as pool:
        try:
            assert pool.submit(pending.result).result(30).decision == "rejected"
        finally:
            is_mended.set()
    with pytest.raises(ApprovalNotFoundError):
        unknown.result()


def test_where_nobody_decides_in_time_it_is_a_no() -> None:
    """Also when nobody has waited."""
    approval = asked(TraceEmitter("t"))
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    decision = TraceEmitter("t").find_decision(approval.approval_id)
    assert decision is not None
    assert (decision.decision, decision.is_approved) == ("timeout", False)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_how_long_there_is_to_decide_does_not_depend_on_an_agents_clock(
    alice: User, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """Whoever asks and whoever decides may be on machines whose clocks differ; the database's counts for all."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(minutes=minutes)

    monkeypatch.setattr(requests, "datetime", Skewed)
    monkeypatch.setattr(trace_rows, "datetime", Skewed)
    approval = asked(TraceEmitter("t"), timeout=60)
    left = approval.expires_at - timezone.now()
    assert timedelta(seconds=30) < left <= timedelta(seconds=60)
    assert TraceEmitter("t").find_decision(approval.approval_id) is None
    assert decide(approval, "approved", user=alice, channel="api").decision == "approved"


async def test_who_stops_an_event_loop_by_waiting_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It may be the server's, and then nobody can decide: the log says what to call there instead."""
    caplog.set_level("WARNING", "trace_streaming.emitting")
    decision = await TraceEmitter("t").arequest_approval("send_mail", timeout=0.1)
    assert (decision.decision, caplog.messages) == ("timeout", [])
    decision = TraceEmitter("t").request_approval("send_mail", timeout=0.1)
    (message,) = caplog.messages
    assert message.startswith(f"Waiting for approval {decision.approval_id} stops the event loop")
    assert "await arequest_approval()" in message


def test_a_decision_is_found_for_its_trace_and_arguments_alone(alice: User) -> None:
    """What was shown is what is carried out: invariant 14."""
    approval = asked(TraceEmitter("t"))
    decide(approval, "approved", user=alice, channel="api")
    with pytest.raises(ApprovalNotFoundError):
        TraceEmitter("other").find_decision(approval.approval_id)
    with pytest.raises(ApprovalNotFoundError):
        TraceEmitter("t").find_decision("unknown")
    with pytest.raises(OtherArgumentsError):
        TraceEmitter("t").find_decision(approval.approval_id, {"to": "mallory"})


def test_an_answer_stands_in_place_of_what_was_asked_for(alice: User) -> None:
    """It has to say something, is no approval, and is allowed where the agent says so."""
    approval = asked(TraceEmitter("t"), allowed=["approved", "responded"])
    with pytest.raises(InvalidDecisionError):
        decide(approval, "responded", user=alice, channel="api", comment=" ")
    decide(approval, "responded", user=alice, channel="api", comment="Call him instead.")
    decision = TraceEmitter("t").wait_for(approval.approval_id)
    assert (decision.decision, decision.comment, decision.is_approved) == ("responded", "Call him instead.", False)
    received = StoredEvent.objects.get(event="approval_received")
    assert (received.status, "Call him instead." in received.details) == ("success", True)
    with pytest.raises(InvalidDecisionError):
        decide(asked(TraceEmitter("u")), "responded", user=alice, channel="api", comment="no")


def test_what_is_asked_says_of_which_call(alice: User) -> None:
    """And what that is inside of."""
    asked(TraceEmitter("t"), call_id="c1", parent_call_id="agent-1")
    details = StoredEvent.objects.get(event="approval_requested").details
    assert '"call_id":"c1"' in details
    assert '"parent_call_id":"agent-1"' in details


def test_several_are_asked_at_once(alice: User) -> None:
    """And waited for one after the other."""
    emitter = TraceEmitter("t")
    pending = [emitter.submit_approval("send_mail", arguments={"to": to}) for to in ("bob", "carol")]
    assert emitter.flush(60)
    for number, said in enumerate(["approved", "rejected"]):
        decide(Approval.objects.get(approval_id=pending[number].approval_id), said, user=alice, channel="api")
    assert [each.result().decision for each in pending] == ["approved", "rejected"]
    assert [each["event"] for each in emitter.events].count("approval_received") == 2


def test_an_id_that_the_caller_knows_before_is_asked_for_once(alice: User) -> None:
    """Whoever asks again under it finds what was decided."""
    decide(asked(TraceEmitter("t"), approval_id="mine"), "approved", user=alice, channel="api")
    assert asked(TraceEmitter("t"), approval_id="mine").decision == "approved"
    assert Approval.objects.count() == 1
    with pytest.raises(ValueError, match="64 characters"):
        TraceEmitter("t").ask_approval("send_mail", approval_id="x" * 65)


def test_a_trace_whose_question_is_open_is_unfinished(alice: User) -> None:
    """Until whoever goes on has the decision: until then a human may decide in the viewer."""
    with TraceEmitter("t") as emitter:
        approval_id = emitter.ask_approval("send_mail")
    assert emitter.flush(60)
    assert Trace.objects.get().state == "incomplete"
    with TraceEmitter("t") as emitter:
        assert emitter.find_decision(approval_id) is None
    assert emitter.flush(60)
    assert Trace.objects.get().state == "incomplete"
    decide(Approval.objects.get(), "approved", user=alice, channel="api")
    with TraceEmitter("t") as emitter:
        assert emitter.find_decision(approval_id) is not None
    assert emitter.flush(60)
    assert Trace.objects.get().state == "success"


def test_what_is_withdrawn_is_not_asked_any_more(alice: User) -> None:
    """Nobody can decide it, and who waits for it is told so: no human has said no."""
    emitter = TraceEmitter("t")
    pending = emitter.submit_approval("send_mail")
    assert emitter.flush(60)
    assert TraceEmitter("t").withdraw_approval(pending.approval_id)
    decision = pending.result()
    assert (decision.decision, decision.is_approved, decision.decided_by) == ("withdrawn", False, "")
    with pytest.raises(ApprovalConflictError):
        decide(Approval.objects.get(), "approved", user=alice, channel="api")
    received = StoredEvent.objects.get(event="approval_received")
    assert (received.status, '"withdrawn"' in received.details) == ("warning", True)


def test_what_is_decided_cannot_be_withdrawn(alice: User) -> None:
    """What was asked a moment ago can; and of a trace's own alone."""
    approval = asked(TraceEmitter("t"))
    decide(approval, "approved", user=alice, channel="api")
    assert not TraceEmitter("t").withdraw_approval(approval.approval_id)
    with pytest.raises(ApprovalNotFoundError):
        TraceEmitter("other").withdraw_approval(approval.approval_id)
    emitter = TraceEmitter("u")
    assert emitter.withdraw_approval(emitter.ask_approval("send_mail"))
    with TraceEmitter("v") as emitter:
        assert emitter.withdraw_approval(emitter.ask_approval("send_mail"))
    assert emitter.flush(60)
    assert Trace.objects.get(trace_id="v").state == "success"
