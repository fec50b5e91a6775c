"""What an orchestrator holds."""

from __future__ import annotations

import asyncio
import enum
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.dispatch import Signal
from django.urls import get_script_prefix, set_script_prefix
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from trace_streaming import CANONICAL_EVENTS, TraceEmitter, current_emitter, event_emitted, trace_ended
from trace_streaming.emitting.project_events import make_event
from trace_streaming.events import TraceEnd, TraceEvent, TraceStart
from trace_streaming.events.freezing import JSON
from trace_streaming.exceptions import InvalidTraceIdError, NonCanonicalEventError, NonCanonicalStatusError
from trace_streaming.signals import flush_requested, trace_started
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def captured() -> Iterator[list[dict[str, Any]]]:
    with capture_events() as events:
        yield events


@contextmanager
def receiving(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


class Unhashable(str):
    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class Name(enum.StrEnum):
    PLAN = "plan_created"
    RUNNING = "running"


def test_an_event_has_the_five_fields_of_the_contract(captured: list[dict[str, Any]]) -> None:
    """Orchestrators read ``emitter.events``; receivers are given the same."""
    emitter = TraceEmitter("t-1")
    emitter.emit("plan_created", {"steps": 3}, "success")
    (event,) = emitter.events
    assert list(event) == ["event", "trace_id", "timestamp", "details", "status"]
    assert (event["event"], event["trace_id"], event["details"], event["status"]) == (
        "plan_created",
        "t-1",
        {"steps": 3},
        "success",
    )
    assert datetime.fromisoformat(event["timestamp"]).tzinfo == UTC
    assert captured == [event]


def test_details_and_status_may_be_left_out() -> None:
    """No details are an empty object, and an event is pending until somebody says otherwise."""
    emitter = TraceEmitter()
    emitter.emit("plan_created")
    assert (emitter.events[0]["details"], emitter.events[0]["status"]) == ({}, "pending")


@pytest.mark.parametrize("trace_id", [None, ""])
def test_no_trace_id_means_a_new_one(trace_id: str | None) -> None:
    """Each emitter without an id has a trace of its own."""
    assert TraceEmitter(trace_id).trace_id != TraceEmitter(trace_id).trace_id


def test_a_bad_trace_id_is_refused_at_construction() -> None:
    """The mistake is seen where it is made, not at the first event."""
    with pytest.raises(InvalidTraceIdError):
        TraceEmitter("a b")


def test_an_emitter_is_always_true() -> None:
    """Callers write ``emitter or TraceEmitter()``."""
    emitter = TraceEmitter()
    assert (emitter or TraceEmitter()) is emitter


@pytest.mark.parametrize(
    ("event", "status", "error"),
    [
        ("no_such_event", "success", NonCanonicalEventError),
        (["plan_created"], "success", NonCanonicalEventError),
        ("plan_created", "done", NonCanonicalStatusError),
    ],
)
def test_a_callers_mistake_emits_nothing(
    captured: list[dict[str, Any]], event: Any, status: str, error: type[ValueError]
) -> None:
    """An unknown name is an error at the line that has it, and reaches nobody."""
    emitter = TraceEmitter()
    with pytest.raises(error, match=r"^Non-canonical"):
        emitter.emit(event, {}, status)
    assert emitter.events == captured == []


@pytest.mark.parametrize("name", [*CANONICAL_EVENTS, Name.PLAN, Unhashable("plan_created")])
def test_every_canonical_event_can_be_emitted(name: str) -> None:
    """By text, by enum member, or by any other kind of text."""
    emitter = TraceEmitter()
    emitter.emit(name, {}, Name.RUNNING)
    assert [type(emitter.events[0][key]) for key in ("event", "status")] == [str, str]


def test_a_project_may_declare_more_events(settings: Settings) -> None:
    """Declared names can be emitted from then on; the canonical ones stay as they are."""
    emitter = TraceEmitter()
    with pytest.raises(NonCanonicalEventError):
        emitter.emit("memory_read")
    settings.TRACE_STREAMING_EXTRA_EVENTS = ["memory_read"]
    emitter.emit("memory_read")
    emitter.emit("plan_created")
    assert frozenset(CANONICAL_EVENTS) == TraceEmitter.CANONICAL_EVENTS


def test_later_changes_to_details_change_nothing(captured: list[dict[str, Any]]) -> None:
    """An event is what was true when it was emitted."""
    details = {"plan": {"steps": [1]}}
    emitter = TraceEmitter()
    emitter.emit("plan_created", details)
    details["plan"]["steps"].append(2)
    assert emitter.events[0]["details"] == captured[0]["details"] == {"plan": {"steps": [1]}}
    assert details == {"plan": {"steps": [1, 2]}}


def test_get_trace_is_a_copy() -> None:
    """Who changes the trace that was handed out does not change the emitter's."""
    emitter = TraceEmitter()
    emitter.emit("plan_created", {"steps": [1]})
    emitter.get_trace()[0]["details"]["steps"].append(2)
    emitter.get_trace().clear()
    assert emitter.events[0]["details"] == {"steps": [1]}


def test_no_secret_passes_the_emitter(caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 4: not to ``events``, a receiver, a log, nor what is stored of the trace itself."""
    seen: list[TraceEvent] = []

    def fail(event: TraceEvent, **kwargs: Any) -> None:
        seen.append(event)
        raise ValueError(event)

    details = {"password": "hunter2", "call": [{"apiKey": "hunter2"}], "tool": "login"}
    emitter = TraceEmitter(metadata=details)
    with receiving(event_emitted, fail):
        emitter.emit("plan_created", details)
    assert seen[0].tool_name == "login"
    assert "hunter2" not in f"{seen} {emitter.events} {emitter.get_trace()} {caplog.text}"
    assert details["password"] == "hunter2"


def forgets_to_return(details: dict[str, JSON]) -> None:
    details.clear()


def fails(details: dict[str, JSON]) -> dict[str, JSON]:
    raise ValueError(details)


def adds_nan(details: dict[str, JSON]) -> dict[str, JSON]:
    return {"duration_ms": float("nan")}


@pytest.mark.parametrize("redactor", [f"{__name__}.forgets_to_return", f"{__name__}.fails", "no.such.redactor"])
def test_details_that_a_redactor_fails_on_are_hidden_whole(
    settings: Settings, captured: list[dict[str, Any]], caplog: pytest.LogCaptureFixture, redactor: str
) -> None:
    """Invariants 3 and 4: a project's broken redactor neither fails an emit nor lets anything through."""
    settings.TRACE_STREAMING_REDACTOR = redactor
    TraceEmitter().emit("plan_created", {"note": "hunter2"})
    assert captured[0]["details"] == {"redacted": "[redacted:redactor failed]"}
    assert "redactor fails" in caplog.text
    assert "hunter2" not in caplog.text


def test_what_a_redactor_returns_is_json_too(settings: Settings) -> None:
    """A redactor that returns what JSON cannot carry does not break the stream."""
    settings.TRACE_STREAMING_REDACTOR = f"{__name__}.adds_nan"
    emitter = TraceEmitter()
    emitter.emit("plan_created", {})
    event, _ = make_event("t", "plan_created", {}, "pending")
    assert event.duration_ms is None
    json.dumps(emitter.events, allow_nan=False)


def test_receivers_that_raise_break_nothing(captured: list[dict[str, Any]]) -> None:
    """Invariant 3: the emit returns, and the other receivers have the event."""
    later: list[object] = []

    def fail(**kwargs: Any) -> None:
        raise RuntimeError

    def receive(event: TraceEvent, **kwargs: Any) -> None:
        later.append(event.event)

    with receiving(event_emitted, fail), receiving(event_emitted, receive), receiving(trace_ended, fail):
        emitter = TraceEmitter()
        emitter.emit("plan_created")
        emitter.end()
    assert later == ["plan_created"]
    assert len(captured) == 1


async def test_asynchronous_receivers_break_nothing_under_a_loop(
    captured: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 3: they cannot be sent to here; that is logged, and everybody else has the event."""

    async def receive(**kwargs: Any) -> None:
        pytest.fail("nobody waits for it")

    with receiving(event_emitted, receive):
        TraceEmitter().emit("plan_created")
    assert len(captured) == 1
    assert [record.levelno for record in caplog.records if record.name.startswith("trace_streaming")] == [logging.ERROR]


def test_an_emit_does_not_wait_for_who_forgets_events(settings: Settings) -> None:
    """Whoever comes next does it for all; nothing is forgotten twice, or not counted."""
    settings.TRACE_STREAMING_EMITTER_EVENTS = 10
    emitter = TraceEmitter("t")

    def work() -> None:
        for _ in range(50):
            emitter.emit("plan_created")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    with emitter._forgetting:
        threads[0].start()
        threads[0].join(60)
        assert not threads[0].is_alive()
    for thread in threads[1:]:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    assert (len(emitter.events), emitter.get_golden_signals()["total_events"]) == (10, 200)


def test_threads_emit_at_the_same_time_without_loss(captured: list[dict[str, Any]]) -> None:
    """One emitter may be shared by threads; each thread's events keep their order."""
    emitter = TraceEmitter()

    def work(thread: int) -> None:
        for number in range(200):
            emitter.emit("route_decision", {"thread": thread, "number": number})

    threads = [threading.Thread(target=work, args=[thread]) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for events in (captured, emitter.events):
        for number in range(4):
            mine = [event["details"]["number"] for event in events if event["details"]["thread"] == number]
            assert mine == list(range(200))


async def test_aemit_gives_others_their_turn() -> None:
    """A task that does nothing but emit starves nobody."""
    other = asyncio.create_task(asyncio.sleep(0, "done"))
    emitter = TraceEmitter()
    while not other.done():
        await emitter.aemit("route_decision")
        assert len(emitter.events) < 10
    assert emitter.events


@pytest.mark.parametrize("offset", [0, 5])
def test_a_given_time_is_told_in_utc(offset: int) -> None:
    """Whatever zone it was given in, the same moment is stored."""
    given = datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=offset)))
    event, _ = make_event("t", "plan_created", {}, "pending", timestamp=given)
    assert (event.timestamp, event.timestamp.tzinfo) == (given, UTC)


def ends() -> tuple[list[TraceEnd], Callable[..., None]]:
    found: list[TraceEnd] = []

    def receive(end: TraceEnd, **kwargs: Any) -> None:
        found.append(end)

    return found, receive


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "success"), (ValueError, "error"), (asyncio.CancelledError, "incomplete"), (GeneratorExit, "success")],
)
async def test_a_block_ends_its_trace(error: type[BaseException] | None, state: str) -> None:
    """With success, or with error when an exception passes; sync and async alike."""

    def leave() -> None:
        if error is not None:
            raise error

    found, receive = ends()
    raised: list[type[BaseException]] = []
    with receiving(trace_ended, receive):
        try:
            with TraceEmitter("sync"):
                leave()
        except BaseException as passed:
            raised.append(type(passed))
        try:
            async with TraceEmitter("async"):
                leave()
        except BaseException as passed:
            raised.append(type(passed))
    assert [(end.trace_id, end.state) for end in found] == [("sync", state), ("async", state)]
    assert raised == ([] if error is None else [error, error])


def test_the_first_end_counts() -> None:
    """Who ends a trace inside its block has the last word, and the duration stops there."""
    found, receive = ends()
    with receiving(trace_ended, receive), TraceEmitter() as emitter:
        emitter.end("incomplete")
        duration = emitter.get_duration_ms()
        emitter.end("error")
    assert [end.state for end in found] == ["incomplete"]
    assert emitter.ended
    assert emitter.get_duration_ms() == duration > 0


def test_owner_and_metadata_are_announced_before_any_event() -> None:
    """The owner may watch before the first event; metadata is redacted like details. Invariant 4."""
    starts: list[TraceStart] = []

    def receive(start: TraceStart, **kwargs: object) -> None:
        starts.append(start)

    with receiving(trace_started, receive):
        TraceEmitter("of-nobody")
        TraceEmitter("t", owner=User(pk=7), metadata={"model": "x", "password": "hunter2"})
    (start,) = starts
    assert (start.trace_id, start.owner_id) == ("t", 7)
    assert json.loads(start.metadata) == {"model": "x", "password": "[redacted:key]"}


@pytest.mark.parametrize("owner", ["ada", 7, Group(pk=7)], ids=["name", "key", "another model"])
def test_an_owner_is_a_user(owner: Any) -> None:
    """A name is none, and a row of another model has the key of somebody else."""
    with pytest.raises(TypeError, match="The owner of a trace is a user"):
        TraceEmitter(owner=owner)


def test_an_owner_is_whoever_authentication_says() -> None:
    """Nobody, and a user that only a token tells of."""
    starts: list[TraceStart] = []

    def receive(start: TraceStart, **kwargs: object) -> None:
        starts.append(start)

    with receiving(trace_started, receive):
        TraceEmitter(owner=AnonymousUser())  # type: ignore[arg-type]
        TraceEmitter(owner=SimpleNamespace(pk=7))  # type: ignore[arg-type]
        TraceEmitter(owner=SimpleLazyObject(lambda: User(pk=8)))  # type: ignore[arg-type]
    assert [start.owner_id for start in starts] == [None, 7, 8]


def test_a_script_that_has_not_set_django_up_is_told_so() -> None:
    """Nobody listens there: what is lost is logged, once. Invariant 9."""
    program = """
import logging
logging.basicConfig()
from trace_streaming import TraceEmitter
with TraceEmitter() as emitter:
    emitter.emit("plan_created")
    emitter.emit("plan_created")
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=90, capture_output=True)
    assert ran.stderr.decode().count("What is emitted is lost: Django is not set up") == 1


def test_an_unknown_end_state_is_refused() -> None:
    """A typing error does not end the trace."""
    emitter = TraceEmitter()
    with pytest.raises(ValueError, match="Not an end state: done"):
        emitter.end("done")
    assert not emitter.ended


def test_golden_signals_are_those_of_the_events() -> None:
    """The emitter hands its own events and duration over."""
    with TraceEmitter("t-1") as emitter, emitter.tool_call("search"):
        pass
    signals = emitter.get_golden_signals()
    assert (signals["trace_id"], signals["total_steps"], signals["total_events"]) == ("t-1", 1, 2)
    assert signals["duration_ms"] == emitter.get_duration_ms()


def test_the_innermost_block_has_the_current_emitter() -> None:
    """Code deep inside emits to the trace it runs in, without being handed an emitter."""
    assert current_emitter() is None
    with TraceEmitter() as outer:
        with TraceEmitter() as inner:
            assert current_emitter() is inner
            inner.end()
            assert current_emitter() is outer
        assert current_emitter() is outer
    assert current_emitter() is None


async def test_tasks_have_their_own_current_emitter() -> None:
    """Concurrent tasks do not see each other's blocks; a thread that a task starts sees its own."""
    together = asyncio.Barrier(2)

    async def task() -> bool:
        async with TraceEmitter() as emitter:
            await together.wait()
            return current_emitter() is emitter and await asyncio.to_thread(current_emitter) is emitter

    assert all(await asyncio.gather(task(), task()))
    assert current_emitter() is None


async def stream() -> AsyncGenerator[TraceEmitter, None]:
    with TraceEmitter() as emitter:
        yield emitter
        yield emitter


def sync_stream() -> Generator[TraceEmitter, None, None]:
    with TraceEmitter() as emitter:
        yield emitter
        yield emitter


async def close_elsewhere(generator: AsyncGenerator[TraceEmitter, None]) -> None:
    """As the event loop closes a generator that was forgotten: in a task of its own."""

    async def close() -> None:
        await generator.aclose()

    await asyncio.create_task(close())


async def test_a_generator_closed_by_another_task_leaves_no_current_emitter() -> None:
    """Its trace ended with success, and nobody emits to it any more."""
    found, receive = ends()
    generator = stream()
    with receiving(trace_ended, receive):
        await anext(generator)
        await close_elsewhere(generator)
    assert [end.state for end in found] == ["success"]
    assert current_emitter() is None


async def test_an_async_generator_closed_inside_a_block_leaves_the_block_its_emitter() -> None:
    """Blocks of a generator and of its consumer may end in any order."""
    generator = stream()
    await anext(generator)
    with TraceEmitter() as emitter:
        await generator.aclose()
        assert current_emitter() is emitter
    assert current_emitter() is None


def test_a_generator_closed_inside_a_block_leaves_the_block_its_emitter() -> None:
    """The same without a loop."""
    generator = sync_stream()
    next(generator)
    with TraceEmitter() as emitter:
        generator.close()
        assert current_emitter() is emitter
    assert current_emitter() is None


async def test_a_long_task_that_closes_generators_early_holds_none_of_their_traces() -> None:
    """A worker that lives for days must not gather the events of every stream it left."""
    generator = stream()
    left = weakref.ref(await anext(generator))
    await close_elsewhere(generator)
    del generator
    with TraceEmitter():
        gc.collect()
        assert left() is None


@pytest.mark.parametrize("stored", [True, False])
async def test_flush_tells_whether_everything_is_stored(stored: bool) -> None:
    """Every receiver is asked; one that is not done, or fails, is enough for a no."""

    def answer(timeout: float | None, **kwargs: Any) -> bool:
        assert timeout == 1.5
        return stored

    with receiving(flush_requested, answer):
        assert TraceEmitter().flush(1.5) is stored
        assert await TraceEmitter().aflush(1.5) is stored
        assert not TraceEmitter().flush(2)


@pytest.mark.parametrize("prefix", ["/", "/below/"])
def test_an_emitter_knows_its_page(prefix: str) -> None:
    """To be handed to whoever asked for the run; below a prefix, too."""
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        assert TraceEmitter("a:b@c~1").url == f"{prefix}dashboard/traces/a:b@c~1"
    finally:
        set_script_prefix(before)


def test_without_the_routes_there_is_no_page(settings: Settings) -> None:
    """A project may serve sockets alone."""
    urls = ModuleType("urls")
    vars(urls)["urlpatterns"] = []
    settings.ROOT_URLCONF = urls
    assert TraceEmitter("t").url == ""
