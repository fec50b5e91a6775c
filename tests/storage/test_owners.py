"""Whose a trace is, and what is known of it, whenever that is said, by whom, and in which transaction."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import transaction

from trace_streaming.events import TraceEvent, TraceRecord, TraceStart
from trace_streaming.models import Trace
from trace_streaming.storage import owners, store
from trace_streaming.storage.json_columns import storable

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
EVENT = TraceEvent("plan_created", "t", NOW, "{}", "success")


@pytest.fixture(autouse=True)
def _nobody_is_awaited() -> None:
    """Of another test's."""
    owners._waiting.clear()


def start(owner: User | None = None, metadata: str = "{}", *, by_sender: bool = False) -> TraceStart:
    return TraceStart("t", NOW, None if owner is None else owner.pk, metadata, by_sender)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def mallory() -> User:
    return User.objects.create_user("mallory")


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_owner_is_not_lost_whoever_is_first(ada: User, order: tuple[int, ...], is_one_batch: bool) -> None:
    """The view names him, a worker emits, somebody else adds metadata: in any order, in one batch or in three."""
    said: list[TraceRecord] = [start(ada), EVENT, start(None, '{"job":7}')]
    records = [said[place] for place in order]
    for batch in [records] if is_one_batch else [[record] for record in records]:
        store.append(batch)
    trace = Trace.objects.get()
    assert (trace.owner, trace.metadata, trace.last_sequence, trace.owned_by_sender) == (ada, {"job": 7}, 1, False)


@pytest.mark.parametrize("is_one_batch", [False, True])
def test_the_projects_word_replaces_a_senders(
    ada: User, mallory: User, is_one_batch: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may ingest begins an id first, and reads nothing of what the project then emits to it: visibly."""
    squatted = start(mallory, '{"job":"mine","team":"red"}', by_sender=True)
    records: list[TraceRecord] = [squatted, start(ada, '{"job":77}')]
    with caplog.at_level(logging.WARNING):
        for batch in [records] if is_one_batch else [[record] for record in records]:
            store.append(batch)
    trace = Trace.objects.get()
    assert (trace.owner, trace.owned_by_sender, trace.metadata) == (ada, False, {"job": 77, "team": "red"})
    assert "The project names another owner" in caplog.text


def test_a_sender_takes_nothing_from_the_project(ada: User, mallory: User) -> None:
    """Neither its trace, nor one that has no owner, nor what is known of it."""
    store.append([EVENT])
    store.append([start(mallory, '{"a":1}', by_sender=True)])
    assert Trace.objects.get().owner is None
    store.append([start(ada, '{"b":1}')])
    store.append([start(mallory, '{"b":2}', by_sender=True)])
    store.append([start(None, '{"c":1}', by_sender=True)])
    trace = Trace.objects.get()
    assert (trace.owner, trace.metadata) == (ada, {"b": 1})


def test_a_sender_says_more_of_his_own_trace_alone(ada: User, mallory: User) -> None:
    """And of no other sender's."""
    store.append([start(ada, '{"a":1}', by_sender=True)])
    store.append([start(None, '{"b":1}', by_sender=True)])
    store.append([start(mallory, '{"c":1}', by_sender=True)])
    assert Trace.objects.get().metadata == {"a": 1, "b": 1}


def test_a_second_owner_is_not_taken(ada: User, mallory: User, caplog: pytest.LogCaptureFixture) -> None:
    """The id of somebody else's trace cannot be had by naming another."""
    store.append([start(ada)])
    store.append([start(mallory)])
    assert Trace.objects.get().owner == ada
    assert "stays as it is" in caplog.text


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A user of an open transaction; SQLite in memory has no such thing, so his row is hidden until this is called."""
    known, is_open = owners._known, [True]
    monkeypatch.setattr(owners, "_known", lambda *args: set() if is_open else known(*args))
    monkeypatch.setattr(owners, "RETRY_SECONDS", 0.0)
    return is_open.clear


def test_an_owner_of_an_open_transaction_is_named_when_it_is_committed(ada: User, commit: Callable[[], None]) -> None:
    """The trace does not wait, and metadata is there at once."""
    store.append([start(ada, '{"job":7}'), EVENT])
    trace = Trace.objects.get()
    assert (trace.owner, trace.metadata, trace.last_sequence) == (None, {"job": 7}, 1)
    owners.name_the_awaited()
    assert (Trace.objects.get().owner, owners.are_awaited()) == (None, True)
    commit()
    owners.name_the_awaited()
    assert (Trace.objects.get().owner, owners.are_awaited()) == (ada, False)


def test_of_two_who_are_awaited_the_first_is_named(
    ada: User, mallory: User, commit: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """As if both had been there."""
    for owner in (ada, mallory):
        store.append([start(owner)])
    commit()
    owners.name_the_awaited()
    assert (Trace.objects.get().owner, owners.are_awaited()) == (ada, False)
    assert "Another owner is named" in caplog.text


def test_an_owner_who_never_comes_is_given_up(
    ada: User, commit: Callable[[], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """His transaction was rolled back."""
    store.append([start(ada)])
    monkeypatch.setattr(owners, "WAIT_SECONDS", 0.0)
    owners.name_the_awaited()
    assert not owners.are_awaited()
    assert "The owner of a trace was never there" in caplog.text


def test_what_was_rolled_back_waits_for_nobody(ada: User, commit: Callable[[], None]) -> None:
    """The trace is not there, either."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        store.append([start(ada)])
        1 / 0  # noqa: B018
    assert not owners.are_awaited()


def called() -> tuple[str, str, list[str]]:
    trace = Trace.objects.get()
    return trace.name, trace.conversation, trace.tags


def test_a_sender_calls_the_projects_trace_nothing_else(ada: User, mallory: User) -> None:
    """What the project has left open he may say; of his own trace he has every word, until the project has."""
    store.append([replace(start(ada), name="Ada's")])
    store.append([replace(start(mallory, by_sender=True), name="Mallory's", tags=["x"])])
    store.append([replace(start(by_sender=True), name="Mallory's", tags=["first"])])
    store.append([replace(start(by_sender=True), tags=["second"])])
    assert called() == ("Ada's", "", ["first"])
    Trace.objects.all().delete()
    store.append([replace(start(mallory, by_sender=True), name="One")])
    store.append([replace(start(by_sender=True), name="Two")])
    assert called()[0] == "Two"
    store.append([replace(start(ada), name="Three")])
    assert (called()[0], Trace.objects.get().owner) == ("Three", ada)


def test_who_is_not_its_owner_does_not_name_a_trace(ada: User, mallory: User) -> None:
    """The id of somebody else's trace cannot be had, nor its face."""
    store.append([replace(start(ada), name="Ada's", conversation="c", tags=["a"])])
    store.append([replace(start(mallory), name="Mallory's", conversation="d", tags=["b"])])
    assert called() == ("Ada's", "c", ["a"])


def test_what_a_trace_is_called_meanwhile_stays_when_its_owner_comes(ada: User, commit: Callable[[], None]) -> None:
    """He is named later; what was said with him is not said again."""
    store.append([replace(start(ada), name="First", tags=["a"])])
    store.append([replace(start(), name="Second", tags=[])])
    commit()
    owners.name_the_awaited(at_once=True)
    assert (Trace.objects.get().owner, *called()) == (ada, "Second", "", [])


def test_waiting_is_bounded(ada: User, commit: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may emit any number of traces for users that are rolled back."""
    monkeypatch.setattr(owners, "MAX_WAITING", 3)
    store.append([replace(start(ada), trace_id=f"t-{number}") for number in range(10)])
    assert len(owners._waiting) == 3
    commit()
    owners.name_the_awaited()


def test_only_a_real_nul_of_metadata_is_replaced() -> None:
    """PostgreSQL refuses it; a text that writes about its escape is none, whatever stands before it."""
    told = {"real": "a\x00b", "written": "a\\u0000b", "path": "C:\\\\u0000", "k\x00": ["\x00\\u0000"]}
    assert storable(orjson.dumps(told).decode()) == {
        "real": "a\ufffdb",
        "written": "a\\u0000b",
        "path": "C:\\\\u0000",
        "k\ufffd": ["\ufffd\\u0000"],
    }
