"""A model is sent its whole conversation with every call; what was stored once is not stored again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.emitting import histories
from trace_streaming.events.conversations import Conversations
from trace_streaming.testing import capture_events

INPUT = "gen_ai.input.messages"
SYSTEM = {"role": "system", "content": "You are kind."}


@pytest.fixture(autouse=True)
def events(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    with capture_events() as captured:
        yield captured


def texts(messages: list[Any]) -> list[str]:
    return [message["parts"][0]["content"] if message["parts"] else message["count"] for message in messages]


def starts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["details"] for event in events if event["event"] == "llm_call_start"]


def sent(events: list[dict[str, Any]]) -> list[list[str]]:
    """What each call sent, put together."""
    conversations = Conversations(events)
    return [texts(conversations.messages(start["call_id"])) for start in starts(events)]


def conversation(emitter: TraceEmitter, turns: int, *, agent_each_turn: bool = False) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [SYSTEM]
    for turn in range(turns):
        messages.append({"role": "user", "content": f"question {turn} " + "of many words " * 20})
        if agent_each_turn:
            with emitter.agent("solo"), emitter.llm_call("m", messages=messages):
                pass
        else:
            with emitter.llm_call("m", messages=messages):
                pass
        messages.append({"role": "assistant", "content": f"answer {turn} " + "of many words " * 20})
    return messages


@pytest.mark.parametrize("agent_each_turn", [False, True])
def test_a_conversation_takes_as_many_bytes_as_it_is_long(
    events: list[dict[str, Any]], *, agent_each_turn: bool
) -> None:
    """100 turns store twice what 50 do, and each call reads back whole."""
    emitter = TraceEmitter()
    messages = conversation(emitter, 100, agent_each_turn=agent_each_turn)
    sizes = [len(orjson.dumps(start)) for start in starts(events)]
    half, whole = sum(sizes[:50]), sum(sizes)
    assert whole < 2.1 * half
    assert whole < 2.5 * len(orjson.dumps(messages))
    assert max(sizes[10:]) < 2 * min(sizes[10:])
    assert sent(events)[-1] == [message["content"] for message in messages[:-1]]
    assert (starts(events)[1]["history_count"], len(starts(events)[1][INPUT])) == (2, 2)


def test_what_was_changed_since_is_stored_again(events: list[dict[str, Any]]) -> None:
    """Whoever shortens or edits the conversation sees what the model was really sent."""
    messages: list[dict[str, Any]] = [SYSTEM, {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    emitter = TraceEmitter()
    for change in (lambda: None, lambda: messages[1].update(content="edited"), lambda: messages.pop(1)):
        change()
        with emitter.llm_call("m", messages=messages):
            pass
    assert sent(events) == [["You are kind.", "a", "b"], ["You are kind.", "edited", "b"], ["You are kind.", "b"]]


def test_agents_that_talk_at_the_same_time_go_on_from_their_own(events: list[dict[str, Any]]) -> None:
    """Each call goes on from the one with the most of the same messages."""
    emitter = TraceEmitter()

    async def talk(name: str) -> None:
        messages: list[dict[str, Any]] = [SYSTEM]
        async with emitter.agent("worker"):
            for turn in range(20):
                messages.append({"role": "user", "content": f"{name} {turn}"})
                async with emitter.llm_call("m", messages=messages):
                    await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(talk(name) for name in "abcd"))

    asyncio.run(all_of_them())
    assert sum(len(start[INPUT]) for start in starts(events)) == 1 + 4 * 20
    for whole in sent(events):
        assert whole == ["You are kind.", *(f"{whole[1][0]} {turn}" for turn in range(len(whole) - 1))]


def test_the_plain_form_and_plain_events_have_histories_too(events: list[dict[str, Any]]) -> None:
    """Whoever says what a model was sent."""
    emitter = TraceEmitter()
    emitter.open_span("llm_call", "m", call_id="a", details={INPUT: [SYSTEM]})
    emitter.emit("llm_call_start", {"call_id": "b", INPUT: [SYSTEM, {"role": "user", "content": "x"}]})
    emitter.emit("llm_call_start", {"call_id": "c", INPUT: "a text"})
    assert starts(events)[1].items() >= {"history_call_id": "a", "history_count": 1}.items()
    assert sent(events) == [["You are kind."], ["You are kind.", "x"], ["a text"]]


class Message:
    """As clients have them: neither a dictionary nor text."""

    def __init__(self, content: str) -> None:
        self.content = content

    def model_dump(self) -> dict[str, Any]:
        return {"role": "assistant", "content": self.content}


def test_messages_of_any_class_are_compared_by_what_they_hold(events: list[dict[str, Any]]) -> None:
    """Also where an object was changed in place."""
    emitter = TraceEmitter()
    mine = Message("a")
    for text in ("a", "a", "b"):
        mine.content = text
        with emitter.llm_call("m", messages=[SYSTEM, mine]):
            pass
    assert [len(start[INPUT]) for start in starts(events)] == [2, 0, 1]


def test_of_messages_that_are_too_long_the_first_and_the_last_stay(events: list[dict[str, Any]]) -> None:
    """500 KiB: the system's word and the newest are there, and how many are missing is said."""
    messages = [SYSTEM, *({"role": "user", "content": f"{n} " + "long text " * 1000} for n in range(50))]
    emitter = TraceEmitter()
    for last in ("the last", "the very last"):
        messages.append({"role": "user", "content": last})
        with emitter.llm_call("m", messages=messages):
            pass
    first, second = sent(events)
    assert (first[0], first[-1], second[-2:]) == ("You are kind.", "the last", ["the last", "the very last"])
    assert sum(text if isinstance(text, int) else 1 for text in first) == 52
    assert sum(text if isinstance(text, int) else 1 for text in second) == 53
    assert 100 * 1024 < len(orjson.dumps(starts(events)[0])) <= 240 * 1024
    assert len(orjson.dumps(starts(events)[1])) < 1024


@pytest.mark.parametrize("letter", ["a b ", "é ", "漢 ", '"\n', "\x01 "])
def test_one_message_that_is_too_long_is_shortened_where_it_is(events: list[dict[str, Any]], letter: str) -> None:
    """The system's and the last, each of half a MiB, whatever their letters take."""
    huge = letter * (512 * 1024 // len(letter))
    messages = [{"role": "system", "content": "S" + huge}, *[{"role": "user", "content": huge}] * 3]
    with TraceEmitter().llm_call("m", messages=[*messages, {"role": "user", "content": "L" + huge}]):
        pass
    told = starts(events)[0][INPUT]
    assert (told[0]["parts"][0]["content"][0], told[-1]["parts"][0]["content"][0]) == ("S", "L")
    assert len(orjson.dumps(starts(events)[0])) <= 240 * 1024


def test_secrets_in_messages_are_hidden(events: list[dict[str, Any]]) -> None:
    """Invariant 4: what is remembered to compare is seen by nobody."""
    emitter = TraceEmitter()
    messages = [{"role": "user", "content": "my password=hunter2-xyz"}]
    for _ in range(2):
        with emitter.llm_call("m", messages=messages):
            pass
        messages.append({"role": "user", "content": "and card 4111 1111 1111 1111"})
    assert "hunter2" not in str(events)
    assert "4111 1111" not in str(events)


def cyclic(size: int) -> dict[str, Any]:
    """Objects of which each knows all."""
    nodes: list[dict[str, Any]] = [{"role": "user", "n": n} for n in range(size)]
    for node in nodes:
        node["all"] = nodes
    return nodes[0]


def test_objects_that_know_each_other_cost_no_more_than_their_size(events: list[dict[str, Any]]) -> None:
    """Each is shown once, however many ways lead to it."""
    with TraceEmitter().llm_call("m", messages=[cyclic(40)]):
        pass
    TraceEmitter().emit("plan_created", {"node": cyclic(40)})
    assert all(len(orjson.dumps(event["details"])) < 10_000 for event in events)


def thread_milliseconds(emitter: TraceEmitter, messages: list[Any]) -> float:
    began = time.thread_time()
    emitter.emit("llm_call_start", {"call_id": f"c{len(messages)}", INPUT: messages})
    return (time.thread_time() - began) * 1000


def test_what_was_stored_before_costs_next_to_nothing() -> None:
    """A hundredth of what it cost when it was new. Invariant 13."""
    words = "the quick brown fox jumps over the lazy dog and runs away from all of it "
    messages = [{"role": "user", "content": f"{n} {words * 14}"} for n in range(200)]
    emitter = TraceEmitter()
    new = thread_milliseconds(emitter, messages)
    again = min(thread_milliseconds(emitter, [*messages, {"role": "user", "content": str(n)}]) for n in range(5))
    assert again < new / 5
    assert len(emitter.events[-1]["details"][INPUT]) <= 2


def test_threads_that_talk_at_the_same_time_lose_nothing(events: list[dict[str, Any]]) -> None:
    """One emitter in several threads: every conversation reads back whole."""
    emitter = TraceEmitter()

    def talk(name: str) -> None:
        messages: list[dict[str, Any]] = [SYSTEM]
        for turn in range(30):
            messages.append({"role": "user", "content": f"{name} {turn}"})
            with emitter.llm_call("m", messages=messages):
                pass

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = sent(events)
    assert len(whole) == 180
    for each in whole:
        assert each == ["You are kind.", *(f"{each[1][0]} {turn}" for turn in range(len(each) - 1))]


def test_a_message_that_emits_while_it_is_looked_at_is_no_deadlock(events: list[dict[str, Any]]) -> None:
    """A finalizer, or a stranger's property, may emit at any moment."""
    emitter = TraceEmitter()

    class Talking(Message):
        def model_dump(self) -> dict[str, Any]:
            emitter.emit("llm_call_start", {"call_id": "inner", INPUT: [SYSTEM]})
            return super().model_dump()

    for call_id in "ab":
        emitter.emit("llm_call_start", {"call_id": call_id, INPUT: [SYSTEM, Talking("x")]})
    assert {start["call_id"] for start in starts(events)} == {"a", "b", "inner"}


def test_what_is_remembered_is_bounded() -> None:
    """So many conversations at a time."""
    emitter = TraceEmitter()
    for number in range(2 * histories.REMEMBERED):
        emitter.emit("llm_call_start", {"call_id": str(number), INPUT: [{"role": "user", "content": str(number)}]})
    assert len(emitter._histories._sent) == histories.REMEMBERED


def test_messages_that_are_told_at_the_end_are_not_repeated_either(events: list[dict[str, Any]]) -> None:
    """Some frameworks know them only then."""
    emitter = TraceEmitter()
    first, second = {"role": "user", "content": "hi"}, {"role": "user", "content": "more"}
    for call_id, sent in (("a", [SYSTEM, first]), ("b", [SYSTEM, first, second])):
        emitter.emit("llm_call_start", {"call_id": call_id})
        emitter.emit("llm_call_complete", {"call_id": call_id, INPUT: sent}, "success")
    told = events[-1]["details"]
    assert (told["history_call_id"], told["history_count"], len(told[INPUT])) == ("a", 2, 1)


def test_parts_without_end_are_asked_for_by_nobody(events: list[dict[str, Any]]) -> None:
    """Invariant 13: of a class over list, whose iteration may never end; nor are all of very many."""

    class Endless(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise AssertionError("It is asked")

    emitter = TraceEmitter()
    for content in (Endless(["a part"]), ["a part"] * 30_000):
        emitter.emit("llm_call_start", {"call_id": "c", INPUT: [{"role": "user", "content": content}]})
    assert [message["parts"][0] for start in starts(events) for message in start[INPUT]] == ["a part", "a part"]
