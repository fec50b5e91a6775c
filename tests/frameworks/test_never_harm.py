"""Whatever fails on our side, a framework returns and raises what it does without us, and one line says what to do."""

from __future__ import annotations

import inspect
import logging
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from time import monotonic
from typing import Any, cast

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from pydantic_ai.tools import DeferredToolRequests
from pytest_django import Settings

from tests.frameworks.frameworks import CASES, Case
from trace_streaming import TraceEmitter
from trace_streaming.integrations.openai_agents import TraceHooks, TraceProcessor
from trace_streaming.integrations.pydantic_ai import TraceCapability
from trace_streaming.integrations.tracer import Tracer
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.remote.sender import all_senders
from trace_streaming.testing import capture_events

LOG = "trace_streaming.integrations.tracer"
Break = Callable[[Settings, pytest.MonkeyPatch], dict[str, Any]]


class BrokenEmitter(TraceEmitter):
    def emit(self, *args: Any, **kwargs: Any) -> None:
        raise SystemExit("an emitter that ends the process")

    def stream_text(self, call_id: str, text: str) -> None:
        raise RuntimeError


class DeafEmitter(TraceEmitter):
    def check_stop(self) -> None:
        raise SystemExit("nobody can say whether it is to stop")


def fail(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("not this")


def names_are_not_declared(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    return {"emitter": TraceEmitter()}


def the_redactor_raises(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.fail"
    return {"emitter": TraceEmitter()}


def the_database_is_away(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    settings.TRACE_STREAMING_RECORDER = "inline"  # it is not let in without the fixture for it
    return {}


def the_server_is_away(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"emitter": RemoteTraceEmitter("http://127.0.0.1:9", "token")}


def details_cannot_be_shown(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(Tracer, "content", fail)
    return {"emitter": TraceEmitter()}


def there_is_no_emitter(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    def unconfigured(**options: Any) -> Any:
        raise ImproperlyConfigured

    return {"new_emitter": unconfigured}


def the_emitter_raises(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"emitter": BrokenEmitter()}


def the_emitter_cannot_say_whether_to_stop(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"emitter": DeafEmitter()}


def the_owner_is_unknown(settings: Settings, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"owner": fail}


FAILURES: dict[Break, str] = {
    names_are_not_declared: "TRACE_STREAMING_EXTRA_EVENTS = trace_streaming.AGENT_EVENTS",
    the_redactor_raises: "",
    the_database_is_away: "",
    the_server_is_away: "",
    details_cannot_be_shown: "ValueError",
    there_is_no_emitter: "ImproperlyConfigured",
    the_emitter_raises: "SystemExit",
    the_emitter_cannot_say_whether_to_stop: "SystemExit",
    the_owner_is_unknown: "ValueError",
}
"""And what the one line of the adapter's log says; the others are told of by whoever fails."""


@pytest.fixture(scope="module", autouse=True)
def _senders_end() -> Iterator[None]:
    yield
    for sender in list(all_senders._senders.values()):
        sender.close(0)


IDS = re.compile(r"[0-9a-f-]{8,}|asyncio_\d+|ThreadPoolExecutor\S+")


def comparable(result: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(result, dict):
        return {key: comparable(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [comparable(value) for value in result]
    if hasattr(result, "content"):
        return [type(result).__name__, result.content, getattr(result, "tool_calls", None)]
    return result if isinstance(result, int | float | None) else IDS.sub("", str(result))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_is_what_it_is_without_us(case: Case) -> None:
    """Where nothing fails."""
    with capture_events():
        assert comparable(case.run(case.adapter(TraceEmitter()))) == comparable(case.run())


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(("break_it", "said"), FAILURES.items(), ids=[each.__name__ for each in FAILURES])
def test_a_run_is_what_it_is_whatever_fails_here(
    case: Case,
    break_it: Break,
    said: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the adapter itself cannot do is one line of its log; the rest is told by whoever fails."""
    expected = comparable(case.run())
    adapter = case.adapter(**break_it(settings, monkeypatch))
    recorded = nullcontext() if break_it is the_database_is_away else capture_events()
    with recorded, caplog.at_level(logging.WARNING, LOG):
        assert comparable(case.run(adapter)) == expected
    lines = [record.getMessage() for record in caplog.records if record.name == LOG]
    assert (len(lines) >= bool(said), said in "".join(lines)) == (True, True), lines
    assert len(lines) <= 1


@contextmanager
def a_database_that_hangs() -> Iterator[dict[str, Any]]:
    """Somebody else writes, and goes on writing."""
    database = connections["default"].settings_dict["NAME"]
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield {}
        assert not recorder.flush(0)
        other.execute("ROLLBACK")
    assert recorder.flush(30)


@contextmanager
def a_server_that_hangs() -> Iterator[dict[str, Any]]:
    """It takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        emitter = RemoteTraceEmitter(f"http://127.0.0.1:{server.getsockname()[1]}", "token")
        yield {"emitter": emitter}
        assert not emitter.flush(0)
        emitter._sender.close(0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.scenario in {"sequential", "subagent", "handoffs"}], ids=str
)
@pytest.mark.parametrize("hanging", [a_database_that_hangs, a_server_that_hangs])
def test_a_run_waits_for_nothing_of_ours(
    case: Case, hanging: Callable[[], AbstractContextManager[dict[str, Any]]]
) -> None:
    """It is over while nothing of it can be stored; were one event waited for, that would take ten seconds and more."""
    expected = comparable(case.run())
    with hanging() as options:
        adapter, started = case.adapter(**options), monotonic()
        assert comparable(case.run(adapter)) == expected
        assert monotonic() - started < 10


@pytest.mark.parametrize("name", [name for name in vars(TraceHooks) if name.startswith("on_")])
async def test_nothing_of_ours_leaves_a_hook_of_the_agents_sdk(name: str) -> None:
    """Whatever it is called with, by whatever version."""
    hook: Any = getattr(TraceProcessor(TraceEmitter()).hooks, name)
    for nonsense in (object(), [], None):
        with capture_events():
            assert await hook(*[nonsense for _ in inspect.signature(hook).parameters]) is None


@pytest.mark.parametrize("name", [name for name in vars(TraceProcessor) if name.startswith("on_")])
def test_nothing_of_ours_leaves_a_processor(name: str) -> None:
    """The same of spans and traces."""
    hook: Any = getattr(TraceProcessor(TraceEmitter()), name)
    for nonsense in (object(), [], None):
        with capture_events():
            assert hook(nonsense) is None


WRAPPED = {
    "wrap_run": (),
    "wrap_model_request": ("request_context",),
    "wrap_tool_validate": ("call", "tool_def", "args"),
    "wrap_tool_execute": ("call", "tool_def", "args"),
}


@pytest.mark.parametrize("name", WRAPPED)
async def test_nothing_of_ours_leaves_a_capability(name: str) -> None:
    """What it wraps is called once, with what it was given, and what it returns or raises is what comes of it."""
    wrap: Any = getattr(TraceCapability(TraceEmitter()), name)
    for nonsense in (object(), [], None):
        called: list[Any] = []

        async def handler(*args: Any, called: list[Any] = called) -> str:
            called.extend(args)
            if len(called) > 1:
                raise LookupError
            return "result"

        given = dict.fromkeys(WRAPPED[name], nonsense)
        handed_on = [] if name == "wrap_run" else [nonsense]
        with capture_events():
            assert await wrap(nonsense, handler=handler, **given) == "result"
            assert called == handed_on
            called += [1, 2]
            with pytest.raises(LookupError):
                await wrap(nonsense, handler=handler, **given)


async def test_nothing_of_ours_leaves_what_a_capability_is_asked() -> None:
    """Of errors and of deferred tools."""
    capability, error, nonsense = TraceCapability(TraceEmitter()), LookupError(), object()
    with pytest.raises(LookupError) as caught:
        await capability.on_run_error(cast("Any", nonsense), error=error)
    assert caught.value is error
    requests = DeferredToolRequests()
    assert await capability.handle_deferred_tool_calls(cast("Any", nonsense), requests=requests) is None
