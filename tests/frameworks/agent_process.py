"""Agents that ask in a process of their own, and are resumed in another: ``python -m …agent_process FRAMEWORK FOLDER``.

What the frameworks keep between the two is in the folder, and so is what their tool has done.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATH = "tests.frameworks.agent_process.resume"
folder = Path()
"""Of the test that runs."""


def send(to: str) -> str:
    with (folder / "sent").open("a") as file:
        file.write(f"{to}\n")
    return f"sent to {to}"


def langgraph(decided: bool) -> Any:
    from langchain.agents import create_agent
    from langchain.agents.middleware import HumanInTheLoopMiddleware
    from langchain_core.tools import tool
    from langgraph.checkpoint.sqlite import SqliteSaver

    from tests.frameworks.scenarios.langgraph import ask, model, says
    from trace_streaming.integrations.langchain import run_with_approvals

    @tool
    def send_mail(to: str) -> str:
        """Send."""
        return send(to)

    turns = [says("", ("send_mail", {"to": "bob"}, "c1"), ("send_mail", {"to": "carol"}, "c2")), says("done")]
    review = HumanInTheLoopMiddleware({"send_mail": True})
    connection = sqlite3.connect(folder / "checkpoints.sqlite3", check_same_thread=False)
    try:
        agent = create_agent(
            model(*turns[decided:]), [send_mail], middleware=[review], checkpointer=SqliteSaver(connection)
        )
        thread = {"configurable": {"thread_id": "t"}}
        return run_with_approvals(agent, None if decided else ask("mail"), thread, wait=False, on_decision=PATH)
    finally:
        connection.close()


def openai_agents(decided: bool) -> Any:
    from agents import Agent, RunState, function_tool, set_trace_processors

    from tests.frameworks.scenarios.openai_agents import ScriptedModel, call, text
    from trace_streaming.integrations.openai_agents import TraceProcessor, arun_with_approvals

    @function_tool(needs_approval=True)
    async def send_mail(to: str) -> str:
        """Send."""
        return send(to)

    turns = [[call("send_mail", "c1", to="bob"), call("send_mail", "c2", to="carol")], [text("done")]]
    agent = Agent("solo", model=ScriptedModel(*turns[decided:]), tools=[send_mail])
    set_trace_processors([processor := TraceProcessor()])
    kept = folder / "state.json"

    async def run() -> None:
        if decided and not kept.exists():
            return
        inputs: Any = await RunState.from_string(agent, kept.read_text()) if decided else "mail"
        done = await arun_with_approvals(agent, inputs, hooks=processor.hooks, wait=False, on_decision=PATH)
        if not decided:
            kept.write_text(done.to_state().to_string())
        elif done is not None:
            kept.unlink()

    asyncio.run(run())


def pydantic_ai(decided: bool) -> Any:
    from pydantic import TypeAdapter
    from pydantic_ai import Agent, ModelMessagesTypeAdapter
    from pydantic_ai.tools import DeferredToolRequests

    from tests.frameworks.scenarios.pydantic_ai import scripted
    from trace_streaming.integrations.pydantic_ai import TraceCapability, adeferred_results

    turns: list[Any] = [[("send_mail", {"to": "bob"}, "c1"), ("send_mail", {"to": "carol"}, "c2")], "done"]
    capability = TraceCapability(approvals=True, wait=False, on_decision=PATH)
    agent = Agent(scripted(*turns[decided:]), capabilities=[capability], output_type=[str, DeferredToolRequests])
    agent.tool_plain(send, name="send_mail", requires_approval=True)
    kept = folder / "messages.json", folder / "requests.json"
    requests = TypeAdapter(DeferredToolRequests)

    async def run() -> None:
        if not decided:
            done = await agent.run("mail")
            kept[0].write_bytes(done.all_messages_json())
            kept[1].write_bytes(requests.dump_json(done.output))
            return
        if not kept[0].exists():
            return
        messages = ModelMessagesTypeAdapter.validate_json(kept[0].read_bytes())
        asked = requests.validate_json(kept[1].read_bytes())
        results = await adeferred_results(asked, messages, wait=False)
        if results is not None:
            await agent.run(message_history=messages, deferred_tool_results=results)
            kept[0].unlink()

    asyncio.run(run())


AGENTS: dict[str, Callable[[bool], Any]] = {
    "langgraph": langgraph,
    "openai_agents": openai_agents,
    "pydantic_ai": pydantic_ai,
}


def resume(approval_id: str, trace_id: str) -> None:
    """What is called on a decision: the trace's id says which agent it is."""
    from trace_streaming import TraceEmitter

    with TraceEmitter(trace_id):
        AGENTS[trace_id](True)


def main() -> None:
    """Ask, say so, and wait to be killed."""
    import django

    django.setup()
    from trace_streaming import TraceEmitter

    name = sys.argv[1]
    with TraceEmitter(name) as emitter:
        AGENTS[name](False)
        assert emitter.flush(60)
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    main()
