"""Approvals: one winner, one event, and an agent that goes on with what was decided."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from pytest_django import Settings

from trace_streaming import TraceEmitter, approval_decided, events_recorded
from trace_streaming.approvals import answers, decisions
from trace_streaming.approvals import waiting as approval_waiting
from trace_streaming.emitting.asking.requests import AskedBefore, arguments_hash, ask
from trace_streaming.emitting.decision import Decision, with_originals
from trace_streaming.events import TraceEvent
from trace_streaming.events.freezing import JSON, freeze_details
from trace_streaming.exceptions import (
    ApprovalConflictError,
    ApprovalNotFoundError,
    InvalidDecisionError,
    OtherArgumentsError,
)
from trace_streaming.models import Approval, Event, Trace, stored_now
from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.storage import store
from trace_streaming.storage.retention import prune
from trace_streaming.wire.batches import Batch
from trace_streaming.wire.protocol import SUBPROTOCOL

pytestmark = pytest.mark.django_db(transaction=True)

ARGUMENTS = {"to": "bob", "body": {"text": "Hello", "password": "hunter2"}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval_waiting, "LOOK_SECONDS", 0.02)


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", password="alice")


def asking(emitter: TraceEmitter, **question: Any) -> tuple[Future[Decision], Approval]:
    """An agent that waits in a thread, and the row that it waits for."""
    answer = Future[Decision]()
    stored = threading.Event()

    def ask() -> None:
        try:
            answer.set_result(emitter.request_approval(**{"action": "send_email", "tool_name": "mail", **question}))
        except Exception as error:
            answer.set_exception(error)
        connections.close_all()

    def on_recorded(batches: list[Batch], **kwargs: Any) -> None:
        if any(event.event == "approval_requested" for batch in batches for event in batch.events):
            stored.set()

    events_recorded.connect(on_recorded)
    threading.Thread(target=ask, daemon=True).start()
    assert stored.wait(60)
    return answer, Approval.objects.get(trace_id=emitter.trace_id)


def recorded(emitter: TraceEmitter) -> list[str]:
    assert emitter.flush(60)
    return list(
        Event.objects.filter(trace__trace_id=emitter.trace_id).order_by("sequence").values_list("event", flat=True)
    )


def test_an_agent_goes_on_with_what_was_approved(alice: User) -> None:
    """The arguments are its own; humans saw them redacted; row, events and the emitter's own memory agree."""
    emitter = TraceEmitter("t")
    emitter.emit("plan_created")
    answer, approval = asking(emitter, arguments=ARGUMENTS, risk_level="high")
    assert approval.arguments == {"to": "bob", "body": {"text": "Hello", "password": "[redacted:key]"}}
    decisions.decide(approval, "approved", user=alice, channel="api", comment="fine")
    decision = answer.result(60)
    assert (decision.decision, decision.is_approved, decision.arguments) == ("approved", True, ARGUMENTS)
    assert (decision.comment, decision.decided_by) == ("fine", "alice")
    emitter.emit("tool_call_start", {"tool": "mail"})
    assert recorded(emitter) == ["plan_created", "approval_requested", "approval_received", "tool_call_start"]
    assert [event["event"] for event in emitter.get_trace()] == recorded(emitter)
    requested, received = emitter.get_trace()[1:3]
    assert requested["details"]["approval_id"] == received["details"]["approval_id"] == approval.approval_id
    assert requested["details"]["arguments_hash"] == approval.arguments_hash
    assert "hunter2" not in str(emitter.get_trace())
    assert emitter.get_golden_signals()["approval_wait_time"]["mean"] is not None


def test_edited_arguments_replace_all_but_what_the_human_was_not_shown(alice: User) -> None:
    """The redacted password is put back; what he left out is gone, what he added is there."""
    emitter = TraceEmitter("t")
    answer, approval = asking(emitter, arguments=ARGUMENTS)
    edited = {"body": {"text": "Good day", "password": "[redacted:key]"}, "cc": ["eve"]}
    decisions.decide(approval, "edited", user=alice, channel="socket", edited=edited)
    decision = answer.result(60)
    assert decision.is_approved
    assert decision.arguments == {"body": {"text": "Good day", "password": "hunter2"}, "cc": ["eve"]}


@pytest.mark.parametrize(
    ("edited", "shown", "original", "whole"),
    [
        ([1, "[x]"], [1, "[x]"], [1, "s"], [1, "s"]),
        ([2, "[x]"], [1, "[x]"], [1, "s"], [2, "s"]),
        (["[x]"], [1, "[x]"], [1, "s"], ["[x]"]),
        ({"a": "[x]", "b": 1}, {"a": "[x]"}, {"a": "s"}, {"a": "s", "b": 1}),
        ({"b": "[x]"}, {"a": "[x]"}, {"a": "s"}, {"b": "[x]"}),
        ("new", {"a": 1}, {"a": 2}, "new"),
    ],
)
def test_what_was_not_shown_is_put_back_where_it_was(edited: Any, shown: Any, original: Any, whole: Any) -> None:
    """And nowhere else."""
    assert with_originals(edited, shown, original) == whole


def test_nobody_decides_in_time(alice: User) -> None:
    """A timeout is a no, and never a human's rejection; a late click loses."""
    emitter = TraceEmitter("t")
    answer, approval = asking(emitter, timeout=0.05)
    decision = answer.result(60)
    assert (decision.decision, decision.is_approved, decision.decided_by) == ("timeout", False, "")
    with pytest.raises(ApprovalConflictError) as caught:
        decisions.decide(approval, "approved", user=alice, channel="api")
    assert caught.value.decision == "timeout"
    assert recorded(emitter) == ["approval_requested", "approval_timeout"]
    approval.refresh_from_db()
    assert (approval.decision, approval.decided_by) == ("timeout", None)


def test_a_late_click_loses_even_where_nobody_has_noticed_the_time(alice: User) -> None:
    """The process that asked has died, and no other has looked."""
    approval = stored_approval(seconds=-1)
    with pytest.raises(ApprovalConflictError):
        decisions.decide(approval, "approved", user=alice, channel="api")
    assert list(Event.objects.values_list("event", flat=True)) == ["approval_timeout"]


def test_the_same_answer_twice_is_fine_and_another_is_not(alice: User) -> None:
    """And only one event is recorded."""
    approval = stored_approval()
    for _ in range(2):
        assert decisions.decide(approval, "approved", user=alice, channel="api").decision == "approved"
    for decision, edited in (("rejected", None), ("edited", {"a": 1})):
        with pytest.raises(ApprovalConflictError):
            decisions.decide(approval, decision, user=alice, channel="api", edited=edited)
    assert list(Event.objects.values_list("event", "status")) == [("approval_received", "success")]


@pytest.mark.parametrize("race", range(10))
def test_of_many_who_decide_at_once_one_wins(race: int, alice: User) -> None:
    """Whatever they decide: one outcome, one event, and both say the same."""
    approval = stored_approval()
    barrier = threading.Barrier(6)

    def decide(number: int) -> str:
        barrier.wait(60)
        try:
            row = Approval.objects.get(pk=approval.pk)
            if number == 0:
                return decisions.decide(row, "edited", user=alice, channel="api", edited={"n": race}).decision
            return decisions.decide(row, ["approved", "rejected"][number % 2], user=alice, channel="api").decision
        except ApprovalConflictError as conflict:
            return f"not {conflict.decision}"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(decide, range(6)))
    approval.refresh_from_db()
    event = Event.objects.get()
    assert f'"decision":"{approval.decision}"' in event.details
    assert set(outcomes) == {approval.decision, f"not {approval.decision}"}


FIELDS: dict[str, Any] = {
    "approval_id": "a-1",
    "trace_id": "t",
    "action": "send_email",
    "risk_level": "low",
    "allowed": ["approved", "rejected", "edited"],
}


def stored_approval(seconds: float = 60, **fields: Any) -> Approval:
    now = timezone.now()
    times = {"requested_at": now, "expires_at": now + timedelta(seconds=seconds)}
    return Approval.objects.create(**{**FIELDS, **times, **fields})


def test_a_decision_must_be_allowed_and_fit(alice: User) -> None:
    """Told what is wrong; nothing is decided."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    approval = stored_approval(schema=schema)
    approval.allowed = ["approved", "edited"]
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("rejected", {}, "approved, edited"),
        ("dance", {}, "dance"),
        ("approved", {"edited": {"n": 1}}, "no other"),
        ("edited", {}, "all of them"),
        ("edited", {"edited": {"n": "1"}}, "integer"),
        ("edited", {"edited": {}}, "required"),
        ("approved", {"comment": "x" * 2001}, "2000"),
    ]
    for decision, more, words in wrong:
        with pytest.raises(InvalidDecisionError, match=words):
            decisions.decide(approval, decision, user=alice, channel="api", **more)
    assert not Event.objects.exists()
    assert decisions.decide(approval, "edited", user=alice, channel="api", edited={"n": 1}).edited_arguments == {"n": 1}


def test_another_process_picks_up_where_one_has_died(alice: User) -> None:
    """The approval is in the database; what it was asked with is given again."""
    asked = {"token": "secret", "n": 1}
    shown = {"token": "[redacted:key]", "n": 1}
    approval = stored_approval(arguments=shown, arguments_hash=arguments_hash(asked))
    decisions.decide(approval, "edited", user=alice, channel="api", edited={"token": "[redacted:key]", "n": 2})
    emitter = TraceEmitter("t")
    assert emitter.wait_for("a-1", {"token": "secret", "n": 1}).arguments == {"token": "secret", "n": 2}
    assert emitter.wait_for("a-1").arguments == {"token": "[redacted:key]", "n": 2}
    with pytest.raises(ApprovalNotFoundError):
        emitter.wait_for("no-such")


async def test_a_loop_is_not_blocked(alice: User) -> None:
    """Others run while one waits; who is cancelled leaves nothing behind."""
    emitter = TraceEmitter("t")
    waiting = asyncio.create_task(emitter.arequest_approval("send_email", timeout=60))
    while not await Approval.objects.aexists():
        await asyncio.sleep(0.01)
    approval = await Approval.objects.aget()
    await asyncio.to_thread(closing(decisions.decide), approval, "rejected", user=alice, channel="api")
    decision = await asyncio.wait_for(waiting, 60)
    assert (decision.decision, decision.is_approved) == ("rejected", False)
    cancelled = asyncio.create_task(emitter.arequest_approval("send_email", timeout=60))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    async with asyncio.timeout(60):
        while approval_waiting.desk._thread is not None:
            await asyncio.sleep(0.01)


def closing(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connection.close()

    return call


def test_overdue_approvals_of_the_dead_are_expired() -> None:
    """By any serving process, once."""
    stored_approval(seconds=-1)
    stored_approval(approval_id="a-2")
    assert (decisions.expire_overdue(), decisions.expire_overdue()) == (1, 0)
    assert dict(Approval.objects.values_list("approval_id", "decision")) == {"a-1": "timeout", "a-2": ""}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"action": ""}, "action"),
        ({"action": "x" * 201}, "action"),
        ({"risk_level": "huge"}, "risk"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"allowed": []}, "decisions"),
        ({"allowed": "approved"}, "decisions"),
        ({"allowed": ["timeout"]}, "decisions"),
    ],
)
def test_a_bad_question_is_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    """Before anything is stored."""
    with pytest.raises(ValueError, match=f"(?i){words}"):
        TraceEmitter("t").request_approval(**{"action": "send_email", **arguments})
    assert not Approval.objects.exists()


# Over HTTP


def post(client: Client, trace_id: str = "t", approval_id: str = "a-1", **said: Any) -> tuple[int, Any]:
    response = client.post(f"/api/traces/{trace_id}/approvals/{approval_id}", said, content_type="application/json")
    return response.status_code, response.json()


def may(user: User, *codenames: str) -> User:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def _closed(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["trace_streaming.permissions.MayDecideApprovals"]


@pytest.mark.usefixtures("_closed")
def test_deciding_needs_the_permission_and_the_trace(client: Client, alice: User) -> None:
    """Not to be seen: 404, as if it did not exist. To be seen, not to be decided: 403."""
    stored_approval()
    client.force_login(alice)
    assert post(client, decision="approved")[0] == 404
    may(alice, "view_trace")
    assert post(client, decision="approved")[0] == 403
    alice.user_permissions.clear()
    may(alice, "decide_approval")
    assert post(client, decision="approved")[0] == 404
    may(alice, "view_trace")
    assert post(client, approval_id="no-such", decision="approved")[0] == 404
    assert post(client, trace_id="other", decision="approved")[0] == 404
    assert post(client)[0] == 400
    assert post(client, decision="edited", edited=[1])[0] == 400
    assert post(client, decision="dance") == (
        400,
        {"detail": "Not a decision here: 'dance'. Must be one of approved, rejected, edited"},
    )
    status, body = post(client, decision="approved", comment="ok")
    assert (status, body["decision"], body["decided_by_name"], body["channel"]) == (200, "approved", "alice", "api")
    assert post(client, decision="approved")[0] == 200
    assert post(client, decision="rejected") == (
        409,
        {"detail": "This approval is decided already: approved", "decision": "approved"},
    )
    listed = client.get("/api/traces/t/approvals").json()
    assert [row["approval_id"] for row in listed] == ["a-1"]


@pytest.mark.usefixtures("_closed")
def test_four_eyes(client: Client, alice: User, settings: Settings) -> None:
    """Where the project says so, nobody decides for his own agent."""
    stored_approval()
    Trace.objects.create(trace_id="t", owner=alice, started_at=timezone.now(), last_event_at=timezone.now())
    client.force_login(may(alice, "decide_approval"))
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["trace_streaming.permissions.MayDecideOthersApprovals"]
    assert post(client, decision="approved")[0] == 403
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["trace_streaming.permissions.MayDecideApprovals"]
    assert post(client, decision="approved")[0] == 200


def test_sessions_need_their_csrf_token(alice: User) -> None:
    """A page of another origin cannot decide."""
    stored_approval()
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert post(client, decision="approved")[0] == 403


# In the admin


@pytest.mark.usefixtures("_closed")
def test_the_admin_decides_what_is_open(client: Client, alice: User) -> None:
    """For those who may; what is wrong is said on the page, and afterwards nobody can change it."""
    approval = stored_approval(arguments={"to": "<b>bob</b>"}, arguments_hash="shown")
    alice.is_staff = True
    alice.save()
    client.force_login(may(alice, "view_approval", "view_trace"))
    page = f"/admin/trace_streaming/approval/{approval.pk}/change/"
    assert client.get("/admin/trace_streaming/approval/").status_code == 200
    shown = client.get(page).content.decode()
    assert "&lt;b&gt;bob&lt;/b&gt;" in shown
    assert 'name="decision"' not in shown
    assert client.post(page, {"decision": "approved"}).status_code == 403
    client.force_login(may(alice, "decide_approval"))
    assert 'name="decision"' in client.get(page).content.decode()
    wrong = client.post(page, {"decision": "dance", "edited": "{}"})
    assert "dance is not one of the available choices" in wrong.content.decode()
    said = {"decision": "edited", "edited": '{"to": "eve"}', "comment": "better"}
    other = client.post(page, {**said, "arguments_hash": "other"})
    assert "Other arguments are asked for" in other.content.decode()
    done = client.post(page, {**said, "arguments_hash": "shown"})
    assert done.status_code == 302, done.content.decode()
    approval.refresh_from_db()
    assert (approval.decision, approval.edited_arguments, approval.channel, approval.decided_by, approval.comment) == (
        *("edited", {"to": "eve"}, "admin", alice, "better"),
    )
    assert client.post(page, {"decision": "approved"}).status_code == 403
    assert "better" in client.get(page).content.decode()


def test_the_admin_shows_nothing_in_another_order_than_it_is_in(admin_client: Client) -> None:
    """Invariant 14. A file that looks like annexexe.pdf is one to run."""
    approval = stored_approval(
        action="open \u202efdp.exe", tool_name="\u2066a", arguments={"path": "annex\u202efdp.exe"}
    )
    shown = admin_client.get(f"/admin/trace_streaming/approval/{approval.pk}/change/").content.decode()
    for text in ("open \\u202efdp.exe", "\\u2066a", "annex\\u202efdp.exe"):
        assert text in shown
    assert "open \\u202efdp.exe" in admin_client.get("/admin/trace_streaming/approval/").content.decode()
    assert "\u202e" not in shown  # neither in the title, nor in the field of the arguments
    assert "\u202e" not in admin_client.get(f"/admin/trace_streaming/approval/{approval.pk}/history/").content.decode()


@pytest.mark.parametrize(
    "edited",
    [
        '{"to": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "1" * 5_000,
        '{"a": NaN}',
        '{"a": 1e999}',
    ],
    ids=["half a character", "open", "deep", "long", "NaN", "too large"],
)
def test_the_admin_says_what_is_no_json(admin_client: Client, edited: str) -> None:
    """What nobody could be told is refused, and comes back as it was written."""
    approval = stored_approval(arguments_hash="shown")
    page = f"/admin/trace_streaming/approval/{approval.pk}/change/"
    refused = admin_client.post(page, {"decision": "edited", "edited": edited, "arguments_hash": "shown"})
    assert "Enter a valid JSON." in refused.content.decode()
    assert escape(edited) in refused.content.decode()
    approval.refresh_from_db()
    assert approval.decision == ""


def test_the_admin_takes_arguments_with_signs_that_reorder(admin_client: Client) -> None:
    """They are escaped in the field alone: what comes back is the same."""
    arguments = {"path": "annex\u202efdp.exe"}
    approval = stored_approval(arguments=arguments, arguments_hash="shown")
    page = f"/admin/trace_streaming/approval/{approval.pk}/change/"
    shown = admin_client.get(page)
    field = shown.context["adminform"].form["edited"].value()
    said = {"decision": "edited", "edited": field, "arguments_hash": "shown"}
    assert admin_client.post(page, said).status_code == 302
    approval.refresh_from_db()
    assert approval.edited_arguments == arguments


# Over the socket


async def told(socket: WebsocketCommunicator) -> Any:
    """The next frame that answers a command."""
    while True:
        frame = orjson.loads(await socket.receive_from(timeout=60))
        if frame["type"] in ("result", "error"):
            return frame


async def test_a_socket_decides_and_sees_it(alice: User, settings: Settings) -> None:
    """Of its own trace alone; what is wrong is told with the command's id, and the socket stays open."""
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    await Approval.objects.acreate(
        **{**FIELDS, "expires_at": timezone.now() + timedelta(minutes=1), "requested_at": timezone.now()}
    )
    socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/ws/traces/t", [], [SUBPROTOCOL])
    await socket.connect(timeout=60)
    decide = {"type": "decide", "id": 7, "approval_id": "a-1", "decision": "approved", "comment": "fine"}
    for change, code in (
        ({"approval_id": "no-such"}, 4404),
        ({"approval_id": None}, 4404),
        ({"decision": "dance"}, 4400),
        ({"decision": None}, 4400),
        ({"edited": []}, 4400),
        ({"comment": "a\0b"}, 4400),
    ):
        await socket.send_json_to({**decide, **change})
        answer = await told(socket)
        assert (answer["type"], answer["id"], answer["code"]) == ("error", 7, code), change
    await socket.send_json_to(decide)
    frames: list[Any] = []
    while {frame["type"] for frame in frames} < {"events", "result"}:
        frames.append(orjson.loads(await socket.receive_from(timeout=60)))
    assert {"type": "result", "id": 7} in frames
    (event,) = next(frame["events"] for frame in frames if frame["type"] == "events")
    assert (event["event"], event["details"]["decision"], event["details"]["channel"]) == (
        *("approval_received", "approved", "socket"),
    )
    await socket.send_json_to({**decide, "decision": "rejected"})
    assert (await told(socket))["code"] == 4409
    await socket.disconnect(timeout=60)


async def test_who_may_not_decide_is_told(alice: User, settings: Settings) -> None:
    """Watching is not deciding; the plain profile knows no commands at all."""
    del settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES
    await Approval.objects.acreate(
        **{**FIELDS, "expires_at": timezone.now() + timedelta(minutes=1), "requested_at": timezone.now()}
    )
    decide = {"type": "decide", "id": 7, "approval_id": "a-1", "decision": "approved"}
    for profile in ([SUBPROTOCOL], None):
        socket = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/ws/traces/t", [], profile)
        await socket.connect(timeout=60)
        await socket.send_json_to(decide)
        if profile:
            assert (await told(socket))["code"] == 4403
        else:
            await socket.send_to(text_data="ping")
            assert [await socket.receive_from(timeout=60) for _ in range(2)][1] == "pong"
        await socket.disconnect(timeout=60)
    assert (await Approval.objects.aget()).decision == ""


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_decision_is_announced_behind_its_commit(alice: User, is_committed: bool) -> None:
    """Invariant 11. Decided in a transaction that then fails, as a form of the admin may be: nobody hears of it."""
    emitter = TraceEmitter("t")
    answer, approval = asking(emitter)
    heard: list[str] = []

    def hear(batches: list[Batch], **kwargs: Any) -> None:
        heard.extend(event.event for batch in batches for event in batch.events)

    events_recorded.connect(hear)
    try:
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            decisions.decide(approval, "approved", user=alice, channel="admin")
            assert (heard, answer.done()) == ([], False)
            1 / int(is_committed)
        assert heard == (["approval_received"] if is_committed else [])
        approval.refresh_from_db()
        assert approval.decision == ("approved" if is_committed else "")
        if not is_committed:
            decisions.decide(approval, "rejected", user=alice, channel="admin")
    finally:
        events_recorded.disconnect(hear)
    assert answer.result(60).decision == ("approved" if is_committed else "rejected")
    assert recorded(emitter) == ["approval_requested", "approval_received"]


@pytest.mark.parametrize("how", ["approved", "timeout", "withdrawn"])
def test_what_was_decided_is_signalled_once(how: str, alice: User) -> None:
    """Behind the outermost commit; a receiver that raises changes nothing, and nothing is repeated."""
    emitter = TraceEmitter("t")
    approval_id = emitter.ask_approval("send_email", timeout=0.001 if how == "timeout" else 300)
    assert emitter.flush(60)
    approval = Approval.objects.get()
    heard = []

    def fail(approval: Approval, **kwargs: Any) -> None:
        heard.append((approval.approval_id, approval.decision, connection.in_atomic_block))
        raise ValueError

    approval_decided.connect(fail)
    with transaction.atomic():
        if how == "approved":
            decisions.decide(approval, how, user=alice, channel="api")
            decisions.decide(approval, how, user=alice, channel="api")
        elif how == "withdrawn":
            assert decisions.withdraw(approval)
            assert not decisions.withdraw(approval)
        else:
            assert (decisions.expire_overdue(), decisions.expire_overdue()) == (1, 0)
        assert heard == []
    approval_decided.disconnect(fail)
    assert heard == [(approval_id, how, False)]


def test_approvals_go_with_their_trace(alice: User) -> None:
    """Whoever begins the id again reads none of what was asked and answered before."""
    for delete in (lambda trace: trace.delete(), lambda trace: Trace.objects.all().delete(), pruned):
        store.append([TraceEvent("plan_created", "t", datetime.now(UTC), "{}", "success")])
        decisions.decide(stored_approval(), "approved", user=alice, channel="api", comment="fine")
        delete(Trace.objects.get())
        assert not Approval.objects.exists()


def pruned(trace: Trace) -> None:
    list(prune(trace, stored_now() + timedelta(seconds=1)))


def test_who_decided_is_forgotten_with_his_account(alice: User) -> None:
    """His name goes from the approval and from its event; what was decided stays."""
    store.append([TraceEvent("plan_created", "t", datetime.now(UTC), "{}", "success")])
    decisions.decide(stored_approval(), "approved", user=alice, channel="api")
    alice.delete()
    approval = Approval.objects.get()
    assert (approval.decision, approval.decided_by, approval.decided_by_name) == ("approved", None, "[deleted user]")
    details = json.loads(Event.objects.get(event="approval_received").details)
    assert (details["decision"], details["decided_by"]) == ("approved", "[deleted user]")


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_project_without_time_zones_can_ask(alice: User, settings: Settings, use_tz: bool) -> None:
    """``USE_TZ = False``: the request is stored, decided in time, and its times are UTC."""
    settings.USE_TZ = use_tz
    emitter = TraceEmitter("t")
    answer, approval = asking(emitter)
    decisions.decide(approval, "approved", user=alice, channel="api")
    decision = answer.result(60)
    assert decision.is_approved
    assert decision.decided_at is not None
    assert abs(decision.decided_at - datetime.now(UTC)) < timedelta(minutes=1)


SECRET = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"


def test_rows_of_approvals_hold_no_secret(alice: User) -> None:
    """Invariant 4. Neither what is asked nor what is answered; and the agent still gets what a human wrote for it."""
    emitter = TraceEmitter("t")
    schema = {"type": "object", "properties": {"text": {"type": "string", "default": SECRET}}}
    answer, approval = asking(emitter, action=f"post {SECRET}", tool_name=SECRET, arguments=ARGUMENTS, schema=schema)
    edited = {"to": "carol@example.com", "body": {"text": f"Use {SECRET}", "password": "[redacted:key]"}}
    decisions.decide(approval, "edited", user=alice, channel="api", edited=edited, comment=f"not {SECRET}")
    assert answer.result(60).arguments == {
        "to": "carol@example.com",
        "body": {"text": f"Use {SECRET}", "password": "hunter2"},
    }
    row = Approval.objects.values().get()
    assert not [name for name, value in row.items() if SECRET in str(value) or "carol@" in str(value)]
    assert Approval.objects.get().edited_arguments == {
        "to": "[redacted:email]",
        "body": {"text": "Use [redacted:stripe key]", "password": "[redacted:key]"},
    }
    assert SECRET not in "".join(Event.objects.values_list("text", flat=True))


def test_a_decision_is_bound_to_what_was_shown(alice: User) -> None:
    """Invariant 14. With the hash of other arguments nothing is decided, at any door."""
    approval = stored_approval(arguments_hash="asked")
    with pytest.raises(ApprovalConflictError, match="look again"):
        decisions.decide(approval, "approved", user=alice, channel="api", shown_hash="shown")
    approval.refresh_from_db()
    assert approval.decision == ""
    assert decisions.decide(approval, "approved", user=alice, channel="api", shown_hash="asked").decision == "approved"


def test_waiting_for_another_traces_approval_is_refused(alice: User) -> None:
    """Invariant 14. What was decided is for that trace, and for those arguments."""
    approval = stored_approval(arguments_hash=arguments_hash({"n": 1}))
    decisions.decide(approval, "approved", user=alice, channel="api")
    with pytest.raises(ApprovalNotFoundError):
        TraceEmitter("another").wait_for("a-1")
    with pytest.raises(OtherArgumentsError):
        TraceEmitter("t").wait_for("a-1", {"n": True})
    assert TraceEmitter("t").wait_for("a-1", {"n": 1}).is_approved


HIDDEN = "[redacted:email]"


@pytest.mark.parametrize(
    ("shown", "edited"),
    [
        ({"to": [HIDDEN, HIDDEN, HIDDEN]}, {"to": [HIDDEN, HIDDEN]}),
        ({"to": [HIDDEN]}, {"to": [HIDDEN, "eve"]}),
        ({"to": HIDDEN, "cc": "x"}, {"to": "x", "cc": HIDDEN}),
        ({"to": HIDDEN}, {"to": f"to {HIDDEN}"}),
        ({"a": {"to": HIDDEN}}, {"b": {"to": HIDDEN}}),
        ({"to": "bob"}, {"to": "[redacted:key]"}),
    ],
)
def test_a_hidden_value_that_was_moved_is_refused(alice: User, shown: Any, edited: Any) -> None:
    """Nobody knows what to put back; the agent would go on with the marker itself."""
    approval = stored_approval(arguments=shown)
    with pytest.raises(InvalidDecisionError, match="stays where it was"):
        decisions.decide(approval, "edited", user=alice, channel="api", edited=edited)


def test_what_is_shown_in_part_is_not_changed(alice: User) -> None:
    """The agent would go on with the marker in place of the rest; what stands beside it may be changed."""
    for value in ("word " * 60_000, list(range(25_000))):
        arguments = {"to": "bob", "value": value}
        shown: dict[str, Any] = freeze_details(arguments)
        approval = stored_approval(arguments=shown, arguments_hash=arguments_hash(arguments))
        with pytest.raises(InvalidDecisionError, match=r"stays where it was.*more (characters|values)"):
            changed = {**shown, "value": shown["value"][1:]}
            decisions.decide(approval, "edited", user=alice, channel="api", edited=changed)
        decisions.decide(approval, "edited", user=alice, channel="api", edited={**shown, "to": "eve"})
        assert TraceEmitter("t").wait_for("a-1", arguments).arguments == {**arguments, "to": "eve"}
        approval.delete()


def test_a_list_of_hidden_values_may_go_as_a_whole(alice: User) -> None:
    """Or be kept, beside other changes."""
    for edited in ({"to": ["eve"]}, {"to": [HIDDEN, HIDDEN], "n": 2}, {"to": [HIDDEN, "eve"]}, {}):
        approval = stored_approval(arguments={"to": [HIDDEN, HIDDEN], "n": 1})
        assert decisions.decide(approval, "edited", user=alice, channel="api", edited=edited).decision == "edited"
        approval.delete()


@pytest.mark.parametrize(("asked", "edited"), [(1, True), (True, 1), (1, 1.0), (0, False), ([1], [True]), ("1", 1)])
def test_no_edit_is_dropped(asked: JSON, edited: JSON) -> None:
    """1, 1.0 and true are equal in Python, and three values for a tool."""
    decided = with_originals({"n": edited}, {"n": asked}, {"n": asked})
    assert repr(decided) == repr({"n": edited})


@pytest.mark.parametrize("said", [{"comment": "\ud83d"}, {"edited": {"a": "\ud83d"}}, {"edited": {"n": 1 << 64}}])
def test_half_a_character_is_refused(alice: User, said: dict[str, Any]) -> None:
    """As every other text that no database takes."""
    decision = "edited" if "edited" in said else "approved"
    with pytest.raises(InvalidDecisionError, match="half of a character"):
        decisions.decide(stored_approval(), decision, user=alice, channel="api", **said)


@pytest.mark.parametrize("levels", [240, 300, 900])
def test_an_edit_that_is_nested_too_deeply_is_refused(levels: int) -> None:
    """At the API, where a parser lets more in than what checks it."""
    deep = "[" * levels + "]" * levels
    approval = stored_approval()
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    said = f'{{"decision": "edited", "edited": {{"a": {deep}}}}}'
    url = f"/api/traces/{approval.trace_id}/approvals/{approval.approval_id}"
    answer = client.post(url, said, content_type="application/json")
    assert answer.status_code == (200 if levels < 250 else 400), answer.content
    assert levels < 250 or "levels" in answer.json()["detail"]


def test_a_real_nul_is_refused_and_a_text_about_its_escape_is_not(alice: User) -> None:
    """PostgreSQL takes the one, and not the other."""
    approval = stored_approval(arguments={"pattern": "a"})
    for said in ({"pattern": "a\x00"}, {"a\x00": 1}, {"list": [{"a": "\x00"}]}):
        with pytest.raises(InvalidDecisionError, match="no NUL"):
            decisions.decide(approval, "edited", user=alice, channel="api", edited=said)
    decided = decisions.decide(approval, "edited", user=alice, channel="api", edited={"pattern": r"\u0000"})
    assert decided.edited_arguments == {"pattern": r"\u0000"}


def test_a_key_may_be_rotated_while_an_agent_waits(alice: User, settings: Settings) -> None:
    """The hash was made with the key before, and so was the seal."""
    approval = stored_approval(arguments={"n": 1}, arguments_hash=arguments_hash({"n": 1}))
    decisions.decide(approval, "edited", user=alice, channel="api", edited={"n": 2})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert TraceEmitter("t").wait_for("a-1", {"n": 1}).arguments == {"n": 2}


def test_an_edit_that_cannot_be_read_keeps_nobody_else_waiting(alice: User, settings: Settings) -> None:
    """SECRET_KEY was changed, and the one before is not among the fallbacks."""
    unreadable = stored_approval(approval_id="unreadable", arguments={"n": 1})
    decisions.decide(unreadable, "edited", user=alice, channel="api", edited={"n": 2})
    decisions.decide(stored_approval(approval_id="other"), "approved", user=alice, channel="api")
    settings.SECRET_KEY = "another"
    lost, other = (ask(AskedBefore("t", approval_id, None)) for approval_id in ("unreadable", "other"))
    assert other.result(60).is_approved
    with pytest.raises(ValueError, match="another SECRET_KEY"):
        lost.result(60)
    with pytest.raises(ApprovalConflictError):
        decisions.decide(unreadable, "edited", user=alice, channel="api", edited={"n": 2})


def test_who_asks_while_others_are_looked_for_is_looked_for_next(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told that there is no such approval, which the database had not been asked for."""
    for approval_id in ("first", "second"):
        decisions.decide(stored_approval(approval_id=approval_id), "approved", user=alice, channel="api")
    second: list[Future[Decision]] = []

    def read(approval_ids: set[str]) -> list[Approval]:
        rows = decisions.with_timeouts(approval_ids)
        if not second:
            second.append(ask(AskedBefore("t", "second", None)))
        return rows

    monkeypatch.setattr(answers, "with_timeouts", read)
    assert ask(AskedBefore("t", "first", None)).result(60).is_approved
    assert second[0].result(60).is_approved


def test_an_edit_of_an_earlier_version_is_not_lost() -> None:
    """It was kept in clear, and its agent may still come for it."""
    stored_approval(arguments={"n": 1}, decision="edited", edited_arguments={"n": 2}, decided_at=timezone.now())
    assert TraceEmitter("t").wait_for("a-1").arguments == {"n": 2}


def test_what_is_put_back_is_what_the_agent_has(alice: User) -> None:
    """Whole, however long, and of its own type: what humans see of it is shortened."""
    emitter, text = TraceEmitter("t"), "x" * 600_000
    answer, approval = asking(emitter, arguments={"text": text, "pair": (1, "a@b.example"), "n": 1})
    edited = {**approval.arguments, "n": 2}
    decisions.decide(approval, "edited", user=alice, channel="api", edited=edited)
    assert answer.result(60).arguments == {"text": text, "pair": (1, "a@b.example"), "n": 2}


def raises(details: dict[str, JSON]) -> dict[str, JSON]:
    raise ValueError(details)


def keeps_nothing(details: dict[str, JSON]) -> dict[str, JSON]:
    return {}


def numbers(details: dict[str, JSON]) -> dict[str, JSON]:
    return dict.fromkeys(details, 5)


@pytest.mark.parametrize("redactor", [raises, keeps_nothing, numbers])
def test_where_the_redactor_fails_a_human_is_asked_and_decides(
    settings: Settings, alice: User, redactor: Callable[..., object]
) -> None:
    """What it loses is not shown to anybody; the agent has its own arguments, and what the human wrote for it."""
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.{redactor.__name__}"
    emitter = TraceEmitter("t", name="called so", tags=["hidden-word"])
    answer, approval = asking(emitter, arguments={"note": "hidden-word"}, action="hidden-word")
    assert approval.action == approval.tool_name == "[redacted:redactor failed]"
    edited = {"note": "another-word"}
    decisions.decide(approval, "edited", user=alice, channel="api", comment="hidden-word", edited=edited)
    assert (answer.result(60).decision, answer.result(60).arguments) == ("edited", edited)
    decided = Approval.objects.get()
    assert decided.comment == "[redacted:redactor failed]"
    assert decided.edited_arguments == {"redacted": "[redacted:redactor failed]"}
    stored = f"{list(Approval.objects.values())} {list(Event.objects.values())} {list(Trace.objects.values())}"
    assert "hidden-word" not in stored
    assert "another-word" not in stored


def test_a_schema_that_the_redactor_loses_is_told_to_who_asks(settings: Settings) -> None:
    """Edited arguments could not be checked."""
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.{raises.__name__}"
    with pytest.raises(ValueError, match="or the redactor loses it"):
        TraceEmitter("t").ask_approval("send", schema={"type": "object"})


def test_an_answer_that_the_redactor_loses_is_none(settings: Settings, alice: User) -> None:
    """The agent would go on with the marker; the human can still say no."""
    answer, approval = asking(TraceEmitter("t"), allowed=["responded", "rejected"])
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.{raises.__name__}"
    with pytest.raises(InvalidDecisionError, match="redactor loses the answer"):
        decisions.decide(approval, "responded", user=alice, channel="api", comment="Tuesday")
    decisions.decide(approval, "rejected", user=alice, channel="api")
    assert answer.result(60).decision == "rejected"
