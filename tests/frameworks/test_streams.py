"""Runs that are streamed stop for a human, too, and go on when he has decided: what is read before that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from agents import Runner, set_trace_processors

from tests.frameworks.conftest import stored_of
from tests.frameworks.humans import Human, human
from tests.frameworks.mailers import (
    THREAD,
    Sent,
    graph_with_middleware,
    openai_agent,
    openai_options,
    outputs,
    told_by,
)
from tests.frameworks.scenarios import langgraph
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter, current_emitter
from trace_streaming.integrations.langchain import (
    TraceCallbackHandler,
    astream_with_approvals,
    stream_with_approvals,
)
from trace_streaming.integrations.openai_agents import astream_with_approvals as astream_openai
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = langgraph.ask("mail bob")


def the_tree() -> Any:
    assert recorder.flush(60)
    return tree(stored_of(Trace.objects.get().trace_id))


@pytest.fixture(autouse=True)
def _no_processors() -> Iterator[None]:
    yield
    set_trace_processors([])
    recorder.close()


def test_pieces_come_before_the_human_decides() -> None:
    """The interrupt among them, as LangGraph tells it; its reader is in nobody's trace."""
    graph = graph_with_middleware("batched", sent := Sent())
    stream = stream_with_approvals(graph, MAIL, THREAD, stream_mode="updates")
    seen = []
    for piece in stream:
        seen += piece
        assert (sent, current_emitter()) == ([], None)
        if "__interrupt__" in piece:
            break
    with human(send_mail={"decision": "approved"}):
        for piece in stream:
            seen += piece
    assert sent == ["bob"]
    assert [each for each in seen if "after_model" not in each] == ["model", "__interrupt__", "tools", "model"]
    found = the_tree()
    assert found == parsed("""
        agent solo interrupted
          llm fake-1 ok
          approval send_mail approved
        agent solo ok
          tool send_mail ok
          llm fake-1 ok"""), shown(found)
    assert Trace.objects.get().state == "success"


async def test_a_question_of_another_graph_is_its_own() -> None:
    """That is run between two pieces, with a handler of its own: it is told as its own matter."""
    graph, other = graph_with_middleware("batched", []), graph_with_middleware("batched", [])
    config = {"configurable": {"thread_id": "other"}, "callbacks": [TraceCallbackHandler(TraceEmitter("other"))]}
    async with aclosing(astream_with_approvals(graph, MAIL, THREAD, stream_mode="updates")) as pieces:
        assert await anext(pieces)
        await other.ainvoke(MAIL, config)
    assert await asyncio.to_thread(recorder.flush, 10)
    events = await asyncio.to_thread(stored_of, "other")
    assert [each["details"]["action"] for each in events if each["event"] == "approval_requested"] == ["send_mail"]


async def test_who_leaves_a_stream_is_asked_nothing() -> None:
    """What was open in its trace is abandoned, and that is unfinished."""
    graph = graph_with_middleware("batched", [])
    async with aclosing(astream_with_approvals(graph, MAIL, THREAD, stream_mode="updates")) as pieces:
        assert await anext(pieces)
    assert await asyncio.to_thread(the_tree) == parsed("agent solo abandoned|  llm fake-1 ok")
    assert not await Approval.objects.aexists()
    assert (await Trace.objects.aget()).state == "incomplete"


def test_a_stream_that_waits_for_nobody_ends_there() -> None:
    """Another goes on from there; while nothing is decided it has nothing to say."""
    graph = graph_with_middleware("batched", sent := Sent())

    def read(inputs: Any) -> list[Any]:
        with TraceEmitter("t-1"):
            return list(stream_with_approvals(graph, inputs, THREAD, wait=False, stream_mode="values"))

    someone = Human({})
    assert "__interrupt__" in read(MAIL)[-1]
    assert read(None) == []
    assert recorder.flush(60)
    someone.decide_all(decision="approved")
    assert told_by(read(None)[-1]) == "sent to bob"
    assert read(None) == []
    assert sent == ["bob"]


async def test_the_agents_sdk_streams_one_run_after_the_other() -> None:
    """Each with its events, read or not; the last one has the answer."""
    agent, options = openai_agent(sent := Sent()), openai_options({})
    kinds: list[list[str]] = []
    someone = human(send_mail={"decision": "approved"})
    await asyncio.to_thread(someone.__enter__)
    try:
        async for result in astream_openai(agent, "mail bob", **options):
            kinds.append([event.name async for event in result.stream_events() if hasattr(event, "name")])
            assert current_emitter() is None
    finally:
        await asyncio.to_thread(someone.__exit__, None, None, None)
    assert (sent, result.final_output, outputs(result)) == (["bob"], "done", "sent to bob")
    assert kinds == [["tool_called"], ["tool_output", "message_output_created"]]
    found = await asyncio.to_thread(the_tree)
    assert found == parsed("""
        agent solo interrupted
          llm fake-1 ok
          approval send_mail approved
        agent solo ok
          tool send_mail ok
          llm fake-1 ok"""), shown(found)


async def test_the_agents_sdk_streams_from_a_state_too() -> None:
    """Of a run that nobody waits for: it has one result, or, while nothing is decided, none."""
    agent = openai_agent(sent := Sent())
    state = (await Runner.run(agent, "mail bob")).to_state()

    async def read() -> list[Any]:
        async with TraceEmitter("t-1"):
            return [each async for each in astream_openai(agent, state, wait=False)]

    someone = await asyncio.to_thread(Human, {})
    assert await read() == []
    await asyncio.to_thread(recorder.flush, 10)
    await asyncio.to_thread(someone.decide_all, decision="approved")
    (result,) = await read()
    assert (result.final_output, sent) == ("done", ["bob"])
