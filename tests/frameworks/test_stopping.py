"""Somebody asks a run to stop: its framework ends it before the next model or tool, and the trace says so."""

from __future__ import annotations

import asyncio
import inspect
import operator
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic
from typing import Annotated, Any, TypedDict

import pytest
from agents import Agent, RunConfig, Runner, function_tool, set_trace_processors
from agents.exceptions import AgentsException
from django.db import connections
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy
from pydantic_ai.models.function import DeltaToolCall, FunctionModel
from pytest_django import Settings

from tests.frameworks.conftest import NewEmitter, stored
from tests.frameworks.frameworks import ADAPTERS
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.frameworks.trees import parsed, shown, tree, unordered
from trace_streaming import TraceEmitter
from trace_streaming.emitting.contract import Emitter
from trace_streaming.emitting.stopping import Listeners, Stop
from trace_streaming.exceptions import StopRequestedError
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.models import Trace
from trace_streaming.stopping import listening
from trace_streaming.stopping.requests import request_stop
from trace_streaming.testing import capture_events

Ask = Callable[[], None]
"""What asks the run to stop; a tool, or a model while it answers."""


class Seen:
    """What has run: models by the names of what they call, and tools."""

    def __init__(self, ask: Ask, *, by: str) -> None:
        self.ran: list[str] = []
        self._ask = ask
        self._by = by

    def model(self) -> None:
        """A model answers, and calls ``first``, or, the second time, ``second``."""
        self.ran.append("model")
        if self._by == f"model {self.ran.count('model')}":
            self._ask()

    def tool(self, name: str) -> str:
        self.ran.append(name)
        if self._by == name:
            self._ask()
        return name


def with_langgraph(seen: Seen, handler: Any, way: str) -> Any:
    @tool
    def first() -> str:
        """The first."""
        return seen.tool("first")

    @tool
    def second() -> str:
        """The second."""
        return seen.tool("second")

    class Asking(langgraph.FakeModel):
        def _generate(self, *args: Any, **options: Any) -> Any:
            seen.model()
            return super()._generate(*args, **options)

    turns = iter(
        [langgraph.says("", ("first", {}, "c1")), langgraph.says("", ("second", {}, "c2")), langgraph.says("x")]
    )
    agent = create_agent(Asking(messages=turns), [first, second], name="solo")
    config = {"callbacks": [handler]}

    async def streamed() -> list[Any]:
        return [each async for each in agent.astream(langgraph.ask("go"), config)]

    ways: dict[str, Callable[[], Any]] = {
        "invoke": lambda: agent.invoke(langgraph.ask("go"), config),
        "ainvoke": lambda: asyncio.run(agent.ainvoke(langgraph.ask("go"), config)),
        "stream": lambda: list(agent.stream(langgraph.ask("go"), config)),
        "astream": lambda: asyncio.run(streamed()),
    }
    return ways[way]()


def with_openai_agents(seen: Seen, processor: Any, way: str) -> Any:
    @function_tool
    async def first() -> str:
        """The first."""
        return seen.tool("first")

    @function_tool
    async def second() -> str:
        """The second."""
        return seen.tool("second")

    class Asking(openai_agents.ScriptedModel):
        async def get_response(self, *args: Any, **options: Any) -> Any:
            seen.model()
            return await super().get_response(*args, **options)

    turns = [[openai_agents.call("first", "c1")], [openai_agents.call("second", "c2")], [openai_agents.text("x")]]
    agent = Agent("solo", model=Asking(*turns), tools=[first, second])
    set_trace_processors([processor])
    options: Any = {"hooks": processor.hooks, "run_config": RunConfig(workflow_name="case")}

    async def streamed() -> None:
        result = Runner.run_streamed(agent, "go", **options)
        async for _ in result.stream_events():
            pass

    try:
        ways: dict[str, Callable[[], Any]] = {
            "run": lambda: asyncio.run(Runner.run(agent, "go", **options)),
            "run_streamed": lambda: asyncio.run(streamed()),
        }
        return ways[way]()
    finally:
        set_trace_processors([])


def with_pydantic_ai(seen: Seen, capability: Any, way: str) -> Any:
    left = [("first", "c1"), ("second", "c2"), "x"]
    scripted: Any = pydantic_ai.scripted(
        *[turn if isinstance(turn, str) else [(turn[0], {}, turn[1])] for turn in left]
    )

    def respond(messages: Any, info: Any) -> Any:
        seen.model()
        return scripted.function(messages, info)

    async def stream(messages: Any, info: Any) -> AsyncIterator[Any]:
        seen.model()
        turn = left.pop(0)
        yield turn if isinstance(turn, str) else {0: DeltaToolCall(turn[0], "{}", tool_call_id=turn[1])}

    model = FunctionModel(respond, stream_function=stream, model_name="fake-1")
    agent = pydantic_ai.agent(model, [capability])

    @agent.tool_plain
    async def first() -> str:
        return seen.tool("first")

    @agent.tool_plain
    async def second() -> str:
        return seen.tool("second")

    async def streamed() -> None:
        async with agent.run_stream("go") as result:
            await result.get_output()

    def synchronously() -> Any:
        with asyncio.Runner() as runner:  # it makes a loop that nobody closes
            asyncio.set_event_loop(runner.get_loop())
            return agent.run_sync("go")

    async def iterated() -> None:
        async with agent.iter("go") as run:
            async for _ in run:
                pass

    ways: dict[str, Callable[[], Any]] = {
        "run": lambda: asyncio.run(agent.run("go")),
        "run_sync": synchronously,
        "run_stream": lambda: asyncio.run(streamed()),
        "iter": lambda: asyncio.run(iterated()),
    }
    return ways[way]()


RUNS: dict[str, Callable[[Seen, Any, str], Any]] = {
    "langgraph": with_langgraph,
    "openai_agents": with_openai_agents,
    "pydantic_ai": with_pydantic_ai,
}
WAYS = [
    *(("langgraph", way) for way in ("invoke", "ainvoke", "stream", "astream")),
    *(("openai_agents", way) for way in ("run", "run_streamed")),
    *(("pydantic_ai", way) for way in ("run", "run_sync", "run_stream", "iter")),
]
STOPS = {
    "model 1": (["model"], "agent solo cancelled|  llm fake-1 ok"),
    "first": (["model", "first"], "agent solo cancelled|  llm fake-1 ok|  tool first ok"),
    "model 2": (
        ["model", "first", "model"],
        "agent solo cancelled|  llm fake-1 ok|  tool first ok|  llm fake-1 ok",
    ),
    "nobody": (
        ["model", "first", "model", "second", "model"],
        "agent solo ok|  llm fake-1 ok|  tool first ok|  llm fake-1 ok|  tool second ok|  llm fake-1 ok",
    ),
}
"""By who asks: what has run, and the tree."""


def without_stops(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if not event["event"].startswith(("stop_", "plan_"))]


@pytest.mark.parametrize("by", STOPS)
@pytest.mark.parametrize(("framework", "way"), WAYS)
def test_it_ends_before_the_next_model_or_tool(framework: str, way: str, by: str) -> None:
    """Which never begins, and is not shown; what the exception passes is cancelled, and it is told once."""
    with capture_events():
        emitter = TraceEmitter()
        seen = Seen(lambda: emitter.tell_stop(Stop("ada", "too dear")), by=by)
        adapter = ADAPTERS[framework](emitter)
        if by == "nobody":
            RUNS[framework](seen, adapter, way)
        else:
            with pytest.raises(StopRequestedError, match=r"asked to stop by ada: too dear") as caught:
                RUNS[framework](seen, adapter, way)
            assert (caught.value.requested_by, caught.value.comment) == ("ada", "too dear")
    ran, expected = STOPS[by]
    assert seen.ran == ran
    found = tree(without_stops(emitter.events))
    assert found == parsed(expected), shown(found)
    assert not adapter._agents if framework == "pydantic_ai" else not adapter._runs._open
    heard = [(event["details"], event["status"]) for event in emitter.events if event["event"] == "stop_received"]
    assert heard == [({"requested_by": "ada", "comment": "too dear"}, "warning")] * (by != "nobody")
    ends = [event["status"] for event in emitter.events if event["details"].get("outcome") == "cancelled"]
    assert ends == ["warning"] * (by != "nobody")


@pytest.mark.parametrize(
    ("framework", "way"), [("langgraph", "ainvoke"), ("openai_agents", "run"), ("pydantic_ai", "run")]
)
def test_a_run_does_not_begin_where_it_was_asked_before(framework: str, way: str) -> None:
    """Nor does another in the same trace."""
    with capture_events():
        emitter = TraceEmitter()
        emitter.tell_stop(Stop())
        adapter = ADAPTERS[framework](emitter)
        for _ in range(2):
            seen = Seen(lambda: None, by="nobody")
            with pytest.raises(StopRequestedError, match=r"^This run was asked to stop"):
                RUNS[framework](seen, adapter, way)
            assert seen.ran == []
    assert tree(without_stops(emitter.events)) == parsed("agent solo cancelled|agent solo cancelled")
    assert [event["event"] for event in emitter.events].count("stop_received") == 1


@pytest.fixture
def _ear(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its thread looks often, and is gone before the database is."""
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.02)
    yield
    listening.ear.listeners = Listeners()
    listening.ear.look_now()
    until(lambda: not any(thread.name == "trace-stops" for thread in threading.enumerate()))


def until(condition: Callable[[], object]) -> None:
    end = monotonic() + 20
    while not condition():
        assert monotonic() < end, "not within 20 seconds"
        threading.Event().wait(0.005)


def ask_to_stop(emitter: Emitter) -> None:
    """As another process does; and wait until it is known here."""

    def ask() -> None:
        try:
            request_stop(Trace.objects.get(trace_id=emitter.trace_id), user=None, channel="api", comment="enough")
        finally:
            connections.close_all()

    assert emitter.flush(60)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    emitter.emit("plan_created")  # with its answer a program elsewhere learns of it
    until(lambda: emitter.stop_requested)


@pytest.mark.usefixtures("_ear")
@pytest.mark.parametrize("framework", RUNS)
def test_a_trace_of_the_adapters_own_is_incomplete(framework: str, new_emitter: NewEmitter) -> None:
    """Whether it is told in the project or elsewhere."""
    made: list[Emitter] = []

    def make(**options: Any) -> Emitter:
        made.append(new_emitter(**options))
        return made[-1]

    seen = Seen(lambda: ask_to_stop(made[0]), by="first")
    with pytest.raises(StopRequestedError, match=r"^This run was asked to stop: enough"):
        RUNS[framework](
            seen, ADAPTERS[framework](new_emitter=make), WAYS[[name for name, _ in WAYS].index(framework)][1]
        )
    (emitter,) = made
    events = stored(emitter)
    assert seen.ran == ["model", "first"]
    found = tree(without_stops(events))
    assert found == parsed(STOPS["first"][1]), shown(found)
    assert sorted(event["event"] for event in events if event["event"].startswith("stop_")) == [
        *("stop_received", "stop_requested"),
    ]
    assert emitter.ended
    assert emitter.flush(60)
    assert Trace.objects.get(trace_id=emitter.trace_id).state == "incomplete"


class Documents(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("the sea")]


@tool
def never(query: str) -> str:
    """Not called."""
    raise AssertionError


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch"])
@pytest.mark.parametrize(
    "last", [langgraph.model(), FakeListLLM(responses=["hi"]), Documents(), never], ids=lambda each: type(each).__name__
)
def test_whatever_a_chain_comes_to(last: Any, way: str) -> None:
    """Models of messages or texts, retrievers and tools; prompts and functions run on."""
    with capture_events():
        emitter = TraceEmitter()

        def halt(asked: str) -> str:
            emitter.tell_stop(Stop())
            return asked

        chain = RunnableLambda(halt) | RunnableLambda(str) | last
        config: Any = {"callbacks": [TraceCallbackHandler(emitter)]}
        with pytest.raises(StopRequestedError):
            if way == "ainvoke":
                asyncio.run(chain.ainvoke("go", config))
            elif way == "batch":
                chain.batch(["go"], config)
            else:
                chain.invoke("go", config)
    found = tree(without_stops(emitter.events))
    assert found == parsed("agent RunnableSequence cancelled"), shown(found)


class Walk(TypedDict):
    been: Annotated[list[str], operator.add]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_node_does_not_begin_either(way: str) -> None:
    """Of a graph that calls no model; what it has done by then is kept, and it goes on from there in another trace."""
    with capture_events():
        emitter = TraceEmitter()

        def first(state: Walk) -> Any:
            emitter.tell_stop(Stop())
            return {"been": ["first"]}

        graph = StateGraph(Walk)
        graph.add_node("first", first)
        graph.add_node("second", lambda state: {"been": ["second"]}, retry_policy=RetryPolicy(initial_interval=0.001))
        graph.add_edge(START, "first").add_edge("first", "second")
        compiled = graph.compile(checkpointer=InMemorySaver(), name="walk")
        thread: Any = {"configurable": {"thread_id": "t"}}
        config = thread | {"callbacks": [TraceCallbackHandler(emitter)]}

        async def streamed() -> None:
            async for _ in compiled.astream({"been": []}, config):
                pass

        ways: dict[str, Callable[[], Any]] = {
            "invoke": lambda: compiled.invoke({"been": []}, config),
            "ainvoke": lambda: asyncio.run(compiled.ainvoke({"been": []}, config)),
            "stream": lambda: list(compiled.stream({"been": []}, config)),
            "astream": lambda: asyncio.run(streamed()),
        }
        with pytest.raises(StopRequestedError):
            ways[way]()
        assert compiled.get_state(thread).values == {"been": ["first"]}
        again = thread | {"callbacks": [TraceCallbackHandler(TraceEmitter())]}
        assert compiled.invoke(None, again) == {"been": ["first", "second"]}
    found = tree(without_stops(emitter.events))
    assert found == parsed("agent walk cancelled"), shown(found)


def test_nodes_that_run_beside_it_are_cancelled() -> None:
    """One of them asks; in the graph inside of the other no node begins any more, so that nobody knows it for one."""
    with capture_events():
        emitter = TraceEmitter()
        ran: list[str] = []
        inner = StateGraph(Walk)
        inner.add_node("never", lambda state: ran.append("never"))
        inner.add_edge(START, "never")
        begun, asked = threading.Event(), threading.Event()

        def ask(state: Walk) -> Any:
            assert begun.wait(60)
            emitter.tell_stop(Stop())
            asked.set()
            return {"been": ["ask"]}

        def wait(state: Walk, config: RunnableConfig) -> Any:
            begun.set()
            assert asked.wait(60)
            return inner.compile(name="inner").invoke(state, config)

        graph = StateGraph(Walk)
        graph.add_node("ask", ask)
        graph.add_node("wait", wait)
        graph.add_edge(START, "ask").add_edge(START, "wait")
        with pytest.raises(StopRequestedError):
            graph.compile(name="walk").invoke({"been": []}, {"callbacks": [TraceCallbackHandler(emitter, steps=True)]})
    assert ran == []
    found = tree(without_stops(emitter.events))
    assert unordered(found) == unordered(
        parsed("""
        agent walk cancelled
          step ask ok
          step wait cancelled
            step inner cancelled""")
    ), shown(found)


def test_a_graph_inside_of_a_tool_ends_all_around_it() -> None:
    """Each of them is cancelled."""
    with capture_events():
        emitter = TraceEmitter()

        @tool
        def halt() -> str:
            """Stop."""
            emitter.tell_stop(Stop())
            return ""

        inner = create_agent(langgraph.model(langgraph.says("", ("halt", {}, "i1"))), [halt], name="inner")

        @tool
        def delegate() -> str:
            """Delegate."""
            return str(inner.invoke(langgraph.ask("x")))

        outer = create_agent(langgraph.model(langgraph.says("", ("delegate", {}, "o1"))), [delegate], name="outer")
        with pytest.raises(StopRequestedError):
            outer.invoke(langgraph.ask("go"), {"callbacks": [TraceCallbackHandler(emitter)]})
    found = tree(without_stops(emitter.events))
    assert found == parsed("""
        agent outer cancelled
          llm fake-1 ok
          tool delegate cancelled
            agent inner cancelled
              llm fake-1 ok
              tool halt ok"""), shown(found)


def test_who_swallows_it_is_told_again() -> None:
    """A fallback is asked no more than what it is for."""
    with capture_events():
        emitter = TraceEmitter()
        emitter.tell_stop(Stop())
        chain = langgraph.model().with_fallbacks([langgraph.model(langgraph.says("well"))])
        for _ in range(2):
            with pytest.raises(StopRequestedError):
                chain.invoke("go", {"callbacks": [TraceCallbackHandler(emitter)]})
    assert [event["event"] for event in emitter.events].count("stop_received") == 1


async def test_of_an_agent_nothing_begins() -> None:
    """Its instructions are not made any more."""
    ran: list[str] = []

    def instructions(context: Any, agent: Any) -> str:
        ran.append("instructions")
        return ""

    with capture_events():
        emitter = TraceEmitter()
        emitter.tell_stop(Stop())
        set_trace_processors([processor := TraceProcessor(emitter)])
        agent = Agent("solo", instructions=instructions, model=openai_agents.ScriptedModel())
        with pytest.raises(StopRequestedError):
            await Runner.run(agent, "go", hooks=processor.hooks)
    set_trace_processors([])
    assert ran == []


def test_the_sdk_knows_it_for_one_of_its_own() -> None:
    """Of any other it makes a ``UserError``."""
    with capture_events():
        emitter = TraceEmitter()
        seen = Seen(lambda: emitter.tell_stop(Stop()), by="model 1")
        with pytest.raises(AgentsException) as caught:
            with_openai_agents(seen, ADAPTERS["openai_agents"](emitter), "run")
    assert isinstance(caught.value, StopRequestedError)


HOOKS = [name for name in vars(TraceCallbackHandler) if name.startswith("on_")]


@pytest.mark.parametrize("name", HOOKS)
def test_nothing_else_leaves_a_hook(name: str) -> None:
    """LangChain is told to raise what does: whatever it is called with, by whatever version, that is nothing."""
    handler = TraceCallbackHandler(TraceEmitter())
    assert handler.raise_error
    hook: Any = getattr(handler, name)
    known = inspect.signature(hook).parameters.values()
    for nonsense in (object(), [], None):
        given = [nonsense for each in known if each.kind is each.POSITIONAL_OR_KEYWORD]
        with capture_events():
            hook(*given, run_id=nonsense, parent_run_id=nonsense)
            hook(*given, run_id=nonsense)
            hook()
