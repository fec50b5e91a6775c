"""The list of traces and one of them: nothing of a trace that may not be watched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.permissions import BasePermission
from rest_framework.test import APIClient

from trace_streaming.api import pages as module
from trace_streaming.api.traces import TraceFilter
from trace_streaming.emitting import event_factory
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import AGENT_EVENTS
from trace_streaming.models import Trace, TraceTag
from trace_streaming.storage import store

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _default_policy(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def viewer() -> User:
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_trace"))
    return viewer


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def make(trace_id: str, minute: int = 0, **fields: Any) -> Trace:
    times = {"started_at": NOON + timedelta(minutes=minute), "last_event_at": NOON + timedelta(minutes=minute + 1)}
    return Trace.objects.create(trace_id=trace_id, **{**times, **fields})


def listed(user: User | None, **query: str) -> list[str]:
    response = client_of(user).get("/api/traces/", query)
    assert response.status_code == 200, response.content
    return [trace["trace_id"] for trace in response.json()["results"]]


def test_only_what_may_be_watched_is_listed(owner: User, viewer: User) -> None:
    """By the one policy: the owner's own, all with ``view_trace``, and none for others. Nobody is asked who he is."""
    make("mine", 0, owner=owner)
    make("nobody's", 1)
    assert listed(owner) == ["mine"]
    assert listed(viewer) == ["nobody's", "mine"]
    assert listed(User.objects.create_user("other")) == []
    assert client_of(None).get("/api/traces/").status_code in (401, 403)


def test_a_page_costs_a_constant_number_of_queries(viewer: User) -> None:
    """However many traces and owners there are."""
    counts = []
    for number in range(2):
        make(f"t{number}", number, owner=User.objects.create_user(f"u{number}"))
        with CaptureQueriesContext(connection) as queries:
            listed(User.objects.get(pk=viewer.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


class OnlyEven(BasePermission):
    """A policy of a project's own, which no query can express."""

    judged = 0

    def has_object_permission(self, request: Any, view: Any, obj: Trace) -> bool:
        type(self).judged += 1
        return int(obj.trace_id) % 2 == 0


def test_a_policy_that_judges_one_by_one_gives_full_pages_and_cursors_without_a_trace_of_others(
    owner: User, settings: Settings
) -> None:
    """Pages hold as many as asked for, each once; cursors are those of the traces that are seen."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.OnlyEven"]
    for number in range(9):
        make(str(number), number)
    seen, page = [], client_of(owner).get("/api/traces/", {"limit": 2}).json()
    while True:
        seen.append([trace["trace_id"] for trace in page["results"]])
        if page["next"] is None:
            break
        page = client_of(owner).get(page["next"]).json()
    assert seen == [["8", "6"], ["4", "2"], ["0"]]


def test_a_policy_that_judges_one_by_one_is_asked_a_bounded_number_of_times(
    owner: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may see nothing cannot make the server look at everything."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = [f"{__name__}.OnlyEven"]
    monkeypatch.setattr(module, "MAX_JUDGED", 3)
    for number in range(8):
        make(str(2 * number + 1), number)
    OnlyEven.judged = 0
    assert listed(owner) == []
    assert OnlyEven.judged == 3


def test_pages_follow_each_other(viewer: User) -> None:
    """A trace that begins meanwhile neither repeats nor hides one."""
    for number in range(5):
        make(f"t{number}", number // 2)  # some began at the same moment
    first = client_of(viewer).get("/api/traces/", {"limit": 2}).json()
    make("new", 60)
    seen = [trace["trace_id"] for trace in first["results"]]
    following = first["next"]
    while following:
        page = client_of(viewer).get(following).json()
        seen += [trace["trace_id"] for trace in page["results"]]
        following = page["next"]
    assert seen == ["t4", "t3", "t2", "t1", "t0"]


def test_filters(viewer: User, owner: User) -> None:
    """Each narrows the list; together they narrow it more."""
    make("a", 0, state="success", owner=owner, metadata={"job": "Nightly é", "n": 1})
    make("b", 10, state="error", metadata={"job": "weekly"})
    store.append([make_event("c", "budget_warning", {}, "warning", timestamp=NOON + timedelta(minutes=20))[0]])
    assert listed(viewer, state="error") == ["b"]
    assert listed(viewer, owner="owner") == ["a"]
    assert listed(viewer, owner="nobody") == []
    assert listed(viewer, started_after="2026-01-05T12:10:00Z") == ["c", "b"]
    assert listed(viewer, started_before="2026-01-05T13:10:00+01:00") == ["a"]
    assert listed(viewer, event="budget_warning") == ["c"]
    store.append([make_event("b", "tool_call_complete", {"tool": "search"}, "success", timestamp=NOON)[0]])
    ended = {"name": "gpt-5"}
    extra = event_factory.make_event("a", "llm_call_complete", ended, "success", extra_events=AGENT_EVENTS)[0]
    store.append([extra])
    assert listed(viewer, tool="search") == ["b"]
    assert listed(viewer, model="gpt-5") == ["a"]
    assert listed(viewer, model="search") == []
    assert listed(viewer, metadata="nightly") == ["a"]
    assert listed(viewer, metadata="é") == ["a"]
    assert listed(viewer, metadata="weekly", state="success") == []


@pytest.mark.parametrize("query", ["state=dead", "started_after=yesterday", "started_before=%00", "event=%00"])
def test_a_bad_filter_is_400(viewer: User, query: str) -> None:
    """And says which."""
    response = client_of(viewer).get(f"/api/traces/?{query}")
    assert (response.status_code, list(response.json())) == (400, [query.partition("=")[0]])


@pytest.fixture
def called() -> None:
    """Three traces that are called something."""
    a = make("a", 0, name="Tides", conversation="c-1", tags=["prod", "eu"], cost=0.5, input_tokens=90, output_tokens=10)
    b = make("b", 1, name="Tides of June", conversation="c-1", tags=["prod"], metadata={"city": "Zürich"})
    Trace.objects.update(model_calls=1)
    make("c", 2, cost=0.0)
    for trace in (a, b):
        TraceTag.objects.bulk_create(TraceTag(trace=trace, tag=tag) for tag in trace.tags)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "Tides"}, ["a"]),
        ({"name": "tides"}, []),
        ({"conversation": "c-1"}, ["b", "a"]),
        ({"tag": "prod"}, ["b", "a"]),
        ({"tag": "eu"}, ["a"]),
        ({"tag": "pro"}, []),
        ({"text": "tides"}, ["b", "a"]),
        ({"text": "JUNE"}, ["b"]),
        ({"text": "eu"}, ["a"]),
        ({"text": "zürich"}, ["b"]),
        ({"text": "c-1", "tag": "eu"}, ["a"]),
        ({"cost_min": "0.1"}, ["a"]),
        ({"cost_max": "0.1"}, ["c"]),
        ({"tokens_min": "100"}, ["a"]),
        ({"tokens_max": "99"}, ["b"]),
        ({"tokens_min": "99.5"}, ["a"]),
        ({"tokens_max": "0.5"}, ["b"]),
        ({"tokens_max": "1e40", "cost_min": "-1e40"}, ["a"]),
        ({"tokens_min": "1e30", "cost_max": "1e40"}, []),
        ({"tokens_min": "1", "tokens_max": "99"}, []),
    ],
)
def test_traces_are_found_by_what_they_are_called_and_cost(
    viewer: User, called: None, query: dict[str, str], found: list[str]
) -> None:
    """Names, conversations and tags to the letter; text in any case, wherever it stands."""
    assert listed(viewer, **query) == found


@pytest.mark.parametrize("query", ["cost_min=x", "tokens_max=many", "name=%00"])
def test_a_bad_filter_of_a_face_is_400(viewer: User, query: str) -> None:
    """And says which."""
    response = client_of(viewer).get(f"/api/traces/?{query}")
    assert (response.status_code, list(response.json())) == (400, [query.partition("=")[0]])


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"name": "x"}, "trace_streaming_name"),
        ({"conversation": "x"}, "trace_streaming_conversation"),
        ({"tag": "x"}, "trace_streaming_tag"),
        ({"cost_min": "1"}, "trace_streaming_cost"),
        ({"tokens_min": "1"}, "trace_streaming_tokens"),
        ({}, "trace_streaming_started"),
    ],
)
def test_what_is_asked_for_is_looked_up_and_not_searched(query: dict[str, str], index: str) -> None:
    """The database uses an index for each of the filters, among a thousand traces of which it has counted some."""
    times = [NOON + timedelta(seconds=number) for number in range(1000)]
    traces = [Trace(trace_id=f"t-{time.timestamp()}", started_at=time, last_event_at=time) for time in times]
    called = {"name": "x", "conversation": "x", "cost": 1, "model_calls": 1, "input_tokens": 1}
    traces.append(Trace(trace_id="x", started_at=NOON, last_event_at=NOON, **called))
    Trace.objects.bulk_create(traces)
    TraceTag.objects.bulk_create(TraceTag(trace=trace, tag=trace.name or "plain") for trace in traces)
    with connection.cursor() as cursor:
        for model in (Trace, TraceTag):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    assert index in TraceFilter(query, Trace.objects.order_by("-started_at", "-pk")).qs[:50].explain()


def test_one_trace(owner: User) -> None:
    """Without its events; somebody else's is the same as none."""
    make("t", 0, owner=owner, state="success", ended_at=NOON + timedelta(seconds=90), metadata={"a": 1}, error_count=2)
    trace = client_of(owner).get("/api/traces/t/").json()
    assert trace.pop("epoch")
    assert trace == {
        "trace_id": "t",
        "state": "success",
        "owner": "owner",
        "started_at": "2026-01-05T12:00:00Z",
        "last_event_at": "2026-01-05T12:01:00Z",
        "ended_at": "2026-01-05T12:01:30Z",
        "duration_ms": 90_000.0,
        "last_sequence": 0,
        "event_count": 0,
        "error_count": 2,
        "lost_count": 0,
        "metadata": {"a": 1},
        "name": "",
        "conversation": "",
        "tags": [],
        "model_calls": 0,
        "tool_calls": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost": None,
    }
    other = client_of(User.objects.create_user("other"))
    assert other.get("/api/traces/t").content == other.get("/api/traces/none").content
    assert other.get("/api/traces/t").status_code == 404
    assert client_of(None).get("/api/traces/t").status_code in (401, 403)


@pytest.mark.parametrize("trace_id", ["A-Z.a_z~0:9@-", "events", "x" * 128, "stream"])
def test_every_trace_id_has_its_address(viewer: User, trace_id: str) -> None:
    """With a slash behind it, and without."""
    make(trace_id)
    for path in (f"/api/traces/{trace_id}", f"/api/traces/{trace_id}/", f"/api/traces/{trace_id}/events"):
        assert client_of(viewer).get(path).json()["trace_id"] == trace_id


def test_what_is_no_trace_id_is_400(viewer: User) -> None:
    """As the sockets answer with 4400."""
    for path in ("a%20b", "x" * 129, "%00"):
        assert client_of(viewer).get(f"/api/traces/{path}/").status_code == 400


@pytest.mark.parametrize("path", ["", "traces/", "traces/t/", "traces/t/events/", "traces/t/end/"])
def test_the_browsable_api(viewer: User, path: str) -> None:
    """Each page can be opened in a browser."""
    make("t")
    viewer.is_superuser = True
    viewer.save()
    response = client_of(viewer).get(f"/api/{path}", HTTP_ACCEPT="text/html")
    assert response.status_code == (405 if path.endswith("end/") else 200)
    assert "</html>" in response.content.decode()
