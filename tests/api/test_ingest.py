"""Events from outside: checked, redacted and recorded as an emitter's are, and stored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from pytest_django import Settings
from rest_framework.test import APIClient

from trace_streaming import TraceEmitter
from trace_streaming.api import ingest
from trace_streaming.events import TraceRecord
from trace_streaming.models import Approval, Event, Trace, stored_now
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import owners, store
from trace_streaming.wire.batches import Batch

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = {"event": "plan_created", "details": {"steps": 2}, "status": "success"}


@pytest.fixture
def writer() -> User:
    """Somebody who may add events to any trace, and so begin one."""
    user = User.objects.create_user("writer")
    user.user_permissions.add(Permission.objects.get(codename="add_event"))
    return user


@pytest.fixture
def client(writer: User) -> APIClient:
    return logged_in(writer)


def logged_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(client: APIClient, body: object, path: str = "t/events/") -> Any:
    return client.post(f"/api/traces/{path}", body, format="json")


def stored(trace_id: str = "t") -> list[dict[str, Any]]:
    head = store.read_heads([trace_id])[trace_id]
    return [orjson.loads(event.text) for event in store.read_page(head.pk, 0)]


def test_one_event_is_stored_when_the_answer_comes(client: APIClient, writer: User) -> None:
    """A new trace belongs to who has begun it."""
    response = post(client, EVENT)
    assert (response.status_code, response.json()) == (200, {"accepted": 1, "stored": True, "errors": []})
    (event,) = stored()
    assert {key: event[key] for key in EVENT} == EVENT
    assert Trace.objects.get().owner == writer


def test_a_batch_keeps_its_order_and_its_times(client: APIClient) -> None:
    """Times are those of the sender, in UTC, where it gives them; metadata is that of a trace that begins."""
    events = [{**EVENT, "details": {"n": n}, "timestamp": f"2026-01-05T12:00:0{n}+01:00"} for n in range(5)]
    assert post(client, {"events": events, "metadata": {"job": "nightly"}}).status_code == 200
    assert [event["details"]["n"] for event in stored()] == [0, 1, 2, 3, 4]
    assert stored()[3]["timestamp"] == "2026-01-05T11:00:03.000000+00:00"
    assert Trace.objects.get().metadata == {"job": "nightly"}


def test_metadata_is_of_who_has_begun_the_trace(client: APIClient) -> None:
    """Whether somebody may watch may be judged by it: he adds none to what others have begun."""
    other = User.objects.create_user("other")
    other.user_permissions.add(Permission.objects.get(codename="add_event"))
    post(client, {"events": [EVENT], "metadata": {"a": 1}})
    assert post(logged_in(other), {"events": [EVENT], "metadata": {"team": "other"}}).json()["accepted"] == 1
    post(client, {"events": [], "metadata": {"b": 1}})
    assert Trace.objects.get().metadata == {"a": 1, "b": 1}
    with TraceEmitter("project") as emitter:
        emitter.emit("plan_created")
    assert emitter.flush(60)
    post(logged_in(other), {"events": [], "metadata": {"team": "other"}}, "project/events/")
    assert Trace.objects.get(trace_id="project").metadata == {}


@pytest.mark.parametrize("bad", [{"name": 1}, {"tags": "a"}, {"tags": [1]}, {"conversation": []}])
def test_what_a_trace_is_called_is_checked(client: APIClient, bad: dict[str, Any]) -> None:
    """Before anything is stored; beside an event alone, such keys are ignored."""
    assert post(client, {"events": [], **bad}).status_code == 400
    assert not Trace.objects.exists()
    assert post(client, {**EVENT, **bad}).status_code == 200
    assert Trace.objects.get().name == ""


def test_details_are_redacted(client: APIClient) -> None:
    """Invariant 4, at this door too."""
    post(client, {**EVENT, "details": {"password": "hunter2"}, "event_id": "a"})
    assert "hunter2" not in Event.objects.get().details


def test_a_full_trace_refuses_by_name_and_takes_what_matters(client: APIClient, settings: Settings) -> None:
    """Whoever sends would otherwise send it again for ever; what is shed is counted."""
    settings.TRACE_STREAMING_LIMITS = {"total_events_per_trace": 2}
    approval = {"event": "approval_requested", "details": {"approval_id": "a"}}
    try:
        response = post(client, {"events": [EVENT, {"event": "dance"}, EVENT, EVENT, approval]})
        assert response.status_code == 207
        assert (response.json()["accepted"], response.json()["stored"]) == (3, True)
        assert [error["index"] for error in response.json()["errors"]] == [1, 3]
        assert response.json()["errors"][1]["error"] == ingest.FULL
        assert post(client, EVENT).status_code == 400
        assert post(client, {**EVENT, "status": "error"}).status_code == 200
    finally:
        recorder._reset()
    assert [event["event"] for event in stored()].count("plan_created") == 3
    assert Trace.objects.get().lost_count >= 1


def test_bad_items_are_named_and_good_ones_stored(client: APIClient) -> None:
    """Each by its place in the batch, with what is wrong about it."""
    bad: list[object] = [{"event": "dance"}, {"details": {}}, "text", {**EVENT, "status": "dead"}]
    bad += [{**EVENT, "timestamp": "yesterday"}, {**EVENT, "timestamp": 12}, {**EVENT, "event_id": ""}]
    bad += [{**EVENT, "event_id": "x" * 65}, {**EVENT, "event_id": 7}, None, []]
    response = post(client, {"events": [EVENT, *bad, EVENT]})
    assert response.status_code == 207
    assert response.json()["accepted"] == len(stored()) == 2
    errors = response.json()["errors"]
    assert [error["index"] for error in errors] == list(range(1, len(bad) + 1))
    assert "Non-canonical event: dance" in errors[0]["error"]
    assert all(error["error"] for error in errors)


def test_a_request_without_a_good_event_is_bad_and_begins_nothing(client: APIClient) -> None:
    """400, and no trace."""
    bodies: list[dict[str, object]] = [{"event": "dance"}, {"events": [{}]}, {}]
    for body in bodies:
        assert post(client, body).status_code == 400
    assert not Trace.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"events":{}}', b'{"event":NaN}'])
def test_what_is_no_batch_is_refused(client: APIClient, body: bytes) -> None:
    """With 400, whatever it is."""
    response = client.post("/api/traces/t/events", body, content_type="application/json")
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/json"


def test_a_repeat_is_harmless(client: APIClient) -> None:
    """In the same batch, in another one, and among others; ids are of one trace."""
    batch = {"events": [{**EVENT, "event_id": f"e{n % 3}", "details": {"n": n}} for n in range(6)]}
    for _ in range(2):
        assert post(client, batch).json()["accepted"] == 6
    post(client, {"events": [{**EVENT, "event_id": "e2"}, {**EVENT, "event_id": "e3"}, EVENT]})
    assert [event["details"] for event in stored()] == [{"n": 0}, {"n": 1}, {"n": 2}, {"steps": 2}, {"steps": 2}]
    post(client, {**EVENT, "event_id": "e0"}, "u/events/")
    assert Trace.objects.get(trace_id="u").last_sequence == 1
    assert Trace.objects.get(trace_id="t").event_count == 5


def test_a_batch_has_a_size(client: APIClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In events, and in bytes by Django's own setting."""
    monkeypatch.setattr(ingest, "MAX_EVENTS", 2)
    assert post(client, {"events": [EVENT] * 3}).status_code == 413
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert post(client, {**EVENT, "details": {"text": "x" * 100}}).status_code == 413
    assert not Trace.objects.exists()


def test_who_may_write(client: APIClient, settings: Settings) -> None:
    """The owner of a trace, and who has the permission; for all others the trace does not exist."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
    owner = User.objects.create_user("owner")
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))
    other = User.objects.create_user("other")
    post(client, EVENT)
    Trace.objects.update(owner=owner)
    expected = {owner: (200, 404), viewer: (403, 403), other: (404, 404)}
    for user, answers in expected.items():
        for path in ("events", "end"):
            got = tuple(post(logged_in(user), EVENT, f"{name}/{path}").status_code for name in ("t", "new"))
            assert got == answers, (user, path)
    hidden = [post(logged_in(other), EVENT, f"{name}/events").json() for name in ("t", "new")]
    assert hidden[0] == hidden[1]
    for answer in (*hidden, post(logged_in(viewer), EVENT, "t/events").json()):
        assert "takes the permission trace_streaming.add_event" in answer["detail"]
    anonymous = APIClient()
    assert {post(anonymous, EVENT, f"{name}/events").status_code for name in ("t", "new")} <= {401, 403}
    assert Trace.objects.count() == 1


def test_a_session_needs_the_csrf_token(writer: User) -> None:
    """A page of another origin cannot write in somebody's name."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(writer)
    assert post(client, EVENT).status_code == 403


def test_a_trace_is_ended(client: APIClient) -> None:
    """Behind what was sent before; again is harmless; only with a state that a program may give."""
    post(client, EVENT)
    assert post(client, {"state": "dead"}, "t/end/").status_code == 400
    for _ in range(2):
        response = post(client, {"state": "error"}, "t/end/")
        assert (response.status_code, response.json()) == (200, {"state": "error", "stored": True})
    assert Trace.objects.get().state == "error"


def test_what_is_not_stored_in_time_is_202(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken, and the client may ask again."""
    monkeypatch.setattr(ingest, "SYNC_SECONDS", 0.0)
    response = post(client, {**EVENT, "event_id": "a"})
    assert (response.status_code, response.json()["stored"]) == (202, False)
    monkeypatch.undo()
    assert post(client, {**EVENT, "event_id": "a"}).status_code == 200
    assert len(stored()) == 1


def test_while_the_database_is_away_nothing_is_taken(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and when to come back."""

    def away(*args: object) -> object:
        raise OperationalError

    monkeypatch.setattr("trace_streaming.api.access.may_add_events", away)
    response = post(client, EVENT)
    assert (response.status_code, response["Retry-After"]) == (503, "5")


def test_inline_recording_serves_it_too(client: APIClient, settings: Settings) -> None:
    """A project's own tests may use it."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    assert post(client, EVENT).json()["stored"] is True
    assert len(stored()) == 1


def test_what_the_database_refuses_for_good_is_named(client: APIClient, picky_database: str) -> None:
    """The others are stored, whether it stands among them, behind a bad one, or alone."""
    poison = {**EVENT, "details": {"tool": picky_database}}
    response = post(client, {"events": [EVENT, {"event": "dance"}, poison, EVENT, poison], "metadata": {"a": 1}})
    assert (response.status_code, response.json()["accepted"], response.json()["stored"]) == (207, 2, True)
    errors = response.json()["errors"]
    assert [error["index"] for error in errors] == [1, 2, 4]
    assert {error["error"] for error in errors[1:]} == {"The database refuses it"}
    alone = post(client, poison)
    assert (alone.status_code, alone.json()["accepted"], len(alone.json()["errors"])) == (400, 0, 1)
    assert [event["sequence"] for event in stored()] == [1, 2]


def test_a_start_that_the_database_refuses_is_said_and_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner was deleted a moment ago."""
    monkeypatch.setattr(owners, "unknown", lambda *args: frozenset())
    client = logged_in(User(pk=987654, is_superuser=True))
    response = post(client, {"events": [EVENT, EVENT], "metadata": {"a": 1}})
    assert response.json() == {
        "accepted": 2,
        "stored": True,
        "errors": [{"index": None, "error": "The database refuses it"}],
    }
    assert (response.status_code, len(stored())) == (207, 2)


@pytest.mark.parametrize("is_inline", [False, True])
def test_an_end_that_the_database_refuses_is_said(
    client: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Settings, is_inline: bool
) -> None:
    """The same, for a recorder in a thread and inline."""
    settings.TRACE_STREAMING_RECORDER = "inline" if is_inline else "thread"

    def refuse(records: Sequence[TraceRecord], *options: object) -> list[Batch]:
        raise IntegrityError

    monkeypatch.setattr(store, "append", refuse)
    response = post(client, {}, "t/end/")
    assert (response.status_code, response.json()) == (400, {"state": ["The database refuses it"]})


def test_what_is_wrong_with_the_database_is_no_fault_of_an_event(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is missing until the next migration, say: the sender is to come again."""

    def refuse(records: Sequence[TraceRecord], *options: object) -> list[Batch]:
        raise ProgrammingError

    monkeypatch.setattr(store, "append", refuse)
    response = post(client, EVENT)
    assert (response.status_code, response.json()) == (202, {"accepted": 1, "stored": False, "errors": []})


@pytest.mark.parametrize("away", ["trace_streaming_", "trace_streaming_trace"])
def test_whoever_asks_a_database_that_lacks_a_migration_is_to_come_again(client: APIClient, away: str) -> None:
    """As PostgreSQL says it; exporters of OpenTelemetry come again for a 503, and for no 500."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if away in sql:
            raise ProgrammingError(f"relation {away} does not exist")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        response = client.get("/api/traces/")
    assert (response.status_code, response["Content-Type"]) == (503, "application/json")
    assert response["Retry-After"]


@pytest.mark.parametrize("event", ["approval_requested", "approval_received", "approval_timeout"])
def test_a_stored_approval_is_told_by_the_server_alone(client: APIClient, event: str) -> None:
    """Invariant 14. Its trace's owner cannot show deciders another action, nor watchers a decision that nobody took."""
    now = stored_now()
    Approval.objects.create(approval_id="a-1", trace_id="t", action="send", requested_at=now, expires_at=now)
    forged = {"event": event, "details": {"approval_id": "a-1", "action": "look", "decision": "approved"}}
    response = post(client, {"events": [EVENT, forged, {**forged, "details": {"approval_id": "mine"}}]})
    assert (response.status_code, response.json()["accepted"]) == (207, 2)
    assert response.json()["errors"] == [{"index": 1, "error": ingest.TOLD}]
    assert post(client, forged).status_code == 400
    assert [each["details"].get("approval_id") for each in stored()] == [None, "mine"]


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63) + 1])
def test_an_integer_of_64_bits_is_stored_as_it_is(client: APIClient, number: int) -> None:
    """No digit of an id changes on its way."""
    assert raw(client, f'{{"event": "plan_created", "details": {{"id": {number}}}}}').status_code == 200
    assert f'"id":{number}' in Event.objects.get().details


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70), 10**40])
def test_a_larger_integer_is_stored_as_its_digits(client: APIClient, number: int) -> None:
    """It is not what a float makes of it; texts that look like one stay."""
    details = f'{{"id": {number}, "note": "is {number}, \\\\", "list": [{number}, 0.{abs(number)}, 1e2]}}'
    assert raw(client, f'{{"event": "plan_created", "details": {details}}}').status_code == 200
    stored = orjson.loads(Event.objects.get().details)
    assert (stored["id"], stored["note"], stored["list"][0]) == (str(number), f"is {number}, \\", str(number))
    assert stored["list"][1:] == [float(f"0.{abs(number)}"), 100.0]


def raw(client: APIClient, text: str) -> Any:
    return client.post("/api/traces/t/events/", text, content_type="application/json")
