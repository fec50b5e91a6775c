"""Tools that the settings name wait for a human, in each framework; and run for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agents import Agent as OpenAIAgent
from agents import Runner, function_tool, set_trace_processors
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic_ai import Agent
from pytest_django import Settings

from tests.frameworks import mailers
from tests.frameworks.conftest import stored_of
from tests.frameworks.humans import human
from tests.frameworks.mailers import Outcome, Sent, outputs, returned, told_by
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming import TraceEmitter
from trace_streaming.integrations import holding
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.integrations.langchain_middleware import ApprovalMiddleware
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.integrations.openai_tools import require_approval
from trace_streaming.integrations.pydantic_ai import TraceCapability
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.signals import decision_requested
from trace_streaming.telemetry.logs import BurstLog

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = {"send_*": {"risk_level": "critical", "timeout": 60}}


@pytest.fixture(autouse=True)
def _policy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.TRACE_STREAMING_APPROVALS = POLICY
    monkeypatch.setattr(holding, "_log", BurstLog(holding.logger))
    holding._asked.clear()
    yield
    set_trace_processors([])
    recorder.close()


def langchain_agent(sent: Sent, *middleware: Any, **options: Any) -> Any:
    @tool
    def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    turns = langgraph.says("", ("send_mail", {"to": "bob"}, "c1")), langgraph.says("done")
    return create_agent(langgraph.model(*turns), [send_mail], middleware=middleware, name="solo", **options)


def with_langchain(emitter: Any = None) -> Outcome:
    agent = langchain_agent(sent := Sent(), ApprovalMiddleware())
    done = agent.invoke(langgraph.ask("mail bob"), {"callbacks": [TraceCallbackHandler(emitter)]})
    return sent, told_by(done)


def with_langchain_async(emitter: Any = None) -> Outcome:
    agent = langchain_agent(sent := Sent(), ApprovalMiddleware())
    done = asyncio.run(agent.ainvoke(langgraph.ask("mail bob"), {"callbacks": [TraceCallbackHandler(emitter)]}))
    return sent, told_by(done)


def with_langchain_streamed(emitter: Any = None) -> Outcome:
    agent = langchain_agent(sent := Sent(), ApprovalMiddleware())
    given: Any = langgraph.ask("mail bob"), {"callbacks": [TraceCallbackHandler(emitter)]}
    return sent, told_by(list(agent.stream(*given, stream_mode="values"))[-1])


def openai_agent(sent: Sent, holds: Callable[[Any], Any]) -> Any:
    @function_tool
    async def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    turns = [openai_agents.call("send_mail", "c1", to="bob")], [openai_agents.text("done")]
    return OpenAIAgent("solo", model=openai_agents.ScriptedModel(*turns), tools=holds([send_mail]))


def with_openai_agents(emitter: Any = None) -> Outcome:
    agent = openai_agent(sent := Sent(), require_approval)
    set_trace_processors([processor := TraceProcessor(emitter)])
    return sent, outputs(asyncio.run(Runner.run(agent, "mail bob", hooks=processor.hooks)))


def with_openai_agents_streamed(emitter: Any = None) -> Outcome:
    agent = openai_agent(sent := Sent(), require_approval)
    set_trace_processors([processor := TraceProcessor(emitter)])

    async def read() -> Any:
        result = Runner.run_streamed(agent, "mail bob", hooks=processor.hooks)
        async for _ in result.stream_events():
            pass
        return result

    return sent, outputs(asyncio.run(read()))


def pydantic_agent(sent: Sent, emitter: Any) -> Any:
    turns = [("send_mail", {"to": "bob"}, "c1")], "done"
    agent = Agent(pydantic_ai.scripted(*turns), name="solo", capabilities=[TraceCapability(emitter)])

    @agent.tool_plain
    def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return f"sent to {to}"

    return agent


def with_pydantic_ai(emitter: Any = None) -> Outcome:
    agent = pydantic_agent(sent := Sent(), emitter)
    return sent, returned(asyncio.run(agent.run("mail bob")).all_messages())


def with_pydantic_ai_streamed(emitter: Any = None) -> Outcome:
    agent = pydantic_agent(sent := Sent(), emitter)

    async def read() -> Any:
        async with agent.run_stream("mail bob") as result:
            await result.get_output()
        return result.all_messages()

    return sent, returned(asyncio.run(read()))


RUNS = [
    *(with_langchain, with_langchain_async, with_langchain_streamed),
    *(with_openai_agents, with_openai_agents_streamed),
    *(with_pydantic_ai, with_pydantic_ai_streamed),
]


@pytest.mark.parametrize("run", RUNS)
def test_a_tool_that_is_named_waits_for_a_human(run: Callable[[], Outcome]) -> None:
    """Who is asked as the settings say, in the run's own trace, inside of its agent."""
    with human(send_mail={"decision": "approved"}) as someone:
        assert run() == (["bob"], "sent to bob")
    (asked,) = someone.asked
    assert (asked["risk_level"], asked["arguments"], asked["call_id"]) == ("critical", {"to": "bob"}, "c1")
    assert recorder.flush(60)
    (trace,) = Trace.objects.all()
    agents = {
        each["details"]["call_id"]: each["details"]["name"]
        for each in stored_of(trace.trace_id)
        if each["event"] == "agent_start"
    }
    assert agents[asked["parent_call_id"]] == "solo"
    assert trace.state == "success"


@pytest.mark.parametrize("run", RUNS)
def test_what_is_rejected_does_not_run(run: Callable[[], Outcome]) -> None:
    """And the model is told why."""
    with human(send_mail={"decision": "rejected", "comment": "Not on Sundays."}):
        sent, told = run()
    assert (sent, told) == ([], "Not on Sundays.")


@pytest.mark.parametrize("run", RUNS)
def test_an_answer_stands_in_place_of_it(run: Callable[[], Outcome]) -> None:
    """As of any tool."""
    with human(send_mail={"decision": "responded", "comment": "I have called him."}):
        assert run() == ([], "I have called him.")


@pytest.mark.parametrize("run", [run for run in RUNS if "openai" not in run.__name__])
def test_what_is_edited_runs_so(run: Callable[[], Outcome]) -> None:
    """With a human's arguments."""
    with human(send_mail={"decision": "edited", "edited": {"to": "carol"}}):
        assert run() == (["carol"], "sent to carol")


@pytest.mark.parametrize("run", RUNS)
def test_where_nobody_decides_it_does_not_run(run: Callable[[], Outcome], settings: Settings) -> None:
    """When the time of the settings is over."""
    settings.TRACE_STREAMING_APPROVALS = {"send_mail": {"timeout": 0.05}}
    assert run() == ([], "Nobody has decided in time.")


@pytest.mark.parametrize("run", RUNS)
def test_where_nobody_can_be_asked_it_does_not_run(
    run: Callable[[], Outcome], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a project holds back is not let go because something of ours fails; the run goes on."""
    with monkeypatch.context() as patch:
        patch.setattr(decision_requested, "receivers", [])  # as where the app is not ready
        sent, told = run()
    assert (sent, told) == ([], holding.REFUSED)
    assert any("can ask" in each.getMessage() for each in caplog.records)


@pytest.mark.parametrize("run", RUNS)
def test_all_other_tools_run_as_ever(run: Callable[[], Outcome], settings: Settings) -> None:
    """Without a question."""
    settings.TRACE_STREAMING_APPROVALS = {"send_mail": None, "*": {}}
    assert run() == (["bob"], "sent to bob")
    assert not Approval.objects.exists()


@pytest.mark.parametrize("run", ["langchain", "openai"])
def test_a_tool_that_nothing_holds_back_is_told_of_once(run: str, caplog: pytest.LogCaptureFixture) -> None:
    """It runs: the adapter is a guest. One line says what to do."""
    for _ in range(2):
        if run == "langchain":
            agent = langchain_agent(sent := Sent())
            agent.invoke(langgraph.ask("mail bob"), {"callbacks": [TraceCallbackHandler()]})
        else:
            agent = openai_agent(sent := Sent(), list)
            set_trace_processors([processor := TraceProcessor()])
            asyncio.run(Runner.run(agent, "mail bob", hooks=processor.hooks))
        assert sent == ["bob"]
    (line,) = [each.getMessage() for each in caplog.records if "runs without a human" in each.getMessage()]
    assert "ApprovalMiddleware" in line


def test_a_graph_that_is_resumed_in_a_tool_asks_once_for_it() -> None:
    """It goes through the tool's beginning again: a human has decided that call already."""
    sent = Sent()

    @tool
    def send_mail(to: str) -> str:
        """Ask for more, and send."""
        sent.append(f"{to} {interrupt('which address?')}")
        return "sent"

    turns = langgraph.says("", ("send_mail", {"to": "bob"}, "c1")), langgraph.says("done")
    agent = create_agent(
        langgraph.model(*turns), [send_mail], middleware=[ApprovalMiddleware()], checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "t"}}
    with human(send_mail={"decision": "approved"}) as someone, TraceEmitter():
        agent.invoke(langgraph.ask("mail bob"), thread)
        agent.invoke(Command(resume="work"), thread)
    assert sent == ["bob work"]
    assert len(someone.asked) == 1


def test_the_policy_says_how_loops_ask_too() -> None:
    """Of a tool that its framework asks for anyway."""
    with human(send_mail={"decision": "approved"}) as someone:
        mailers.with_langchain(False, risk_level="low", timeout=1)
    assert someone.asked[0]["risk_level"] == "critical"


def test_a_held_tool_in_a_trace() -> None:
    """The question comes first; what was approved runs behind it."""
    with human(send_mail={"decision": "approved"}):
        with_langchain(emitter := TraceEmitter())
    assert emitter.flush(60)
    found = tree(stored_of(emitter.trace_id))
    text = """
        agent solo ok
          llm fake-1 ok
          approval send_mail approved
          tool send_mail ok
          llm fake-1 ok"""
    assert found == parsed(text), shown(found)
