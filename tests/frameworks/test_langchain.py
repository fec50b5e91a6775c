"""What LangChain and LangGraph do beside the recorded scenarios, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from tests.frameworks.scenarios.langgraph import FakeModel, ask, broken, lookup, model, says, search, send_mail, weather
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter, event_emitted
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def _not_stored() -> Iterator[None]:
    with capture_events():
        yield


def config(handler: Any, **more: Any) -> dict[str, Any]:
    return {"callbacks": [handler], **more}


class Documents(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("the sea", metadata={"page": 3})]


def graph_in_a_graph(handler: Any) -> Any:
    inner = create_agent(model(says("inner")), [], name="inner")
    chain = ChatPromptTemplate.from_messages([("user", "{q}")]) | model(says("lcel")) | StrOutputParser()

    def answer(state: MessagesState) -> Any:
        return {"messages": [chain.invoke({"q": "x"}), Documents().invoke("tides")[0].page_content]}

    graph = StateGraph(MessagesState)
    graph.add_node("sub", inner)
    graph.add_node("answer", answer)
    graph.add_edge(START, "sub")
    graph.add_conditional_edges("sub", lambda state: "answer")
    return graph.compile(name="outer").invoke(ask("go"), config(handler))


def handoff(handler: Any) -> Any:
    @tool
    def transfer() -> Command[Any]:
        """Hand over."""
        return Command(goto="b", graph=Command.PARENT, update={})

    graph = StateGraph(MessagesState)
    graph.add_node("a", create_agent(model(says("", ("transfer", {}, "t1"))), [transfer], name="a"))
    graph.add_node("b", create_agent(model(says("I am b")), [], name="b"))
    graph.add_edge(START, "a")
    return graph.compile(name="swarm").invoke(ask("go"), config(handler))


def plain_chain(handler: Any) -> Any:
    chain = ChatPromptTemplate.from_messages([("user", "{q}")]) | model(says("a")) | StrOutputParser()
    return chain.invoke({"q": "x"}, config(handler))


def model_alone(handler: Any) -> Any:
    return model(says("hi")).invoke("hello", config(handler))


def model_of_texts(handler: Any) -> Any:
    return FakeListLLM(responses=["hi"]).invoke("hello", config(handler))


def tool_alone(handler: Any) -> Any:
    return search.invoke({"query": "q"}, config(handler))


def bad_arguments(handler: Any) -> Any:
    agent = create_agent(model(says("", ("broken", {"x": "no"}, "i1")), says("well")), [broken])
    return agent.invoke(ask("x"), config(handler))


def tool_that_says_it_failed(handler: Any) -> Any:
    @tool
    def soft(x: int) -> str:
        """Fails softly."""
        raise ToolException("softly")

    soft.handle_tool_error = True
    return create_agent(model(says("", ("soft", {"x": 1}, "i1")), says("done")), [soft]).invoke(
        ask("a"), config(handler)
    )


def too_many_steps(handler: Any) -> Any:
    agent = create_agent(model(*[says("", ("lookup", {"key": "z"}, f"i{n}")) for n in range(5)]), [lookup])
    return agent.invoke(ask("x"), config(handler, recursion_limit=2))


def left_stream(handler: Any) -> Any:
    agent = create_agent(model(says("hello")), [])
    stream = agent.stream(ask("stream"), config(handler), stream_mode=["messages", "updates"])
    next(stream)
    stream.close()


def left_stream_of_a_model(handler: Any) -> Any:
    stream = model(says("one two three")).stream("hi", config(handler))
    next(stream)
    stream.close()


def left_while_a_tool_runs(handler: Any) -> Any:
    release = threading.Event()

    @tool
    def slow(x: int) -> str:
        """Takes long."""
        release.wait(60)
        return "late"

    async def run() -> None:
        begun = asyncio.Event()

        @tool
        async def waits(x: int) -> str:
            """Says that it has begun."""
            begun.set()
            return await asyncio.to_thread(slow.func, x)

        agent = create_agent(model(says("", ("waits", {"x": 1}, "c1"))), [waits])
        task = asyncio.create_task(agent.ainvoke(ask("a"), config(handler)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()

    asyncio.run(run())


def stopped_before_a_node(handler: Any) -> Any:
    m = model(says("", ("lookup", {"key": "bob"}, "c1")), says("sent"))
    agent = create_agent(m, [lookup], checkpointer=InMemorySaver(), interrupt_before=["tools"])
    thread = config(handler, configurable={"thread_id": "t"})
    agent.invoke(ask("mail bob"), thread)
    return agent.invoke(None, thread)


def middleware(handler: Any) -> Any:
    m = model(says("", ("lookup", {"key": "bob"}, "c1")), says("sent"))
    asks = HumanInTheLoopMiddleware(interrupt_on={"lookup": True})
    agent = create_agent(m, [lookup], checkpointer=InMemorySaver(), middleware=[asks])
    thread = config(handler, configurable={"thread_id": "t"})
    agent.invoke(ask("mail bob"), thread)
    return agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread)


def asked_inside_of_a_tool(handler: Any) -> Any:
    inner = create_agent(model(says("", ("send_mail", {"to": "x"}, "i1")), says("inner")), [send_mail], name="inner")

    @tool
    def delegate(q: str) -> str:
        """Delegate."""
        return inner.invoke(ask(q))["messages"][-1].content

    m = model(says("", ("delegate", {"q": "x"}, "o1")), says("done"))
    agent = create_agent(m, [delegate], name="outer", checkpointer=InMemorySaver())
    thread = config(handler, configurable={"thread_id": 7})
    agent.invoke(ask("a"), thread)
    return agent.invoke(Command(resume="ok"), thread)


def asked_twice(handler: Any) -> Any:
    @tool
    def survey(x: int) -> str:
        """Asks two things."""
        return str((interrupt("first?"), interrupt("second?")))

    m = model(says("", ("survey", {"x": 1}, "i1")), says("done"))
    agent = create_agent(m, [survey], checkpointer=InMemorySaver())
    thread = config(handler, configurable={"thread_id": 7})
    agent.invoke(ask("a"), thread)
    agent.invoke(Command(resume="1"), thread)
    return agent.invoke(Command(resume="2"), thread)


def two_asked_and_one_answered(handler: Any) -> Any:
    m = model(says("", ("send_mail", {"to": "bob"}, "c1"), ("send_mail", {"to": "al"}, "c2")), says("sent"))
    agent = create_agent(m, [send_mail], checkpointer=InMemorySaver())
    thread = config(handler, configurable={"thread_id": "t"})
    asked = agent.invoke(ask("mail"), thread)["__interrupt__"]
    bob = next(each.id for each in asked if each.value["to"] == "bob")
    return agent.invoke(Command(resume={bob: "yes"}), thread)


def asked_by_a_model(handler: Any) -> Any:
    class Asking(FakeModel):
        def _generate(self, *args: Any, **options: Any) -> Any:
            interrupt("which one?")
            return super()._generate(*args, **options)

    agent = create_agent(Asking(messages=iter([says("done")])), [], checkpointer=InMemorySaver())
    thread = config(handler, configurable={"thread_id": "t"})
    agent.invoke(ask("a"), thread)
    return agent.invoke(Command(resume="the red one"), thread)


def asked_by_a_retriever(handler: Any) -> Any:
    class Asking(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document(interrupt("which one?"))]

    def answer(state: MessagesState) -> Any:
        return {"messages": [Asking().invoke("tides")[0].page_content]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    compiled = graph.compile(name="finder", checkpointer=InMemorySaver())
    thread = config(handler, configurable={"thread_id": "t"})
    compiled.invoke(ask("a"), thread)
    return compiled.invoke(Command(resume="the red one"), thread)


SHAPES: dict[Callable[[Any], Any], str] = {
    graph_in_a_graph: """
        agent outer ok
          agent inner ok
            llm fake-1 ok
          llm fake-1 ok
          step Documents ok""",
    handoff: """
        agent swarm ok
          agent a ok
            llm fake-1 ok
            tool transfer ok
          agent b ok
            llm fake-1 ok""",
    plain_chain: """
        agent RunnableSequence ok
          llm fake-1 ok""",
    model_alone: "llm fake-1 ok",
    model_of_texts: "llm FakeListLLM ok",
    tool_alone: """
        tool search ok
          tool lookup ok""",
    bad_arguments: """
        agent LangGraph ok
          llm fake-1 ok
          tool broken error
          llm fake-1 ok""",
    tool_that_says_it_failed: """
        agent LangGraph ok
          llm fake-1 ok
          tool soft error
          llm fake-1 ok""",
    too_many_steps: """
        agent LangGraph error
          llm fake-1 ok
          tool lookup ok""",
    left_stream: """
        agent LangGraph abandoned
          llm fake-1 ok""",
    left_stream_of_a_model: "llm fake-1 abandoned",
    left_while_a_tool_runs: """
        agent LangGraph cancelled
          llm fake-1 ok
          tool waits cancelled""",
    stopped_before_a_node: """
        agent LangGraph interrupted
          llm fake-1 ok
        agent LangGraph ok
          tool lookup ok
          llm fake-1 ok""",
    middleware: """
        agent LangGraph interrupted
          llm fake-1 ok
          approval lookup resumed
        agent LangGraph ok
          tool lookup ok
          llm fake-1 ok""",
    asked_inside_of_a_tool: """
        agent outer interrupted
          llm fake-1 ok
          tool delegate interrupted
            agent inner interrupted
              llm fake-1 ok
              tool send_mail interrupted
              approval send_mail resumed
        agent outer ok
          tool delegate ok
            agent inner ok
              tool send_mail ok
              llm fake-1 ok
          llm fake-1 ok""",
    asked_by_a_model: """
        agent LangGraph interrupted
          llm fake-1 interrupted
          approval fake-1 resumed
        agent LangGraph ok
          llm fake-1 ok""",
    asked_by_a_retriever: """
        agent finder interrupted
          step Asking interrupted
          approval Asking resumed
        agent finder ok
          step Asking ok""",
    asked_twice: """
        agent LangGraph interrupted
          llm fake-1 ok
          tool survey interrupted
          approval survey resumed
        agent LangGraph interrupted
          tool survey interrupted
          approval survey resumed
        agent LangGraph ok
          tool survey ok
          llm fake-1 ok""",
}


def played(shape: Callable[[Any], Any], **options: Any) -> TraceEmitter:
    emitter = TraceEmitter()
    handler = TraceCallbackHandler(emitter, **options)
    try:
        shape(handler)
    except Exception as error:
        assert "recursion" in str(error).lower(), error
    assert not handler._runs._open
    return emitter


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_other_shapes_are_trees_too(shape: Callable[[Any], Any]) -> None:
    """And nothing of a run is remembered behind its end."""
    found = tree(played(shape).events)
    assert found == parsed(SHAPES[shape]), shown(found)


def test_what_is_not_answered_yet_stays_open() -> None:
    """And is not asked for again by the run that has answered the other."""
    events = played(two_asked_and_one_answered).events
    asked = {
        event["details"]["approval_id"]: event["details"]["arguments"]["to"]
        for event in events
        if event["event"] == "approval_requested"
    }
    answered = [asked[event["details"]["approval_id"]] for event in events if event["event"] == "approval_received"]
    assert (sorted(asked.values()), answered) == (["al", "bob"], ["bob"])


def test_nodes_and_chains_are_shown_where_they_are_asked_for() -> None:
    """As steps, with agents and models inside."""
    found = tree(played(graph_in_a_graph, steps=True).events)
    assert found == parsed("""
        agent outer ok
          step sub ok
            agent inner ok
              step model ok
                llm fake-1 ok
            step RunnableCallable ok
          step answer ok
            step RunnableSequence ok
              step ChatPromptTemplate ok
              llm fake-1 ok
              step StrOutputParser ok
            step Documents ok"""), shown(found)


def test_a_models_call_has_messages_tokens_and_why_it_stopped() -> None:
    """In the words of the conventions; the agent has what it was asked, and its answer."""
    agent = create_agent(model(says("", ("lookup", {"key": "a"}, "c1")), says("done")), [lookup])
    emitter = TraceEmitter()
    thread = {"callbacks": [TraceCallbackHandler(emitter)], "configurable": {"thread_id": "t-1"}}
    agent.invoke(ask("what is a"), thread)
    details = [event["details"] for event in emitter.events]
    assert details[0]["gen_ai.conversation.id"] == "t-1"
    assert details[0]["input"] == "what is a"
    start, end = details[1], details[2]
    assert start["gen_ai.request.model"] == "fake-1"
    assert start["gen_ai.agent.name"] == "LangGraph"
    assert start["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": "what is a"}]}]
    assert (end["gen_ai.usage.input_tokens"], end["gen_ai.usage.output_tokens"]) == (11, 7)
    assert end["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert end["gen_ai.response.model"] == "fake-1-2026"
    call = {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"key": "a"}}
    assert call in end["gen_ai.output.messages"][0]["parts"]
    assert (details[3]["args"], details[3]["gen_ai.tool.call.id"]) == ({"key": "a"}, "c1")
    assert details[4]["result"] == "value of a"
    assert details[5]["history_count"] == 1  # what was sent before is not told again
    assert details[-1]["result"] == "done"


@pytest.mark.parametrize("message", [("user", "hello"), {"role": "user", "content": "hello"}, HumanMessage("hello")])
def test_an_agent_has_what_it_was_asked_however_that_was_written(message: Any) -> None:
    """Its text alone."""
    emitter = TraceEmitter()
    agent = create_agent(model(says("hi")), [])
    agent.invoke({"messages": [message]}, {"callbacks": [TraceCallbackHandler(emitter)]})
    assert emitter.events[0]["details"]["input"] == "hello"


def test_an_agent_that_goes_on_has_what_it_was_answered() -> None:
    """And not the command that carries it."""
    agent = create_agent(
        model(says("", ("send_mail", {"to": "bob"}, "c1")), says("sent")), [send_mail], checkpointer=InMemorySaver()
    )
    emitter = TraceEmitter()
    config = {"callbacks": [TraceCallbackHandler(emitter)], "configurable": {"thread_id": "t-2"}}
    (asked,) = agent.invoke(ask("mail bob"), config)["__interrupt__"]
    agent.invoke(Command(resume={asked.id: "yes"}), config)
    begun = [event["details"] for event in emitter.events if event["event"] == "agent_start"]
    assert [details["input"] for details in begun] == ["mail bob", "yes"]


@pytest.mark.parametrize(
    ("usage", "metadata"),
    [
        ({"total_cost": 0.5}, {}),
        ({}, {"token_usage": {"cost": 0.5}}),
        ({}, {"cost": 0.5, "token_usage": None}),
        ({"total_cost": "dear"}, {"cost": 0.5}),
    ],
)
def test_a_call_costs_what_its_provider_says(usage: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Wherever it says so."""
    said = says("dear")
    answer = said.model_copy(
        update={
            "usage_metadata": {**(said.usage_metadata or {}), **usage},
            "response_metadata": {**said.response_metadata, **metadata},
        }
    )
    emitter = TraceEmitter()
    model(answer).invoke("hello", {"callbacks": [TraceCallbackHandler(emitter)]})
    assert emitter.events[-1]["details"]["gen_ai.usage.cost"] == 0.5


def test_streamed_text_is_told_while_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when its first piece came."""
    pieces: list[str] = []
    emitter = TraceEmitter()
    monkeypatch.setattr(emitter, "stream_text", lambda call_id, text: pieces.append(text))
    agent = create_agent(model(says("one two three")), [])
    list(agent.stream(ask("count"), {"callbacks": [TraceCallbackHandler(emitter)]}, stream_mode="messages"))
    assert "".join(pieces) == "one two three"
    assert emitter.events[-2]["details"]["gen_ai.response.time_to_first_chunk"] > 0


def test_without_contents_nobody_reads_what_was_said() -> None:
    """Of any of the shapes: names, numbers and sizes alone."""
    emitter = TraceEmitter()
    m = model(says("the-secret", ("send_mail", {"to": "the-secret"}, "c1")), says("the-secret"))
    agent = create_agent(m, [send_mail], checkpointer=InMemorySaver())
    handler = TraceCallbackHandler(emitter, contents=False, steps=True)
    thread = {"callbacks": [handler], "configurable": {"thread_id": "t"}}
    agent.invoke(ask("the-secret"), thread)
    agent.invoke(Command(resume="the-secret"), thread)
    text = repr(emitter.events)
    assert "the-secret" not in text
    assert "args_bytes" in text
    assert "gen_ai.input.messages_bytes" in text


def test_one_handler_may_be_handed_on_again() -> None:
    """A tool that hands the same handler to an agent inside of it: nothing is told twice."""
    emitter = TraceEmitter()
    handler = TraceCallbackHandler(emitter)
    inner = create_agent(model(says("inner")), [], name="inner")

    @tool
    def delegate(q: str) -> str:
        """Delegate."""
        return inner.invoke(ask(q), {"callbacks": [handler]})["messages"][-1].content

    outer = create_agent(model(says("", ("delegate", {"q": "x"}, "o1")), says("done")), [delegate], name="outer")
    outer.invoke(ask("a"), {"callbacks": [handler]})
    found = tree(emitter.events)
    assert found == parsed("""
        agent outer ok
          llm fake-1 ok
          tool delegate ok
            agent inner ok
              llm fake-1 ok
          llm fake-1 ok"""), shown(found)


async def test_asynchronous_runs_are_told_in_their_own_thread_and_order() -> None:
    """Not from a pool of threads, in whatever order."""
    told: list[tuple[str, int]] = []

    def note(sender: object, event: Any, **kwargs: Any) -> None:
        told.append((event.event, threading.get_ident()))

    event_emitted.connect(note)
    agent = create_agent(model(says("", ("weather", {"city": "a"}, "c1")), says("done")), [weather])
    await agent.ainvoke(ask("go"), config(TraceCallbackHandler(TraceEmitter())))
    event_emitted.disconnect(note)
    assert [name for name, _ in told] == [
        *("agent_start", "llm_call_start", "llm_call_complete", "tool_call_start", "tool_call_complete"),
        *("llm_call_start", "llm_call_complete", "agent_complete"),
    ]
    assert {thread for _, thread in told} == {threading.get_ident()}


def test_a_graph_goes_on_from_its_own_question() -> None:
    """Others have asked in a thread of the same id, with a checkpointer of their own."""
    handler = TraceCallbackHandler(emitter := TraceEmitter())
    thread = config(handler, configurable={"thread_id": "same"})
    agents = [
        create_agent(
            model(says("", ("send_mail", {"to": to}, "c1")), says("sent")), [send_mail], checkpointer=InMemorySaver()
        )
        for to in ("bob", "al")
    ]
    for agent in agents:
        agent.invoke(ask("mail"), thread)
    agents[1].invoke(Command(resume="yes"), thread)
    asked = [e["details"] for e in emitter.events if e["event"] == "approval_requested"]
    (answered,) = [e["details"] for e in emitter.events if e["event"] == "approval_received"]
    assert answered["approval_id"] == asked[1]["approval_id"]
    assert [each["arguments"] for each in asked] == [{"to": "bob"}, {"to": "al"}]


WITHOUT_LANGGRAPH = """
import sys
sys.modules[sys.argv[1]] = None
import django
django.setup()
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from trace_streaming import TraceEmitter
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.testing import capture_events

assert TraceCallbackHandler.__bases__ == (BaseCallbackHandler,)

@tool
def search(query: str) -> str:
    "Search."
    return query

emitter = TraceEmitter()
chain = ChatPromptTemplate.from_messages([("user", "{query}")]) | (lambda prompt: {"query": "x"}) | search
with capture_events():
    assert chain.invoke({"query": "x"}, {"callbacks": [TraceCallbackHandler(emitter)]}) == "x"
print(*(event["event"] for event in emitter.events))
"""


@pytest.mark.parametrize("missing", ["langgraph", "langgraph.callbacks"])
def test_langchain_alone_suffices(missing: str) -> None:
    """Where LangGraph is not there, or older than its callbacks."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "cuga_site.settings"}
    command = [sys.executable, "-c", WITHOUT_LANGGRAPH, missing]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["agent_start", "tool_call_start", "tool_call_complete", "agent_complete"], (
        done.stderr
    )
