"""What the pages of the adapters show, run as it stands there; the agent alone is scripted."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any

import orjson
import pytest
from agents import Agent, function_tool, set_trace_processors
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import AsyncRequestFactory
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.frameworks.conftest import let_in, stored_of
from tests.frameworks.humans import Human, human
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.frameworks.trees import parsed, shown, tree
from trace_streaming.approvals import calling
from trace_streaming.emitting.asking.policies import problems
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.remote.sender import all_senders

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
APPROVALS = (PAGES.parent / "approvals.md").read_text()
BLOCK = re.compile(r"^```python\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def langchain_agent() -> Any:
    turns = langgraph.says("", ("lookup", {"key": "parcel"}, "c1")), langgraph.says("In Lisbon.")
    return create_agent(langgraph.model(*turns), [langgraph.lookup], name="support")


def openai_agent() -> Any:
    turns = [openai_agents.call("lookup", "c1", key="parcel")], [openai_agents.text("In Lisbon.")]
    return Agent("support", model=openai_agents.ScriptedModel(*turns), tools=[openai_agents.lookup])


SENT: list[str] = []
"""To whom the agents of the examples have sent."""


def send_mail(to: str) -> str:
    """Send."""
    SENT.append(to)
    return f"sent to {to}"


def langchain_shop() -> dict[str, Any]:
    turns = langgraph.says("", ("send_mail", {"to": "bob"}, "c1")), langgraph.says("Sent.")
    mail, model = tool(send_mail), langgraph.model(*turns)
    review, kept = HumanInTheLoopMiddleware({"send_mail": True}), InMemorySaver()
    mailer = create_agent(model, [mail], middleware=[review], checkpointer=kept, name="mailer")
    return {"agent": langchain_agent(), "mailer": mailer, "model": model, "send_mail": mail}


def openai_shop() -> dict[str, Any]:
    turns = [openai_agents.call("send_mail", "c1", to="bob")], [openai_agents.text("Sent.")]
    model = openai_agents.ScriptedModel(*turns)
    mailer = Agent("mailer", model=model, tools=[function_tool(send_mail, needs_approval=True)])
    return {"agent": openai_agent(), "mailer": mailer, "model": model, "send_mail": function_tool(send_mail)}


def pydantic_shop() -> dict[str, Any]:
    return {"model": pydantic_ai.scripted("In Lisbon."), "send_mail": send_mail}


SHOPS: dict[str, Callable[[], dict[str, Any]]] = {
    "langchain": langchain_shop,
    "openai-agents": openai_shop,
    "pydantic-ai": pydantic_shop,
}
WITH_A_TOOL = """
    agent support ok
      llm fake-1 ok
      tool lookup ok
      llm fake-1 ok"""
TREES = {
    "langchain": WITH_A_TOOL,
    "openai-agents": WITH_A_TOOL,
    "pydantic-ai": """
        agent support ok
          llm fake-1 ok""",
}


@pytest.fixture(params=SHOPS)
def page(request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A page, and the module that its examples have their agent from."""
    shop = ModuleType("shop.agents")
    vars(shop).update(SHOPS[request.param]())
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.agents", shop)
    SENT.clear()
    set_trace_processors([])
    yield request.param
    set_trace_processors([])
    all_senders.close()
    recorder.close()


@pytest.fixture
def _loop() -> Iterator[None]:
    """What ``run_sync`` finds, and leaves open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def run(page: str, name: str, **changes: str) -> dict[str, Any]:
    """The names that a block of the page defines."""
    blocks = dict(BLOCK.findall((PAGES / f"{page}.md").read_text()))
    code = blocks[name]
    for old, new in changes.items():
        code = code.replace(old, new)
    names: dict[str, Any] = {"__name__": f"{page}.{name}"}
    exec(compile(code, name, "exec"), names)
    return names


def says_it_will_send() -> None:
    """Of the agent whose page makes it itself: its model asks for a tool."""
    vars(sys.modules["shop.agents"])["model"] = pydantic_ai.scripted([("send_mail", {"to": "bob"}, "c1")], "Sent.")


def the_trace(page: str) -> Trace:
    """The only one that there is; it is the tree that the page promises, and has ended well."""
    all_senders.close()
    recorder.close()
    trace = Trace.objects.get()
    found = tree(stored_of(trace.trace_id))
    assert found == parsed(TREES[page]), shown(found)
    assert trace.state == "success"
    return trace


@pytest.mark.usefixtures("_loop")
def test_the_first_lines_make_a_trace(page: str) -> None:
    """Those that one pastes: five, and no more."""
    first = (PAGES / f"{page}.md").read_text().split("```python\n")[1].split("```")[0]
    assert len([line for line in first.splitlines() if line and not line.startswith("#")]) <= 5
    run(page, "script.py")
    assert the_trace(page).name


async def test_a_view_answers_and_names_its_trace(page: str) -> None:
    """It is the user's who has asked."""
    user = await User.objects.acreate(username="ada")

    async def auser() -> User:
        return user

    request = AsyncRequestFactory().get("/", {"q": "Where is my parcel?"})
    request.auser = auser
    said = orjson.loads((await run(page, "views.py")["answer"](request)).content)
    trace = await sync_to_async(the_trace)(page)
    assert said == {"answer": "In Lisbon.", "trace": f"/dashboard/traces/{trace.trace_id}"}
    assert (trace.owner_id, trace.name) == (user.pk, "answer")


@pytest.mark.usefixtures("_loop")
def test_a_task_tells_the_trace_that_it_is_given(page: str) -> None:
    """In a worker as here."""
    assert run(page, "tasks.py")["answer"].apply(args=["t-1", "Where is my parcel?"]).get() == "In Lisbon."
    assert the_trace(page).trace_id == "t-1"


@pytest.mark.usefixtures("_loop")
def test_a_command_answers(page: str) -> None:
    """With a trace of its own."""
    out = StringIO()
    command = run(page, "management/commands/ask.py")["Command"](stdout=out)
    call_command(command, "Where is my parcel?")
    assert out.getvalue() == "In Lisbon.\n"
    the_trace(page)


@pytest.mark.usefixtures("_loop")
def test_a_program_elsewhere_tells_a_server(
    page: str, live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token, and without the project's settings."""
    let_in(settings)
    monkeypatch.setenv("TRACE_TOKEN", "writer")
    run(page, "elsewhere.py", **{"https://example.com": str(live_server.url)})
    assert the_trace(page).name == "answer"


@pytest.mark.usefixtures("_loop")
def test_a_human_approves_what_an_agent_does(page: str) -> None:
    """In one line."""
    if page == "pydantic-ai":
        says_it_will_send()
    with human(send_mail={"decision": "approved"}) as someone:
        result = run(page, "approvals.py")["result"]
    assert (SENT, len(someone.asked)) == (["bob"], 1)
    assert "Sent." in str(result)


BEHIND_THE_QUESTION = {
    "langchain": ["['__interrupt__']", "['tools']"],
    "openai-agents": ["raw_response_event", "Sent."],
    "pydantic-ai": ["deferred_tool_requests", "Sent. "],
}
"""Some of what the examples print, in this order."""


def test_a_stream_waits_for_a_human(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And goes on."""
    if page == "pydantic-ai":
        says_it_will_send()
    with human(send_mail={"decision": "approved"}) as someone:
        run(page, "streaming.py")
    assert (SENT, len(someone.asked)) == (["bob"], 1)
    said = capsys.readouterr().out.splitlines()
    first, last = BEHIND_THE_QUESTION[page]
    assert said.index(first) < said.index(last)


@pytest.mark.parametrize("page", ["pydantic-ai"], indirect=True)
def test_a_stream_that_ends_at_a_question_is_followed_by_another(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """When that is answered."""
    says_it_will_send()
    with human(send_mail={"decision": "approved"}) as someone:
        run(page, "run_stream.py")
    assert (SENT, len(someone.asked), capsys.readouterr().out) == (["bob"], 1, "Sent. \n")


@pytest.mark.usefixtures("_loop")
def test_one_process_asks_and_another_goes_on(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the human has decided: the decision calls it."""
    if page == "pydantic-ai":
        says_it_will_send()
    tasks = ModuleType("shop.tasks")
    monkeypatch.setitem(sys.modules, "shop.tasks", tasks)
    tasks.resume = lambda *args: None  # type: ignore[attr-defined]  # named before it is defined
    names = run(page, "resuming.py")
    done: Queue[Any] = Queue()

    def resume(*args: str) -> None:
        """As a worker would: in a thread that has a loop, for `run_sync` to find."""
        with asyncio.Runner() as runner:
            asyncio.set_event_loop(runner.get_loop() if page == "pydantic-ai" else None)
            done.put(names["resume"].apply(args=args).get())

    tasks.resume = resume  # type: ignore[attr-defined]
    first = {"langchain": {"messages": [("user", "Mail bob")]}}.get(page, "Mail bob")
    asked = names["run"]("order-7", first)
    if inspect.iscoroutine(asked):
        asyncio.run(asked)
    assert recorder.flush(60)
    assert (SENT, Trace.objects.get().state) == ([], "incomplete")
    someone = Human({})
    someone.decide_all(decision="approved")
    done.get(timeout=60)
    assert recorder.flush(60)
    assert (SENT, Trace.objects.get().state) == (["bob"], "success")
    while (thread := calling.caller._thread) is not None:
        thread.join(60)
    resume(Approval.objects.get().approval_id, "order-7")  # as it may be called, once more
    assert SENT == ["bob"]


@pytest.mark.parametrize("page", ["langchain"], indirect=True)
def test_a_command_goes_on_with_what_was_decided(page: str) -> None:
    """It waits for the human, in a process of its own."""
    mailer = vars(sys.modules["shop.agents"])["mailer"]
    mailer.invoke({"messages": [("user", "Mail bob")]}, {"configurable": {"thread_id": "order-7"}})
    out = StringIO()
    with human(send_mail={"decision": "approved"}):
        call_command(run(page, "management/commands/resume.py")["Command"](stdout=out), "order-7")
    assert (SENT, out.getvalue()) == (["bob"], "Sent.\n")


@pytest.mark.usefixtures("_loop")
def test_the_settings_name_what_needs_a_human(page: str, settings: Settings) -> None:
    """As they stand on the page of approvals."""
    (text,) = re.findall(r"^(TRACE_STREAMING_APPROVALS = \{.*?^\})", APPROVALS, re.MULTILINE | re.DOTALL)
    settings.TRACE_STREAMING_APPROVALS = literal_eval(text.partition(" = ")[2])
    assert list(problems(settings.TRACE_STREAMING_APPROVALS)) == []
    if page == "pydantic-ai":
        says_it_will_send()
    with human(send_mail={"decision": "rejected"}) as someone:
        run(page, "policy.py")
    assert (SENT, [each["risk_level"] for each in someone.asked]) == ([], ["high"])
