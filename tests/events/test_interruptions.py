"""What a signal's handler raises, such as Celery's soft limit of time, reaches whom it is meant for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.events.freezing import freeze
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.integrations.asking import Question
from trace_streaming.integrations.holding import hold
from trace_streaming.signals import event_emitted, events_recorded, flush_requested

pytestmark = pytest.mark.django_db(transaction=True)


class TimeIsUpError(TimeoutError):
    """An ``Exception``, as the limits of Celery, RQ and many decorators are."""


class Slow:
    """The signal comes while it is looked at."""

    def __str__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "slow"

    def __eq__(self, other: object) -> bool:
        return str(self) == other

    __hash__ = None  # type: ignore[assignment]


def _time_is_up(number: int, frame: FrameType | None, **kwargs: Any) -> None:
    raise TimeIsUpError


@pytest.fixture(autouse=True, params=[_time_is_up, partial(_time_is_up, why="asyncio's is one, too")])
def _time_is_limited(request: pytest.FixtureRequest, settings: Settings) -> Iterator[None]:
    settings.TRACE_STREAMING_APPROVALS = {"send_mail": {"timeout": 0.1}}
    before = signal.signal(signal.SIGUSR1, request.param)
    yield
    signal.signal(signal.SIGUSR1, before)


def _receive(**_: object) -> None:
    signal.raise_signal(signal.SIGUSR1)


def emit(emitter: TraceEmitter) -> None:
    emitter.emit("plan_created", {"goal": Slow()})


def emit_to_receivers(emitter: TraceEmitter) -> None:
    event_emitted.connect(_receive)
    try:
        emitter.emit("plan_created")
    finally:
        event_emitted.disconnect(_receive)


def compare(emitter: TraceEmitter) -> None:
    for _ in range(2):
        with emitter.llm_call("gpt-5", messages=[{"role": "user", "content": Slow()}]):
            pass


def ask_to_flush(emitter: TraceEmitter) -> None:
    flush_requested.connect(_receive)
    try:
        emitter.flush(60)
    finally:
        flush_requested.disconnect(_receive)


def flush(emitter: TraceEmitter) -> None:
    """It waits for the writer, who comes to the signal first."""
    waits, is_told = threading.Event(), threading.Event()

    def interrupt(**_: object) -> None:
        assert waits.wait(60)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        while not is_told.wait(2):  # Python misses one that comes at the moment at which it begins to wait
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    events_recorded.connect(interrupt)
    try:
        emitter.emit("plan_created")
        waits.set()
        emitter.flush(60)
    finally:
        events_recorded.disconnect(interrupt)
        is_told.set()


def hold_a_tool(emitter: TraceEmitter) -> None:
    hold(Question("send_mail", {"to": Slow()}), emitter)


@pytest.mark.parametrize("work", [emit, emit_to_receivers, compare, ask_to_flush, flush, hold_a_tool])
def test_a_limit_of_time_ends_what_it_limits(work: Callable[[TraceEmitter], None]) -> None:
    """And what is emitted behind it is stored as ever."""
    emitter = TraceEmitter()
    with pytest.raises(TimeIsUpError):
        work(emitter)
    emitter.emit("plan_created")
    assert emitter.flush(60)


def test_what_a_stranger_raises_is_none() -> None:
    """Also where what it calls might be a handler, and whatever it raises."""

    class Failing:
        def __getattr__(self, name: str) -> Any:
            raise TimeIsUpError

        def __str__(self) -> str:
            raise TimeIsUpError

    assert freeze(Failing()) == "[unserialisable Failing]"
    try:
        str(Failing())
    except TimeIsUpError as error:
        assert not is_for_the_process(error)
