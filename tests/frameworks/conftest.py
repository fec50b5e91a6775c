"""What the frameworks' tests share. They are skipped where the frameworks are not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.remote.test_emitter import NameIsToken  # noqa: F401  named in settings
from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.emitting.contract import Emitter
from trace_streaming.emitting.stopping import Listeners
from trace_streaming.models import Event
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.remote.sender import all_senders
from trace_streaming.stopping.listening import ear

MISSING = [name for name in ("agents", "langchain", "langgraph", "pydantic_ai") if find_spec(name) is None]
collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py")] if MISSING else []
if MISSING and "REQUIRE_ALL_TESTS" not in os.environ:
    collect_ignore.remove("test_installed.py")  # which says so, where `make test-frameworks` does not follow

# Nothing may reach another host.
os.environ |= {"LANGSMITH_TRACING": "false", "OPENAI_API_KEY": "not-a-key", "DO_NOT_TRACK": "1"}


@pytest.fixture(autouse=True)
def _project(settings: Settings) -> None:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS


@pytest.fixture(autouse=True)
def _nobody_listens_any_more() -> Iterator[None]:
    """Frameworks keep adapters, and these emitters that have not ended."""
    yield
    ear.listeners = Listeners()
    ear.look_now()


def let_in(settings: Settings) -> None:
    """The token ``writer`` may add events."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["tests.remote.test_emitter.NameIsToken"]
    user = User.objects.create_user("writer")
    user.user_permissions.add(Permission.objects.get(codename="add_event"))


NewEmitter = Callable[..., Emitter]


@pytest.fixture(params=["in the project", "elsewhere"])
def new_emitter(request: pytest.FixtureRequest, transactional_db: None, settings: Settings) -> Iterator[NewEmitter]:
    """Makes emitters, of both kinds; what they emit is stored in the test's database."""
    if request.param == "in the project":
        yield TraceEmitter
    else:
        live_server: LiveServer = request.getfixturevalue("live_server")
        settings.ALLOWED_HOSTS = ["localhost"]
        let_in(settings)

        def make(*args: Any, **options: Any) -> RemoteTraceEmitter:
            return RemoteTraceEmitter(str(live_server.url), "writer", *args, **options)

        yield make
    all_senders.close()
    recorder.close()


def stored(emitter: Emitter) -> list[dict[str, Any]]:
    """What is in the database of its trace, oldest first."""
    assert emitter.flush(60)
    return stored_of(emitter.trace_id)


def stored_of(trace_id: str) -> list[dict[str, Any]]:
    return [
        {
            "event": row.event,
            "details": orjson.loads(row.details),
            "status": row.status,
            "timestamp": row.timestamp.isoformat(timespec="microseconds"),
        }
        for row in Event.objects.filter(trace__trace_id=trace_id).order_by("sequence")
    ]


def _stay_here(event: str, args: tuple[Any, ...]) -> None:
    """Frameworks send what they are told to their makers, unless they are told not to."""
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in {"127.0.0.1", "::1"}:
        raise RuntimeError(f"A test connects to {args[1][0]}")
    if event == "socket.getaddrinfo" and args[0] not in {"127.0.0.1", "::1", "localhost", None, ""}:
        raise RuntimeError(f"A test looks for {args[0]}")


if not MISSING:
    sys.addaudithook(_stay_here)
