"""What is handed to an emitter is a stranger's: whatever its methods do, the event is emitted, and nothing raises."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from trace_streaming import TraceEmitter
from trace_streaming.exceptions import NonCanonicalEventError
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def captured() -> Iterator[list[dict[str, Any]]]:
    with capture_events() as events:
        yield events


class HostileDict(dict[str, Any]):
    """None of its methods can be called."""

    def get(self, *key: Any) -> Any:
        raise RuntimeError("get")

    __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = keys = items = get


class HostileText(str):
    """Some of its methods end the process."""

    __slots__ = ()

    def __str__(self) -> str:
        raise SystemExit(1)

    def endswith(self, *suffix: Any) -> bool:
        raise RuntimeError("endswith")

    def __hash__(self) -> int:
        raise RuntimeError("hash")


class HostileMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("getitem")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        raise RuntimeError("len")


MESSAGES = [
    5,
    HostileMapping(),
    [HostileMapping()],
    [HostileDict(role="user", content="x")],
    [{"role": "assistant", "tool_calls": 5}],
    [{"role": "assistant", "content": None, "tool_calls": True}],
    [{"role": "user", "content": [{"type": ["text"], "text": "a"}]}],
    [{"role": "user", "content": [{"type": "text", "text": HostileText("a")}]}],
    [{"role": ["x"], "content": "y" * 300_000}, {"role": ["x"], "content": "y" * 300_000}],
]


@pytest.mark.parametrize("messages", MESSAGES)
def test_messages_of_any_form(captured: list[dict[str, Any]], messages: Any) -> None:
    """What was sent, and what was answered."""
    emitter = TraceEmitter()
    emitter.emit("llm_call_start", {"call_id": "a", "gen_ai.input.messages": messages})
    emitter.emit("llm_call_start", {"call_id": "b", "gen_ai.input.messages": messages})
    with emitter.llm_call("gpt-5", messages=messages) as call:
        call.result = messages
    assert [event["event"] for event in captured] == [*["llm_call_start"] * 3, "llm_call_complete"]


@pytest.mark.parametrize("messages", MESSAGES)
def test_an_error_of_the_agent_is_its_own(captured: list[dict[str, Any]], messages: Any) -> None:
    """Whoever catches it gets it, and the call has an end that says so."""
    with pytest.raises(ConnectionError), TraceEmitter().llm_call("gpt-5") as call:
        call.result = messages
        raise ConnectionError
    assert captured[-1]["event"] == "llm_call_error"


@pytest.mark.parametrize("event", ["plan_created", "tool_call_complete", "llm_call_start"])
@pytest.mark.parametrize("details", [["a list"], "text", HostileDict(a=1), HostileMapping()])
def test_details_of_any_kind_while_a_text_is_streamed(captured: list[dict[str, Any]], event: str, details: Any) -> None:
    """And inside of a block."""
    emitter = TraceEmitter()
    with emitter.agent("solo"):
        emitter.stream_text("c", "hello ")
        emitter.emit(event, details, "success")
    assert [each["event"] for each in captured] == ["agent_start", event, "agent_complete"]


def test_a_name_is_checked_while_a_text_is_streamed(captured: list[dict[str, Any]]) -> None:
    """As it is without."""
    emitter = TraceEmitter()
    emitter.stream_text("c", "hello ")
    with pytest.raises(NonCanonicalEventError):
        emitter.emit(None, {})  # type: ignore[arg-type]
    emitter.emit(HostileText("tool_call_complete"), {"call_id": "c"}, "success")
    assert [each["event"] for each in captured] == ["tool_call_complete"]


def test_messages_that_another_thread_changes(captured: list[dict[str, Any]]) -> None:
    """While they are looked at."""
    messages = [{"role": "user", "content": "hi", "meta": {str(number): number for number in range(300)}}]
    meta: Any = messages[0]["meta"]
    is_done, interval = threading.Event(), sys.getswitchinterval()

    def change() -> None:
        number = 0
        while not is_done.is_set():
            number += 1
            meta[f"n{number % 2000}"] = 1
            meta.pop(f"n{(number + 1000) % 2000}", None)

    changing = threading.Thread(target=change)
    sys.setswitchinterval(1e-5)
    changing.start()
    try:
        for number in range(50):
            TraceEmitter().emit("llm_call_start", {"call_id": str(number), "gen_ai.input.messages": messages})
    finally:
        is_done.set()
        changing.join()
        sys.setswitchinterval(interval)
    assert len(captured) == 50


def test_a_block_whose_start_is_refused_is_not_entered(captured: list[dict[str, Any]]) -> None:
    """What comes later is not inside of it."""
    emitter = TraceEmitter()
    refused = emitter.step("odd")
    refused.family = "no_such"  # type: ignore[misc]
    with pytest.raises(NonCanonicalEventError), refused:
        pass
    emitter.emit("plan_created")
    assert captured[-1]["details"] == {}


@pytest.mark.parametrize("timestamp", ["2026-01-05", 5])
def test_a_time_that_is_none(timestamp: Any) -> None:
    """Is a mistake that is told as the others are."""
    emitter = TraceEmitter()
    with pytest.raises(ValueError, match="a datetime is expected"):
        emitter.emit("plan_created", timestamp=timestamp)
    with pytest.raises(ValueError, match="a datetime is expected"):
        emitter.end(timestamp=timestamp)
