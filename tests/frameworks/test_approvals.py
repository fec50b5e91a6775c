"""A human approves the tools of real frameworks, in one line each: from wherever decisions are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agents import Agent as OpenAIAgent
from agents import RunState, set_trace_processors
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt
from pydantic_ai import Agent, CallDeferred
from pydantic_ai.tools import DeferredToolRequests
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.authentication import SessionAuthentication

from tests.frameworks.conftest import let_in, stored, stored_of
from tests.frameworks.humans import Human, human
from tests.frameworks.mailers import (
    THREAD,
    WAYS,
    Outcome,
    Sent,
    Way,
    graph_with_middleware,
    openai_agent,
    pydantic_agent,
    returned,
    told_by,
    with_langchain,
    with_langchain_call_by_call,
    with_langgraph,
    with_openai_agents,
    with_pydantic_ai,
    with_pydantic_ai_deferred,
    with_pydantic_ai_streamed,
)
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.frameworks.trees import parsed, shown, tree
from tests.remote.test_emitter import NameIsToken
from tests.test_consumers import connect, receive
from trace_streaming import TraceEmitter
from trace_streaming.emitting.asking.requests import arguments_hash
from trace_streaming.emitting.decision import Decision
from trace_streaming.exceptions import OtherArgumentsError
from trace_streaming.integrations import langchain as ours_langchain
from trace_streaming.integrations import openai_agents as ours_openai
from trace_streaming.integrations import pydantic_ai as ours_pydantic
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote import RemoteTraceEmitter, pending_approvals
from trace_streaming.remote.sender import all_senders
from trace_streaming.wire.protocol import SUBPROTOCOL

ASK_AND_GO = (with_pydantic_ai_deferred, with_pydantic_ai_streamed)
"""They have an emitter of their own."""

pytestmark = pytest.mark.django_db(transaction=True)


class SessionOrToken(NameIsToken):
    """The human has a session, and the program a token."""

    def authenticate(self, request: Any) -> Any:
        if "Authorization" in request.headers:
            return super().authenticate(request)
        return SessionAuthentication().authenticate(request)


@pytest.fixture(autouse=True)
def _no_processors() -> Iterator[None]:
    set_trace_processors([])
    yield
    set_trace_processors([])
    recorder.close()


def check_the_trace(decision: str) -> dict[str, Any]:
    """There is one, with one question of the agent, and that decision; the details of both events."""
    assert recorder.flush(60)
    trace = Trace.objects.get()
    events = stored_of(trace.trace_id)
    (asked,) = [each["details"] for each in events if each["event"] == "approval_requested"]
    (answered,) = [each for each in events if each["event"] in {"approval_received", "approval_timeout"}]
    agents = {each["details"]["call_id"] for each in events if each["event"] == "agent_start"}
    assert asked["parent_call_id"] in agents
    assert (trace.name, trace.state) == ("solo", "success")
    assert answered["details"]["approval_id"] == asked["approval_id"]
    assert answered["details"].get("decision", "timeout") == decision
    return asked | answered["details"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_is_approved_is_carried_out(way: Way) -> None:
    """Once; it is shown with its arguments, and as whose call it is."""
    with human(send_mail={"decision": "approved"}) as someone:
        sent, told = way.run(risk_level="high")
    assert (sent, told) == (["bob"], "sent to bob")
    assert someone.replies == [200]
    details = check_the_trace("approved")
    assert details["arguments_hash"] == arguments_hash({"to": "bob"})
    assert (details["arguments"], details["risk_level"]) == ({"to": "bob"}, "high")
    assert details.get("call_id", "c1") == "c1"
    assert ("call_id" in details) == (way.loop is not with_langgraph)  # which has asked for no call
    assert details["decided_by"] == "ada"


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_is_rejected_is_not(way: Way) -> None:
    """The model is told why."""
    with human(send_mail={"decision": "rejected", "comment": "Not on Sundays."}):
        sent, told = way.run()
    assert sent == []
    assert "Not on Sundays." in told
    check_the_trace("rejected")


@pytest.mark.parametrize("way", [each for each in WAYS if "openai" not in str(each)], ids=str)
def test_what_is_edited_is_carried_out_so(way: Way) -> None:
    """With a human's arguments."""
    with human(send_mail={"decision": "edited", "edited": {"to": "carol"}}):
        sent, told = way.run()
    assert sent == ["carol"]
    assert told.endswith("sent to carol")
    check_the_trace("edited")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_answer_stands_in_place_of_the_tool(way: Way) -> None:
    """The model is told that, and nothing else."""
    with human(send_mail={"decision": "responded", "comment": "I have called him."}):
        sent, told = way.run()
    assert (sent, told) == ([], "I have called him.")
    check_the_trace("responded")


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_where_nobody_decides_it_is_a_no(way: Way) -> None:
    """The model is told that, too."""
    sent, told = way.run(timeout=0.05)
    assert sent == []
    assert "Nobody has decided in time." in told
    check_the_trace("timeout")


@pytest.mark.parametrize("way", [each for each in WAYS if each.is_async and each.loop not in ASK_AND_GO], ids=str)
def test_a_program_elsewhere_asks_too(
    way: Way, live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the API: the same human, the same decisions."""
    monkeypatch.setattr(pending_approvals, "LOOK_SECONDS", 0.02)
    let_in(settings)
    token = SessionOrToken.__module__ + "." + SessionOrToken.__name__
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = [token]
    try:
        with human(send_mail={"decision": "approved"}), RemoteTraceEmitter(str(live_server.url), "writer", name="solo"):
            sent, told = way.run()
    finally:
        all_senders.close()
    assert (sent, told) == (["bob"], "sent to bob")
    check_the_trace("approved")


def test_the_agents_sdk_cannot_edit() -> None:
    """It runs what the model has asked for, or nothing: a human is not offered it."""
    with human(send_mail={"decision": "edited", "edited": {"to": "carol"}}) as someone:
        sent, _ = with_openai_agents(is_async=True, timeout=0.5)
    assert (someone.replies, sent) == ([400], [])


def test_an_edit_that_the_tool_does_not_take_is_refused() -> None:
    """Where it is made: the graph would refuse it, again and again."""
    with human(send_mail={"decision": "edited", "edited": {"recipient": "carol"}}) as someone:
        sent, _ = with_langchain_call_by_call(is_async=False, timeout=0.5)
    assert (someone.replies, sent) == ([400], [])


TREE = """
    agent solo interrupted
      llm fake-1 ok
      approval send_mail approved
    agent solo ok
      tool send_mail ok
      llm fake-1 ok"""


def test_a_loop_is_one_trace_of_two_runs() -> None:
    """With the handler of the config, and in its trace; what that tells is not told twice."""
    emitter = TraceEmitter()
    config = {**THREAD, "callbacks": [ours_langchain.TraceCallbackHandler(emitter)]}
    with human(send_mail={"decision": "approved"}):
        graph = graph_with_middleware("batched", [])
        ours_langchain.run_with_approvals(graph, langgraph.ask("mail bob"), config)
    found = tree(stored(emitter))
    assert found == parsed(TREE), shown(found)
    assert not emitter.ended


@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_each_call_of_a_turn_is_asked_for(mode: str) -> None:
    """At the same time, each with the id of its call, whichever of them are alike."""
    more = ("send_mail", {"to": "carol"}, "c2"), ("send_mail", {"to": "bob"}, "c3")
    graph = graph_with_middleware(mode, sent := Sent(), *more)
    with human(send_mail={"decision": "approved"}) as someone:
        ours_langchain.run_with_approvals(graph, langgraph.ask("mail all"), THREAD)
    assert sorted(sent) == ["bob", "bob", "carol"]
    assert sorted((each["call_id"], each["arguments"]["to"]) for each in someone.asked) == [
        ("c1", "bob"),
        ("c2", "carol"),
        ("c3", "bob"),
    ]


def test_what_an_agent_inside_of_a_tool_asks_is_asked_too() -> None:
    """And the outer one goes on."""
    inner = graph_with_middleware("batched", sent := Sent())

    @tool
    def delegate(text: str) -> str:
        """Delegate."""
        return str(inner.invoke(langgraph.ask(text))["messages"][-1].text)

    script = langgraph.model(langgraph.says("", ("delegate", {"text": "go"}, "o1")), langgraph.says("all done"))
    inner.checkpointer = None  # the outer one's
    outer = create_agent(script, [delegate], checkpointer=InMemorySaver(), name="outer")
    with human(send_mail={"decision": "approved"}):
        done = ours_langchain.run_with_approvals(outer, langgraph.ask("go"), THREAD)
    assert (sent, told_by(done), done["messages"][-1].text) == (["bob"], "done", "all done")


@pytest.mark.parametrize("loop", [with_langchain, with_openai_agents, with_pydantic_ai])
async def test_a_decision_over_a_socket_goes_on_too(loop: Callable[..., Outcome], settings: Settings) -> None:
    """As the viewer decides: it shows what was asked, and sends the hash of that."""
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    settings.TRACE_STREAMING_APPROVAL_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
    async with connect("live?since=0", SUBPROTOCOL) as socket, TraceEmitter("live"), asyncio.timeout(60):
        running = asyncio.create_task(asyncio.to_thread(loop, True))
        asked: dict[str, Any] = {}
        while not asked:
            frame = await receive(socket)
            found = [each for each in frame.get("events", ()) if each["event"] == "approval_requested"]
            asked = found[0]["details"] if found else {}
        said = {"approval_id": asked["approval_id"], "arguments_hash": asked["arguments_hash"]}
        await socket.send_json_to({"type": "decide", "id": 1, "decision": "approved", **said})
        assert await running == (["bob"], "sent to bob")


def test_a_graph_asks_in_its_own_words() -> None:
    """A text is the question; what its node is handed is made as the caller says."""

    @tool
    def survey(x: int) -> str:
        """Ask two things, one after the other."""
        return f"{interrupt('Your name?')} and {interrupt(['a', 'list'])}"

    script = langgraph.model(langgraph.says("", ("survey", {"x": 1}, "c1")), langgraph.says("done"))
    graph = create_agent(script, [survey], checkpointer=InMemorySaver(), name="solo")

    def answer(decision: Decision) -> str:
        return decision.comment or decision.decision

    said = {"Your name?": {"decision": "responded", "comment": "Ada"}, "solo": {"decision": "approved"}}
    with human(**said) as someone:
        done = ours_langchain.run_with_approvals(graph, langgraph.ask("go"), THREAD, answer=answer)
    assert told_by(done) == "Ada and approved"
    assert someone.asked[1]["arguments"] == {"value": ["a", "list"]}


def test_a_timeout_that_cannot_be_told_leaves_the_graph_where_it_is() -> None:
    """Where its author allows no rejection, nobody may say one for the human."""
    sent: Sent = []

    @tool
    def send_mail(to: str) -> str:
        """Send."""
        sent.append(to)
        return "sent"

    script = langgraph.model(langgraph.says("", ("send_mail", {"to": "bob"}, "c1")), langgraph.says("done"))
    review = HumanInTheLoopMiddleware({"send_mail": {"allowed_decisions": ["approve"]}})
    graph = create_agent(script, [send_mail], middleware=[review], checkpointer=InMemorySaver(), name="solo")
    done = ours_langchain.run_with_approvals(graph, langgraph.ask("mail bob"), THREAD, timeout=0.05)
    assert "__interrupt__" in done
    assert sent == []


def test_a_graph_without_a_checkpointer_is_refused_before_it_runs() -> None:
    """It could not go on."""
    graph = create_agent(langgraph.model(langgraph.says("done")), [], name="solo")
    with pytest.raises(ValueError, match="checkpointer"):
        ours_langchain.run_with_approvals(graph, langgraph.ask("go"), THREAD)
    assert not Trace.objects.exists()


def test_a_tool_may_ask_a_question_of_pydantic_ai() -> None:
    """Whose answer is a text."""
    turns = [("ask_user", {"question": "Which one?"}, "c1")], "done"
    agent = Agent(pydantic_ai.scripted(*turns), capabilities=[ours_pydantic.TraceCapability(approvals=True)])

    @agent.tool_plain
    def ask_user(question: str) -> str:
        """Ask."""
        raise CallDeferred(kind="question")

    with human(ask_user={"decision": "responded", "comment": "The red one."}) as someone:
        done = asyncio.run(agent.run("go"))
    assert returned(done.all_messages()) == "The red one."
    assert someone.asked[0]["allowed"] == ["responded"]


async def test_where_nobody_can_be_asked_pydantic_ai_goes_on_as_without(caplog: pytest.LogCaptureFixture) -> None:
    """Its run ends with what it asks for; one line says what to do."""
    no_emitter: Any = None
    capability = ours_pydantic.TraceCapability(approvals=True, new_emitter=lambda **_: no_emitter)
    agent = pydantic_agent([], capability, output_type=[str, DeferredToolRequests])
    assert isinstance((await agent.run("mail bob")).output, DeferredToolRequests)
    (line,) = [each.getMessage() for each in caplog.records if "nobody could be asked" in each.getMessage()]
    assert "can ask" in line


def interrupted(graph: Any) -> Any:
    with TraceEmitter("t-1"):
        done = ours_langchain.run_with_approvals(graph, langgraph.ask("mail bob"), THREAD, wait=False)
    assert "__interrupt__" in done
    return done


def resumed(graph: Any) -> Any:
    with TraceEmitter("t-1"):
        return ours_langchain.run_with_approvals(graph, None, THREAD, wait=False)


def test_who_asks_and_goes_is_resumed_by_another() -> None:
    """The trace is unfinished until then; who comes too early changes nothing, and who comes again neither."""
    graph = graph_with_middleware("batched", sent := Sent())
    with human() as someone:
        interrupted(graph)
        assert recorder.flush(60)
        assert Trace.objects.get().state == "incomplete"
        assert "__interrupt__" in resumed(graph)
        assert recorder.flush(60)
        assert Trace.objects.get().state == "incomplete"
        someone.decide_all(decision="approved")
        assert told_by(resumed(graph)) == "sent to bob"
        assert told_by(resumed(graph)) == "sent to bob"
    assert sent == ["bob"]
    assert recorder.flush(60)
    assert Trace.objects.get().state == "success"
    check_the_trace_has_one_question()


def check_the_trace_has_one_question() -> None:
    assert recorder.flush(60)
    events = [event["event"] for event in stored_of(Trace.objects.get().trace_id)]
    assert (events.count("approval_requested"), events.count("approval_received")) == (1, 1)


def test_who_has_died_before_he_asked_is_stood_in_for() -> None:
    """The graph has stopped, and nobody knows: whoever comes asks."""
    graph = graph_with_middleware("batched", sent := Sent())
    graph.invoke(langgraph.ask("mail bob"), THREAD)
    with human(send_mail={"decision": "approved"}), TraceEmitter("t-1", name="solo"):
        done = ours_langchain.run_with_approvals(graph, None, THREAD)
    assert (sent, told_by(done)) == (["bob"], "sent to bob")


def test_a_decision_is_for_these_arguments_alone() -> None:
    """Invariant 14: whoever changes the state of a graph that waits has its tool asked for again."""
    graph = graph_with_middleware("batched", sent := Sent())
    with human() as someone:
        interrupted(graph)
        assert recorder.flush(60)
        someone.decide_all(decision="approved")
        approval = Approval.objects.get()
        with pytest.raises(OtherArgumentsError):
            TraceEmitter("t-1").find_decision(approval.approval_id, {"to": "mallory"})
        Approval.objects.update(arguments_hash=arguments_hash({"to": "mallory"}))
        with pytest.raises(OtherArgumentsError):
            resumed(graph)
    assert sent == []


async def test_the_agents_sdk_asks_and_goes_too() -> None:
    """With its own state, as a text, between two processes."""
    agent = openai_agent(sent := Sent())
    async with TraceEmitter("t-1"):
        asked = await ours_openai.arun_with_approvals(agent, "mail bob", wait=False)
    text = asked.to_state().to_string()

    async def resume() -> Any:
        state = await RunState.from_string(agent, text)
        async with TraceEmitter("t-1"):
            return await ours_openai.arun_with_approvals(agent, state, wait=False)

    someone = await asyncio.to_thread(Human, {})
    assert await resume() is None
    await asyncio.to_thread(someone.decide_all, decision="approved")
    assert (await resume()).final_output == "done"
    assert sent == ["bob"]
    await asyncio.to_thread(check_the_trace_has_one_question)


async def test_pydantic_ai_asks_and_goes_too() -> None:
    """With its messages between two processes; a model that counts its calls anew asks anew."""
    agent = pydantic_agent(sent := Sent(), output_type=[str, DeferredToolRequests])
    first = await agent.run("mail bob")
    asked: Any = first.output, first.all_messages()

    async def results() -> Any:
        async with TraceEmitter("t-1"):
            return await ours_pydantic.adeferred_results(*asked, wait=False)

    someone = await asyncio.to_thread(Human, {})
    assert await results() is None
    assert await results() is None
    await asyncio.to_thread(someone.decide_all, decision="approved")
    done = await agent.run(message_history=asked[1], deferred_tool_results=await results())
    assert (done.output, sent) == ("done", ["bob"])
    await asyncio.to_thread(check_the_trace_has_one_question)
    again = await pydantic_agent(sent, output_type=[str, DeferredToolRequests]).run("mail bob")
    async with TraceEmitter("t-1"):
        assert await ours_pydantic.adeferred_results(again.output, again.all_messages(), wait=False) is None


def test_what_needs_no_approval_is_run_as_ever() -> None:
    """And nobody is asked."""
    agent = OpenAIAgent("solo", model=openai_agents.ScriptedModel([openai_agents.text("hi")]))
    assert asyncio.run(ours_openai.arun_with_approvals(agent, "go")).final_output == "hi"
    assert not Approval.objects.exists()
