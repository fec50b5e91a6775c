"""The emitter outside Django keeps the contract of the one inside, against the real API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from trace_streaming import AGENT_EVENTS, CANONICAL_EVENTS, TraceEmitter, current_emitter
from trace_streaming.events.freezing import JSON
from trace_streaming.exceptions import InvalidTraceIdError, NonCanonicalEventError, NonCanonicalStatusError
from trace_streaming.models import Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.remote.sender import all_senders
from trace_streaming.storage import store

SENDER_LOG = "trace_streaming.remote.sender"


class NameIsToken(BaseAuthentication):
    """``Authorization: Token NAME``, or ``Bearer NAME``."""

    def authenticate(self, request: Any) -> tuple[Any, str]:
        token = request.headers.get("Authorization", "").partition(" ")[2]
        user = User.objects.filter(username=token).first()
        if user is None:
            raise AuthenticationFailed
        return user, token


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    all_senders.close()
    recorder.close()


@pytest.fixture
def site(transactional_db: None, live_server: LiveServer, settings: Settings) -> str:
    """URL of a server where the token ``writer`` may add events."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [f"{__name__}.NameIsToken"]
    user = User.objects.create_user("writer")
    user.user_permissions.add(Permission.objects.get(codename="add_event"))
    return str(live_server.url)


def test_a_full_trace_keeps_nobody_waiting(site: str, settings: Settings) -> None:
    """What it does not take is counted and not sent again; what comes behind that, and matters, is stored."""
    settings.TRACE_STREAMING_LIMITS = {"total_events_per_trace": 5}
    try:
        with RemoteTraceEmitter(site, "writer") as emitter:
            for _ in range(20):
                emitter.emit("plan_created", {}, "success")
            emitter.emit("tool_call_error", {}, "error")
        assert emitter.flush(60)
    finally:
        recorder._reset()
    events = [event["event"] for event in stored(emitter.trace_id)]
    assert (events.count("plan_created"), events.count("tool_call_error")) == (5, 1)
    assert Trace.objects.get().lost_count == emitter.lost == 15


def stored(trace_id: str) -> list[dict[str, Any]]:
    head = store.read_heads([trace_id])[trace_id]
    return [orjson.loads(event.text) for event in store.read_page(head.pk, 0)]


def test_what_is_emitted_is_stored_as_the_emitter_remembers_it(site: str) -> None:
    """The five fields, in order, with the sender's times; the trace is the token's user's."""
    with RemoteTraceEmitter(f"{site}/", "writer", metadata={"task": "tides", "api_key": "hunter2"}) as emitter:
        emitter.emit("plan_created", {"steps": 2, "password": "hunter2"}, "success")
        with emitter.tool_call("search", query="tides") as call:
            call.result = ["a", "b"]
        emitter.budget(10).spend(9)
    assert emitter.flush(60)
    events = stored(emitter.trace_id)
    assert [{key: event[key] for key in emitter.events[0]} for event in events] == emitter.get_trace()
    assert [event["event"] for event in events] == [
        *("plan_created", "tool_call_start", "tool_call_complete", "budget_warning"),
    ]
    assert "hunter2" not in str(emitter.events)
    trace = Trace.objects.get()
    assert trace.owner is not None
    assert (trace.owner.username, trace.state, trace.metadata["task"]) == ("writer", "success", "tides")
    assert "hunter2" not in str(trace.metadata)
    assert emitter.get_golden_signals()["total_steps"] == 1
    assert emitter.lost == 0


def test_a_trace_with_metadata_begins_before_its_first_event(site: str) -> None:
    """As it does inside a project: whoever lists traces sees it."""
    emitter = RemoteTraceEmitter(site, "writer", "t", metadata={"task": "tides"}, scheme="Bearer")
    assert emitter.flush(60)
    assert (Trace.objects.get().metadata, Trace.objects.get().state) == ({"task": "tides"}, "running")


@pytest.mark.parametrize("state", ["success", "error", "incomplete"])
def test_a_trace_ends_with_each_state(site: str, state: str) -> None:
    """Behind its last event, and once."""
    emitter = RemoteTraceEmitter(site, "writer", "t")
    emitter.emit("plan_created")
    emitter.end(state)
    emitter.end("success")
    assert emitter.flush(60)
    assert (Trace.objects.get().state, Trace.objects.get().last_sequence) == (state, 1)


def test_the_names_of_a_project_are_taken_where_both_know_them(site: str, settings: Settings) -> None:
    """And refused by the server where only the sender does."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["image_drawn"]
    emitter = RemoteTraceEmitter(site, "writer", "t", extra_events=["image_drawn", "image_lost"])
    for name in ("image_drawn", "image_lost", "plan_created"):
        emitter.emit(name)
    assert emitter.flush(60)
    assert [event["event"] for event in stored("t")] == ["image_drawn", "plan_created"]
    assert emitter.lost == 1


def test_agents_models_and_steps_need_no_names_of_the_sender(site: str, settings: Settings) -> None:
    """They are taken by themselves; the site must have declared them, and names the setting where it has not."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS[:3]
    emitter = RemoteTraceEmitter(site, "writer", "t")
    for name in AGENT_EVENTS[:9]:
        emitter.emit(name)
    assert emitter.flush(60)
    assert [event["event"] for event in stored("t")] == ["agent_start", "agent_complete", "agent_error"]
    assert emitter.lost == 6


def test_what_a_trace_is_called_reaches_the_site(site: str) -> None:
    """When it begins, and later; metadata that was said before stays."""
    emitter = RemoteTraceEmitter(site, "writer", "t", name="First", tags=["a"], metadata={"k": 1})
    emitter.name, emitter.conversation = "Second", "c-1"
    emitter.emit("plan_created")
    emitter.tags = ["b"]
    emitter.end()
    assert emitter.flush(60)
    trace = Trace.objects.get()
    assert (trace.name, trace.conversation, trace.tags, trace.metadata) == ("Second", "c-1", ["b"], {"k": 1})
    assert (trace.state, emitter.lost) == ("success", 0)


def test_blocks_and_times_of_their_own_reach_the_site(site: str, settings: Settings) -> None:
    """The same blocks as inside a project; a trace's start and end are what its events tell."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    emitter = RemoteTraceEmitter(site, "writer", "t", tracebacks=False)
    with pytest.raises(ValueError, match="no"), emitter.agent("solo"), emitter.llm_call("gpt-5"):
        raise ValueError("no")
    emitter.open_span("step", "old", call_id="s", timestamp=noon)
    emitter.end("error", timestamp=noon + timedelta(days=900))
    assert emitter.flush(60)
    events = stored("t")
    assert [event["event"] for event in events[:4]] == [
        "agent_start",
        "llm_call_start",
        "llm_call_error",
        "agent_error",
    ]
    assert "traceback" not in str(events)
    trace = Trace.objects.get()
    assert (trace.started_at, trace.ended_at, trace.state) == (noon, noon + timedelta(days=900), "error")


def test_what_the_database_refuses_for_good_is_given_up_once(
    site: str, picky_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All else is stored, in its order; who emits goes on."""
    emitter = RemoteTraceEmitter(site, "writer", "t")
    for number in range(10):
        emitter.emit("plan_created", {"n": number, "tool": picky_database if number in (3, 7) else "search"})
    assert emitter.flush(60)
    assert [event["details"]["n"] for event in stored("t")] == [0, 1, 2, 4, 5, 6, 8, 9]
    assert emitter.lost == 2
    assert [record.name for record in caplog.records if "refuses it" in record.message].count(SENDER_LOG) == 1
    emitter.emit("plan_created", {"n": 10})
    assert emitter.flush(60)
    assert (stored("t")[-1]["details"]["n"], emitter.lost) == (10, 2)


def test_strangers_and_their_events_are_turned_away(site: str) -> None:
    """Nothing is stored, nothing hangs."""
    emitter = RemoteTraceEmitter(site, "nobody", "t")
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert (emitter.lost, Trace.objects.count()) == (1, 0)


def test_the_contract_is_that_of_the_local_emitter() -> None:
    """Whatever an orchestrator calls is there."""
    public = {name for name in dir(TraceEmitter) if not name.startswith("_")}
    assert public <= set(dir(RemoteTraceEmitter))
    assert frozenset(CANONICAL_EVENTS) == RemoteTraceEmitter.CANONICAL_EVENTS
    emitter = RemoteTraceEmitter("http://127.0.0.1:9", "token", "")
    assert emitter
    assert emitter.trace_id
    assert emitter.flush(0)
    with pytest.raises(NonCanonicalEventError):
        emitter.emit("tool_called")
    with pytest.raises(NonCanonicalStatusError):
        emitter.emit("plan_created", {}, "done")
    with pytest.raises(ValueError, match="Not an end state"):
        emitter.end("done")
    with pytest.raises(InvalidTraceIdError):
        RemoteTraceEmitter("http://127.0.0.1:9", "token", "a b")
    assert emitter.events == []


@pytest.mark.parametrize(
    ("url", "token"),
    [
        *[("example.com", "t"), ("ftp://example.com", "t"), ("http://a:b", "t"), ("http://a", "t\n"), ("http://a", "")],
        *[("http://ada:fog-7731-elm@a", "t"), ("http://a/?", "t"), ("http://a/#b", "t"), ("http://a ", "t")],
    ],
)
def test_a_url_or_token_that_is_none_is_the_callers_mistake(url: str, token: str) -> None:
    """Said when the emitter is made: a thread could only log it. A password in it is not shown."""
    with pytest.raises(ValueError, match=r"URL|token") as mistake:
        RemoteTraceEmitter(url, token)
    assert "fog-7731-elm" not in str(mistake.value)


async def test_it_is_the_current_emitter_in_its_block(site: str) -> None:
    """Code that emits need not know where to."""
    async with RemoteTraceEmitter(site, "writer", "t") as emitter:
        assert current_emitter() is emitter
        await emitter.aemit("plan_created")
    assert current_emitter() is None
    assert await emitter.aflush(60)


def test_a_redactor_of_its_own(site: str) -> None:
    """What it hides never leaves the process."""

    def redact_all(details: dict[str, JSON]) -> dict[str, JSON]:
        return dict.fromkeys(details, "hidden")

    emitter = RemoteTraceEmitter(site, "writer", "t", redactor=redact_all)
    emitter.emit("plan_created", {"note": "x"})
    assert emitter.flush(60)
    assert stored("t")[0]["details"] == {"note": "hidden"} == emitter.events[0]["details"]


def test_it_is_imported_without_settings_and_without_httpx_it_says_what_is_missing() -> None:
    """In a process that is not Django's."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    program = """
import sys
from trace_streaming.remote import RemoteTraceEmitter
from django.conf import settings
assert not settings.configured
assert "django.db" not in sys.modules
for name in [name for name in sys.modules if name.startswith(("trace_streaming", "httpx"))]:
    del sys.modules[name]
sys.modules["httpx"] = None
try:
    from trace_streaming.remote import RemoteTraceEmitter
except ModuleNotFoundError as error:
    assert "django-trace-streaming[remote]" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], env=environment, check=True, timeout=90)
