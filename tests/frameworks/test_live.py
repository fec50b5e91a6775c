"""While a tool runs, who watches sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, Runner, function_tool, set_trace_processors
from langchain.agents import create_agent
from langchain_core.tools import tool
from pytest_django import Settings

from tests.frameworks.conftest import NewEmitter
from tests.frameworks.scenarios import langgraph, openai_agents, pydantic_ai
from tests.test_consumers import connect, receive
from trace_streaming.emitting.contract import Emitter
from trace_streaming.integrations.langchain import TraceCallbackHandler
from trace_streaming.integrations.openai_agents import TraceProcessor
from trace_streaming.integrations.pydantic_ai import TraceCapability

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = 60


@pytest.fixture(autouse=True)
def _open_to_everybody(settings: Settings) -> None:
    settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]


async def with_langgraph(emitter: Emitter) -> None:
    @tool
    async def slow(key: str) -> str:
        """Takes a minute."""
        await asyncio.sleep(MINUTE)
        return ""

    model = langgraph.model(langgraph.says("", ("slow", {"key": "a"}, "c1")))
    await create_agent(model, [slow]).ainvoke(langgraph.ask("go"), {"callbacks": [TraceCallbackHandler(emitter)]})


async def with_openai_agents(emitter: Emitter) -> None:
    @function_tool
    async def slow(key: str) -> str:
        """Takes a minute."""
        await asyncio.sleep(MINUTE)
        return ""

    set_trace_processors([processor := TraceProcessor(emitter)])
    model = openai_agents.ScriptedModel([openai_agents.call("slow", "c1", key="a")])
    await Runner.run(Agent("solo", model=model, tools=[slow]), "go", hooks=processor.hooks)


async def with_pydantic_ai(emitter: Emitter) -> None:
    made = pydantic_ai.agent(pydantic_ai.scripted([("slow", {"key": "a"}, "c1")]), [TraceCapability(emitter)])

    @made.tool_plain
    async def slow(key: str) -> str:
        """Takes a minute."""
        await asyncio.sleep(MINUTE)
        return ""

    await made.run("go")


@pytest.mark.parametrize("run", [with_langgraph, with_openai_agents, with_pydantic_ai])
async def test_the_start_of_a_slow_tool_is_on_a_socket_at_once(run: Any, new_emitter: NewEmitter) -> None:
    """With its arguments, a minute before its end, wherever it runs."""
    async with connect("live?since=0", headers=[(b"authorization", b"Bearer writer")]) as socket:
        running = asyncio.create_task(run(new_emitter("live")))
        async with asyncio.timeout(60):  # a second is what it may take; a busy machine takes longer
            while (event := await receive(socket)).get("event") != "tool_call_start":
                pass
        assert event["details"]["args"] == {"key": "a"}
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
