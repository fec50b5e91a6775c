"""What is called when something is decided for which nobody waits: at least once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from pytest_django import Settings

from tests.approvals import called
from trace_streaming import TraceEmitter
from trace_streaming.approvals import calling, decisions
from trace_streaming.approvals.decisions import decide
from trace_streaming.models import Approval, stored_now
from trace_streaming.servers.presence import presence

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "tests.approvals.called.remember"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    called.reset()
    yield
    if (thread := calling.caller._thread) is not None:
        thread.join(60)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called by itself: the process that decides dies behind its commit."""
    monkeypatch.setattr(calling.caller, "look", lambda: None)


def asked(trace_id: str = "t", **question: Any) -> Approval:
    emitter = TraceEmitter(trace_id)
    approval_id = emitter.ask_approval("send_mail", **{"on_decision": PATH, **question})
    assert emitter.flush(60)
    return Approval.objects.get(approval_id=approval_id)


def test_a_decision_is_told_by_id_behind_its_commit() -> None:
    """In a thread of the process that decides; once, if nothing fails."""
    approval = asked()
    decide(approval, "approved", user=None, channel="api")
    assert called.arrived.get(timeout=60) == (approval.approval_id, "t")
    thread = calling.caller._thread
    if thread is not None:
        thread.join(60)
    approval.refresh_from_db()
    assert approval.call_at is None
    assert calling.call_due() == 0
    assert len(called.calls) == 1


@pytest.mark.usefixtures("by_hand")
def test_whoever_comes_by_calls_what_a_dead_process_has_left() -> None:
    """A serving process, or a command."""
    decide(asked(), "rejected", user=None, channel="api")
    assert called.calls == []
    call_command("call_decisions")
    assert len(called.calls) == 1
    decide(asked("u"), "rejected", user=None, channel="api")


def test_a_serving_process_calls_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its next beat."""
    with monkeypatch.context() as patch:
        patch.setattr(calling.caller, "look", lambda: None)
        approval = asked()
        decide(approval, "approved", user=None, channel="api")
    presence._beat()
    assert called.arrived.get(timeout=60) == (approval.approval_id, "t")


def test_nobody_decides_and_that_is_told_too() -> None:
    """A timeout is a decision."""
    approval = asked()
    Approval.objects.update(expires_at=stored_now() - timedelta(seconds=1))
    call_command("call_decisions")
    assert called.arrived.get(timeout=60) == (approval.approval_id, "t")


@pytest.mark.usefixtures("by_hand")
def test_what_fails_is_called_again(caplog: pytest.LogCaptureFixture) -> None:
    """Later, for a day; once it works, no more."""
    called.fails[:] = [ConnectionError("broker"), ConnectionError("broker")]
    decide(asked(), "approved", user=None, channel="api")
    assert (calling.call_due(), calling.call_due()) == (1, 0)
    for _ in range(2):
        Approval.objects.update(call_at=stored_now() - timedelta(seconds=1))
        assert calling.call_due() == 1
    assert len(called.calls) == 3
    assert Approval.objects.get().call_at is None
    (line,) = [each.getMessage() for each in caplog.records if "remember" in each.getMessage()]
    assert "ConnectionError" in line
    assert "broker" not in line


@pytest.mark.usefixtures("by_hand")
def test_what_fails_for_a_day_is_given_up() -> None:
    """Nobody waits for it any more."""
    called.fails[:] = [ValueError()]
    decide(asked(), "approved", user=None, channel="api")
    Approval.objects.update(decided_at=stored_now() - timedelta(days=2))
    assert calling.call_due() == 1
    assert Approval.objects.get().call_at is None


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("minutes_behind", [0, 10])
def test_what_did_not_come_back_is_called_again(monkeypatch: pytest.MonkeyPatch, minutes_behind: int) -> None:
    """Its process was killed in the middle of it; until then no other calls, whatever the clock of the first."""
    monkeypatch.setattr(calling, "stored_now", lambda: stored_now() - timedelta(minutes=minutes_behind))
    called.fails[:] = [SystemExit()]
    decide(asked(), "approved", user=None, channel="api")
    with pytest.raises(SystemExit):
        calling.call_due()
    assert calling.call_due() == 0
    Approval.objects.update(call_at=stored_now() - timedelta(seconds=1))
    assert calling.call_due() == 1
    assert len(called.calls) == 2


def test_a_function_that_ends_its_thread_ends_not_ours() -> None:
    """The next decision is told all the same."""
    called.fails[:] = [SystemExit()]
    decide(asked(), "approved", user=None, channel="api")
    while (thread := calling.caller._thread) is not None:
        thread.join(60)
    second = asked("u")
    decide(second, "approved", user=None, channel="api")
    assert called.arrived.get(timeout=60) == (second.approval_id, "u")


def test_a_celery_task_is_sent_to_its_queue() -> None:
    """And not run by whoever decides."""
    approval = asked(on_decision="tests.approvals.called.task")
    decide(approval, "approved", user=None, channel="api")
    if (thread := calling.caller._thread) is not None:
        thread.join(60)
    assert called.task.sent == [(approval.approval_id, "t")]


@pytest.mark.usefixtures("by_hand")
def test_what_was_asked_together_is_called_for_once() -> None:
    """Behind the last decision of it, also where two fall at the same time."""
    first, second, other = (asked(group=group) for group in ("g", "g", "another"))
    decide(first, "approved", user=None, channel="api")
    assert calling.call_due() == 0
    decide(second, "rejected", user=None, channel="api")
    decide(other, "approved", user=None, channel="api")
    assert calling.call_due() == 2
    assert {each for each, _ in called.calls} == {second.approval_id, other.approval_id}


def test_it_is_called_at_once_where_the_databases_clock_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As SQLite's is, by a part of a millisecond: nobody else may come by who calls what is not due yet."""
    monkeypatch.setattr(decisions, "stored_now", lambda: stored_now() + timedelta(seconds=5))
    approval = asked()
    decide(approval, "approved", user=None, channel="api")
    assert called.arrived.get(timeout=60) == (approval.approval_id, "t")


@pytest.mark.usefixtures("by_hand")
def test_two_that_decide_and_call_at_the_same_time_call_once() -> None:
    """However their transactions lie."""
    for number in range(10):
        both = [asked(f"t-{number}", group="g") for _ in range(2)]
        at_once = Barrier(2)

        def one(approval: Approval, at_once: Barrier = at_once) -> None:
            at_once.wait(60)
            decide(approval, "approved", user=None, channel="api")
            calling.call_due()
            connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, both))
    calling.call_due()
    assert len(called.calls) == 10


@pytest.mark.parametrize("path", ["tests.approvals.called.nothing", "nowhere.at.all", "plain", "os.sep"])
def test_what_cannot_be_called_is_refused_where_it_is_asked(path: str) -> None:
    """And not when a human has decided."""
    with pytest.raises(ValueError, match="dotted path"):
        TraceEmitter("t").ask_approval("send_mail", on_decision=path)


@pytest.mark.usefixtures("by_hand")
def test_only_what_an_agent_has_named_is_imported() -> None:
    """Whoever can write to the database names nothing else, not even what another approval has named."""
    decide(asked(), "approved", user=None, channel="api")
    Approval.objects.update(on_decision="os.system")
    assert calling.call_due() == 1
    other = asked("u", on_decision="tests.approvals.called.task")
    first, last = asked("v"), Approval.objects.get(pk=other.pk)
    Approval.objects.filter(pk=first.pk).update(on_decision=last.on_decision)
    first.refresh_from_db()
    decide(first, "approved", user=None, channel="api")
    assert calling.call_due() == 1
    assert (called.calls, called.task.sent) == ([], [])
    assert not Approval.objects.filter(call_at__isnull=False).exists()


@pytest.mark.usefixtures("by_hand")
def test_a_key_that_was_changed_since_still_counts(settings: Settings) -> None:
    """While it is among the fallbacks."""
    decide(asked(), "approved", user=None, channel="api")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [settings.SECRET_KEY]
    assert calling.call_due() == 1
    assert len(called.calls) == 1


def test_in_a_test_it_is_called_at_once(settings: Settings) -> None:
    """As all is there: by whoever decides, before he goes on."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    ada = User.objects.create_user("ada")
    decide(asked(), "approved", user=ada, channel="api")
    assert len(called.calls) == 1
