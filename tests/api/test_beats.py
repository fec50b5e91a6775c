"""Programs elsewhere say that they live: what they have open runs until they are silent, or say that they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from pytest_django import Settings
from rest_framework.test import APIClient

from trace_streaming.api import beats
from trace_streaming.models import EmitterLease, HeldTrace, StopRequest, Trace, stored_now
from trace_streaming.recording.leases import give_up_the_dead
from trace_streaming.storage.times import UtcNow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _leases(settings: Settings) -> None:
    settings.TRACE_STREAMING_LEASE_SECONDS = 30.0


@pytest.fixture
def writer() -> User:
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


def begun(*trace_ids: str, owner: User | None = None) -> None:
    for trace_id in trace_ids:
        Trace.objects.create(trace_id=trace_id, owner=owner, started_at=stored_now(), last_event_at=stored_now())


def beat(client: APIClient, *traces: str, sender: str = "s", **more: Any) -> Any:
    return client.post("/api/beat", {"sender": sender, "traces": traces, **more}, format="json")


def held() -> list[str]:
    return sorted(HeldTrace.objects.values_list("trace__trace_id", flat=True))


def states() -> dict[str, str]:
    return dict(Trace.objects.values_list("trace_id", "state"))


def falls_silent() -> None:
    EmitterLease.objects.update(expires_at=UtcNow() - timedelta(seconds=1))


def test_what_is_named_is_held_and_what_is_not_is_let_go(client: APIClient) -> None:
    """One lease for each sender; a trace that has not begun is held once it has."""
    begun("a", "b")
    response = beat(client, "a", "b", "not yet")
    assert (response.status_code, response.json()) == (200, {"held": 2, "expires_in": 30.0, "stops": {}})
    begun("not yet")
    assert beat(client, "b", "not yet").json()["held"] == 2
    assert (held(), EmitterLease.objects.count()) == (["b", "not yet"], 1)
    lease = EmitterLease.objects.get()
    assert (lease.host, lease.pid) == ("127.0.0.1", None)


def test_a_sender_that_falls_silent_leaves_its_traces_incomplete(client: APIClient) -> None:
    """Invariant 16. One that comes back has them running again; another's are left alone."""
    begun("a", "b")
    beat(client, "a")
    falls_silent()
    beat(client, "b", sender="another")
    assert give_up_the_dead() == 1
    assert states() == {"a": "incomplete", "b": "running"}
    assert beat(client, "a").json()["held"] == 1
    assert states() == {"a": "running", "b": "running"}


def test_a_sender_that_ends_leaves_them_at_once(client: APIClient) -> None:
    """Those of its last moment, too; not those that it has let go, or that another holds."""
    begun("a", "b", "c", "shared")
    beat(client, "a", "b", "shared")
    beat(client, "shared", sender="another")
    assert beat(client, "a", "c", "shared", ends=True).json()["held"] == 3
    assert states() == {"a": "incomplete", "b": "running", "c": "incomplete", "shared": "running"}
    assert beat(client, "c", sender="new", ends=True).status_code == 200


def test_a_sender_holds_what_it_may_add_to(writer: User) -> None:
    """Its own, or all; nothing is written for who has neither, and nobody learns which traces there are."""
    owner, stranger = User.objects.create_user("owner"), User.objects.create_user("stranger")
    begun("owned", owner=owner)
    begun("other")
    assert beat(logged_in(stranger), "owned", "other").json() == {"held": 0, "expires_in": 30.0, "stops": {}}
    assert EmitterLease.objects.count() == 0
    assert beat(logged_in(owner), "owned", "other").json()["held"] == 1
    assert held() == ["owned"]
    assert beat(APIClient(), "owned").status_code in (401, 403)


def test_a_senders_name_is_its_own(client: APIClient) -> None:
    """Another user who takes it neither renews nor ends anything of it."""
    owner = User.objects.create_user("owner")
    begun("a", owner=owner)
    beat(client, "a")
    beat(logged_in(owner), ends=True)
    assert (states(), held()) == ({"a": "running"}, ["a"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"sender": "s", "traces": "a"}, 400),
        ({"sender": "x" * 65}, 400),
        ({"sender": "a b"}, 400),
        ({"sender": "s", "traces": ["x" * 129]}, 400),
        ({"sender": "s", "traces": ["a\0"]}, 400),
        ({"sender": "s", "traces": ["t"] * (beats.MAX_TRACES + 1)}, 413),
    ],
)
def test_what_is_no_beat_is_refused(client: APIClient, body: object, status: int) -> None:
    """And says why."""
    assert client.post("/api/beat", body, format="json").status_code == status


def test_a_beat_of_many_costs_few_queries(client: APIClient, django_assert_max_num_queries: Any) -> None:
    """Of those that are held already, none more."""
    names = [f"t-{number}" for number in range(900)]
    Trace.objects.bulk_create(
        Trace(trace_id=name, started_at=stored_now(), last_event_at=stored_now()) for name in names
    )
    assert beat(client, *names).json()["held"] == 900
    with django_assert_max_num_queries(10):
        assert beat(client, *names).json()["held"] == 900


def test_where_there_are_no_leases_none_is_asked_for(client: APIClient, settings: Settings) -> None:
    """The sender need not come again."""
    settings.TRACE_STREAMING_LEASE_SECONDS = None
    begun("a")
    assert beat(client, "a").json() == {"held": 0, "expires_in": None, "stops": {}}


def test_who_may_no_longer_add_to_a_trace_holds_it_no_longer(client: APIClient, writer: User) -> None:
    """Nor is he told who asks it to stop, and why; what has become his own meanwhile is his."""
    begun("a", "b", owner=User.objects.create_user("owner"))
    assert beat(client, "a", "b").json()["held"] == 2
    for trace_id in ("a", "b"):
        StopRequest.objects.create(trace_id=trace_id, requested_at=stored_now(), comment="why", is_standing=True)
    assert set(beat(client, "a", "b").json()["stops"]) == {"a", "b"}
    writer.user_permissions.clear()
    Trace.objects.filter(trace_id="b").update(owner=writer)
    answer = beat(logged_in(User.objects.get(pk=writer.pk)), "a", "b").json()
    assert (answer["held"], list(answer["stops"]), held()) == (1, ["b"], ["b"])
