"""A program elsewhere asks a human over the API, waits, finds, and takes back: as inside of the project."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.remote.ingest_servers import ScriptedServer, page_server
from tests.remote.test_emitter import NameIsToken
from trace_streaming import TraceEmitter
from trace_streaming.approvals.decisions import decide
from trace_streaming.exceptions import ApprovalNotFoundError, OtherArgumentsError
from trace_streaming.models import Approval, Event, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter, approval_calls, approvals, pending_approvals
from trace_streaming.remote.sender import all_senders

ARGUMENTS = {"to": "bob", "password": "hunter2"}


@pytest.fixture
def site(
    transactional_db: None, live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A server where the tokens ``writer`` and ``other`` may add events."""
    monkeypatch.setattr(pending_approvals, "LOOK_SECONDS", 0.02)
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"{NameIsToken.__module__}.NameIsToken"]
    for name in ("writer", "other"):
        User.objects.create_user(name).user_permissions.add(Permission.objects.get(codename="add_event"))
    yield str(live_server.url)
    all_senders.close()
    recorder.close()


def emitter_on(site: str, trace_id: str = "t", token: str = "writer", **options: Any) -> RemoteTraceEmitter:
    return RemoteTraceEmitter(site, token, trace_id, **options)


def decided(decision: str, **said: Any) -> Approval:
    approval = Approval.objects.get()
    return decide(approval, decision, user=User.objects.get(username="other"), channel="api", **said)


def test_who_asks_and_goes_finds_the_decision_later(site: str) -> None:
    """In another process, with what the human was not shown put back; the trace is unfinished until then."""
    with emitter_on(site, name="mail", metadata={"customer": 7}) as emitter:
        emitter.emit("plan_created")
        approval_id = emitter.ask_approval("send_mail", arguments=ARGUMENTS, risk_level="high", call_id="c1")
        approval = Approval.objects.get()
    assert (approval.approval_id, approval.risk_level, approval.arguments["to"]) == (approval_id, "high", "bob")
    assert "hunter2" not in str(approval.arguments)
    assert emitter.flush(60)
    trace = Trace.objects.get()
    assert (trace.state, trace.name, "customer" in trace.metadata) == ("incomplete", "mail", True)
    assert trace.owner == User.objects.get(username="writer")
    assert [event.event for event in Event.objects.order_by("sequence")] == ["plan_created", "approval_requested"]
    assert emitter_on(site).find_decision(approval_id, ARGUMENTS) is None
    decided("edited", edited={**approval.arguments, "to": "carol"}, comment="Her.")
    with emitter_on(site) as later:
        decision = later.find_decision(approval_id, ARGUMENTS)
        assert decision is not None
        assert (decision.decision, decision.decided_by, decision.comment) == ("edited", "other", "Her.")
        assert decision.arguments == {"to": "carol", "password": "hunter2"}
        assert decision.decided_at is not None
    assert later.flush(60)
    assert Trace.objects.get().state == "success"


def waits(emitter: RemoteTraceEmitter, **question: Any) -> Any:
    """Asks in a thread; behind this it is stored."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(emitter.request_approval, "send_mail", arguments=ARGUMENTS, **question)
    pool.shutdown(wait=False)
    while not Approval.objects.exists():
        connections["default"].close()
    return future


@pytest.mark.parametrize("said", [{"decision": "approved"}, {"decision": "rejected", "comment": "No."}])
def test_who_waits_is_told(site: str, said: dict[str, Any]) -> None:
    """And has both events among its own."""
    emitter = emitter_on(site)
    future = waits(emitter)
    decided(**said)
    decision = future.result(timeout=20)
    assert (decision.decision, decision.comment) == (said["decision"], said.get("comment", ""))
    assert decision.arguments == ARGUMENTS
    assert [each["event"] for each in emitter.events] == ["approval_requested", "approval_received"]
    assert "hunter2" not in str(emitter.events)
    assert Event.objects.filter(event="approval_received").count() == 1


async def test_a_loop_waits_too(site: str) -> None:
    """Without being blocked."""
    emitter = emitter_on(site)
    waiting = asyncio.create_task(emitter.arequest_approval("send_mail", arguments=ARGUMENTS))
    while not await Approval.objects.aexists():
        await asyncio.sleep(0)
    await sync_to_async(decided)("approved")
    assert (await asyncio.wait_for(waiting, 60)).is_approved


def test_several_are_asked_at_once(site: str) -> None:
    """Before anybody waits for the first; a refusal is for who waits for it."""
    emitter = emitter_on(site)
    pending = [emitter.submit_approval("send_mail", arguments={"to": to}) for to in ("bob", "carol")]
    refused = emitter.submit_approval("send_mail", approval_id="short")
    while Approval.objects.count() < 2:
        connections["default"].close()
    for approval in Approval.objects.all():
        decide(approval, "approved" if approval.arguments["to"] == "bob" else "rejected", user=None, channel="api")
    assert [each.result().decision for each in pending] == ["approved", "rejected"]
    with pytest.raises(ValueError, match="approval_id"):
        refused.result()


@pytest.fixture
def on_its_way(site: str, monkeypatch: pytest.MonkeyPatch) -> tuple[RemoteTraceEmitter, threading.Event]:
    """What is asked arrives when the event is set."""
    arrives, call = threading.Event(), approval_calls.call

    def call_when_it_may(method: str, *arguments: Any) -> Any:
        assert method != "POST" or arrives.wait(60)
        return call(method, *arguments)

    monkeypatch.setattr(approvals, "call", call_when_it_may)
    return emitter_on(site), arrives


def test_what_is_on_its_way_is_waited_for_by_its_id(on_its_way: tuple[RemoteTraceEmitter, threading.Event]) -> None:
    """The server knows no such approval until then."""
    emitter, arrives = on_its_way
    approval_id = emitter.submit_approval("send_mail", arguments=ARGUMENTS).approval_id
    assert emitter.find_decision(approval_id, ARGUMENTS) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(emitter.wait_for, approval_id, ARGUMENTS)
        arrives.set()
        while not Approval.objects.exists():
            connections["default"].close()
        decided("approved")
        assert waiting.result(60).is_approved


def test_what_is_on_its_way_is_taken_back_once_it_is_there(
    on_its_way: tuple[RemoteTraceEmitter, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would be asked all the same."""
    emitter, arrives = on_its_way
    pending = emitter.submit_approval("send_mail", arguments=ARGUMENTS)
    with monkeypatch.context() as hurried, pytest.raises(ConnectionError, match="may be open"):
        hurried.setattr(approvals, "SEND_SECONDS", 0.0)
        emitter.withdraw_approval(pending.approval_id)
    arrives.set()
    assert emitter.withdraw_approval(pending.approval_id)
    assert pending.result().decision == "withdrawn"


def test_nobody_decides_in_time(site: str) -> None:
    """The server's clock says when that is over."""
    emitter = emitter_on(site)
    future = waits(emitter)
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert future.result(timeout=20).decision == "timeout"
    assert emitter.events[-1]["event"] == "approval_timeout"


def test_what_is_withdrawn_is_not_asked_any_more(site: str) -> None:
    """While it is open."""
    emitter = emitter_on(site)
    approval_id = emitter.ask_approval("send_mail")
    assert emitter.withdraw_approval(approval_id)
    assert not emitter.withdraw_approval(approval_id)
    assert emitter.wait_for(approval_id).decision == "withdrawn"
    with pytest.raises(ApprovalNotFoundError):
        emitter.withdraw_approval("unknown-unknown-unknown")


def test_what_is_asked_again_is_asked_once(site: str) -> None:
    """By its id; of other arguments it is another question."""
    emitter = emitter_on(site)
    for _ in range(2):
        emitter.ask_approval("send_mail", arguments=ARGUMENTS, approval_id="order-7-send-mail")
    assert Approval.objects.count() == Event.objects.count() == 1
    with pytest.raises(OtherArgumentsError):
        emitter.ask_approval("send_mail", arguments={"to": "mallory"}, approval_id="order-7-send-mail")


def test_a_decision_is_for_its_asker_trace_and_arguments_alone(site: str) -> None:
    """Invariant 14; and what a human has written for one program no other is told, whatever it may add."""
    approval_id = emitter_on(site).ask_approval("send_mail", arguments=ARGUMENTS)
    shown = Approval.objects.get().arguments
    decided("edited", edited={**shown, "to": "secret@example.com"})
    with pytest.raises(OtherArgumentsError):
        emitter_on(site).find_decision(approval_id, {"to": "mallory"})
    for emitter in (emitter_on(site, token="other"), emitter_on(site, "another")):
        with pytest.raises(ApprovalNotFoundError):
            emitter.find_decision(approval_id)
        with pytest.raises(ApprovalNotFoundError):
            emitter.withdraw_approval(approval_id)
    with pytest.raises(OtherArgumentsError):
        emitter_on(site, token="other").ask_approval("send_mail", arguments=ARGUMENTS, approval_id=approval_id)
    inside = TraceEmitter("t").ask_approval("ship")
    assert TraceEmitter("t").flush(10)
    with pytest.raises(ApprovalNotFoundError):
        emitter_on(site).find_decision(inside)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"action": ""}, "action"),
        ({"risk_level": "huge"}, "risk"),
        ({"timeout": 0}, "timeout"),
        ({"allowed": ["yes"]}, "decisions"),
        ({"schema": {"type": "nothing"}}, "schema"),
        ({"approval_id": "short"}, "approval_id"),
    ],
)
def test_a_bad_question_is_refused(site: str, question: dict[str, Any], words: str) -> None:
    """Here, or by the server; nothing is stored of it."""
    with pytest.raises(ValueError, match=f"(?i){words}"):
        emitter_on(site).ask_approval(**{"action": "send_mail", **question})
    assert not Approval.objects.exists()
    assert not Trace.objects.exists()


def test_nothing_of_a_question_leaves_the_process_as_it_is() -> None:
    """What this process has hidden the server does not know, and would show in an action, or a schema. Invariant 4."""
    secret = "kiwi-Fog7elm-91"
    with ScriptedServer().serving() as server:
        emitter = emitter_on(server.url)
        emitter.emit("tool_call_start", {"tool": "login", "args": {"password": secret}, "call_id": secret})
        emitter.ask_approval(
            f"log in with {secret}",
            tool_name=f"psql {secret}",
            arguments={"statement": f"ALTER USER ada PASSWORD '{secret}'"},
            schema={"type": "object", "properties": {"statement": {"const": secret}}},
            call_id=secret,
        )
        path, asked = server.requests[-1]
        all_senders.close()
    assert path.endswith("/approvals")
    assert asked["action"] == "log in with [redacted:known value]"
    assert asked["schema"]["properties"] == {"statement": {"const": "[redacted:known value]"}}
    assert secret not in str(server.requests)
    assert secret not in str(emitter.events)


def test_who_may_not_add_events_may_not_ask(site: str) -> None:
    """And whose token is none."""
    User.objects.create_user("reader")
    for token in ("reader", "nobody"):
        with pytest.raises((PermissionError, ApprovalNotFoundError)):
            emitter_on(site, token=token).ask_approval("send_mail")
    assert not Approval.objects.exists()


def test_while_the_server_is_away_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes is told; for who waits it is a no, when the time is over."""
    monkeypatch.setattr(pending_approvals, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(pending_approvals, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(approvals, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(pending_approvals, "LOST_AFTER", timedelta(0))
    emitter = RemoteTraceEmitter("http://127.0.0.1:1", "writer")
    with pytest.raises(ConnectionError):
        emitter.ask_approval("send_mail")
    decision = emitter.request_approval("send_mail", arguments=ARGUMENTS, timeout=0.05)
    assert (decision.decision, decision.arguments) == ("timeout", ARGUMENTS)
    with pytest.raises(ConnectionError):
        emitter.withdraw_approval("unknown")


def test_another_site_is_told_from_one_that_asks() -> None:
    """Most sites have a page for every address, which says nothing of an approval."""
    with page_server() as url:
        emitter = RemoteTraceEmitter(url, "writer")
        for asked in (emitter.ask_approval, emitter.request_approval, emitter.find_decision, emitter.withdraw_approval):
            with pytest.raises(ValueError, match=r"The server refuses it \(200\)"):
                asked("send_mail")
