"""Tool calls as blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from trace_streaming import TraceEmitter
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def events() -> Iterator[list[dict[str, Any]]]:
    with capture_events() as captured:
        yield captured


def parents(events: list[dict[str, Any]]) -> dict[str, str | None]:
    """Which tool's call each tool was called inside of, by the start events."""
    starts = [event["details"] for event in events if event["event"] == "tool_call_start"]
    tools = {start["call_id"]: start["tool"] for start in starts}
    return {start["tool"]: tools.get(start.get("parent_call_id")) for start in starts}


def test_a_block_is_a_start_and_a_completion(events: list[dict[str, Any]]) -> None:
    """The pair shares an id, and the completion has the result and how long it took."""
    with TraceEmitter("t").tool_call("search", query="ada") as call:
        call.result = ["x"]
    start, complete = events
    assert (start["event"], start["status"]) == ("tool_call_start", "pending")
    assert start["details"] == {"tool": "search", "call_id": call.call_id, "args": {"query": "ada"}}
    assert (complete["event"], complete["status"]) == ("tool_call_complete", "success")
    assert complete["details"].pop("duration_ms") >= 0
    assert complete["details"] == {"tool": "search", "call_id": call.call_id, "result": ["x"]}


@pytest.mark.parametrize("result", [0, "", False, []])
def test_an_empty_result_is_a_result(events: list[dict[str, Any]], result: object) -> None:
    """Only a result that was never set is left out."""
    with TraceEmitter().tool_call("a") as call:
        call.result = result
    with TraceEmitter().tool_call("b"):
        pass
    assert events[1]["details"]["result"] == result
    assert "result" not in events[3]["details"]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no answer"), "no answer"),
        (Unprintable(), "[unserialisable Unprintable]"),
        (KeyboardInterrupt(), ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_is_an_error_and_goes_on(events: list[dict[str, Any]], error: BaseException, text: str) -> None:
    """The trace shows what failed, and the caller's exception is the one that was raised."""
    with pytest.raises(type(error)) as raised, TraceEmitter().tool_call("crm"):
        raise error
    assert raised.value is error
    assert (events[1]["event"], events[1]["status"]) == ("tool_call_error", "error")
    assert events[1]["details"].items() >= {"error": text, "error_type": type(error).__name__, "tool": "crm"}.items()
    assert events[1]["details"]["call_id"] == events[0]["details"]["call_id"]


def test_secrets_among_the_arguments_are_hidden(events: list[dict[str, Any]]) -> None:
    """Invariant 4: arguments and results pass the redactor like any details."""
    with TraceEmitter().tool_call("login", user="ada", password="hunter2") as call:
        call.result = {"access_token": "s3cret"}
    assert "hunter2" not in str(events)
    assert "s3cret" not in str(events)


def test_any_argument_name_may_be_used(events: list[dict[str, Any]]) -> None:
    """Names of our own parameters are free for the tool's."""
    with TraceEmitter().tool_call("a", self=1, tool=2, args=3, emitter=4):
        pass
    assert events[0]["details"]["args"] == {"self": 1, "tool": 2, "args": 3, "emitter": 4}


def test_a_call_inside_another_names_it_as_parent(events: list[dict[str, Any]]) -> None:
    """Nesting is seen at any depth, and ends with the block."""
    emitter = TraceEmitter()
    with emitter.tool_call("outer"):
        with emitter.tool_call("middle"), emitter.tool_call("inner"):
            pass
        with emitter.tool_call("second"):
            pass
    with emitter.tool_call("after"):
        pass
    assert parents(events) == {"outer": None, "middle": "outer", "inner": "middle", "second": "outer", "after": None}


def test_a_call_of_another_trace_is_no_parent(events: list[dict[str, Any]]) -> None:
    """A parent is found in the same trace, past the calls of others."""
    first, second = TraceEmitter("first"), TraceEmitter("second")
    with first.tool_call("a"), second.tool_call("b"), first.tool_call("c"):
        pass
    assert parents(events) == {"a": None, "b": None, "c": "a"}


async def test_concurrent_calls_keep_apart(events: list[dict[str, Any]]) -> None:
    """Tasks that run at the same time are siblings, each with its own children."""
    emitter = TraceEmitter()
    together = asyncio.Barrier(2)

    async def branch(name: str) -> None:
        async with emitter.tool_call(name):
            await together.wait()
            async with emitter.tool_call(f"{name}.inner"):
                await together.wait()

    async with emitter.tool_call("root"):
        await asyncio.gather(branch("a"), branch("b"))
    assert parents(events) == {"root": None, "a": "root", "b": "root", "a.inner": "a", "b.inner": "b"}


def test_a_call_in_another_thread_has_no_parent(events: list[dict[str, Any]]) -> None:
    """A thread begins with nothing; what it calls is not inside of what happens to run elsewhere."""
    emitter = TraceEmitter()

    def work() -> None:
        with emitter.tool_call("thread"):
            pass

    with emitter.tool_call("main"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert parents(events) == {"main": None, "thread": None}


async def stream(emitter: TraceEmitter, tool: str) -> AsyncGenerator[int, None]:
    with emitter.tool_call(tool):
        yield 1
        yield 2


async def test_a_generator_that_is_closed_early_was_abandoned(events: list[dict[str, Any]]) -> None:
    """A consumer that has enough is no failure of the tool, and no success."""
    generator = stream(TraceEmitter(), "stream")
    await anext(generator)
    await generator.aclose()
    assert [event["event"] for event in events] == ["tool_call_start", "tool_call_complete"]
    assert (events[1]["status"], events[1]["details"]["outcome"]) == ("warning", "abandoned")


async def test_a_task_that_is_cancelled_cancels_its_calls(events: list[dict[str, Any]]) -> None:
    """Nothing has failed, and nothing was done."""
    entered = asyncio.Event()

    async def work() -> None:
        async with TraceEmitter().tool_call("slow"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (events[1]["event"], events[1]["status"]) == ("tool_call_complete", "warning")
    assert events[1]["details"]["outcome"] == "cancelled"
    assert "error" not in events[1]["details"]


async def test_a_generator_closed_by_another_task_is_nobodys_parent(events: list[dict[str, Any]]) -> None:
    """The event loop closes a forgotten generator in a task of its own; its call is over all the same."""
    emitter = TraceEmitter()
    generator = stream(emitter, "stream")
    await anext(generator)

    async def close() -> None:
        await generator.aclose()

    await asyncio.create_task(close())
    with emitter.tool_call("after"):
        pass
    assert parents(events) == {"stream": None, "after": None}


async def test_a_generator_closed_inside_a_block_leaves_the_block_its_calls(events: list[dict[str, Any]]) -> None:
    """Blocks of a generator and of its consumer may end in any order; each call still finds its parent."""
    emitter = TraceEmitter()
    generator = stream(emitter, "stream")
    await anext(generator)
    with emitter.tool_call("outer"):
        await generator.aclose()
        with emitter.tool_call("inner"):
            pass
    assert parents(events)["inner"] == "outer"
