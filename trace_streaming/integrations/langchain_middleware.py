"""Tools of LangChain's agents that the project's settings name wait for a human.

.. code-block:: python

    from trace_streaming.integrations.langchain_middleware import ApprovalMiddleware

    agent = create_agent(model, tools, middleware=[ApprovalMiddleware()])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import ToolMessage

from trace_streaming.emitting.asking.policies import Policy, policy_for
from trace_streaming.emitting.contract import Emitter
from trace_streaming.emitting.decision import Decision
from trace_streaming.events.interruptions import is_for_the_process

from .asking import Question, reason
from .holding import ahold, hold
from .langchain.handler import TraceCallbackHandler


class ApprovalMiddleware(AgentMiddleware[Any, Any, Any]):
    """A human is asked before a tool runs that ``TRACE_STREAMING_APPROVALS`` names; the run waits.

    Asked in the trace of the run's ``TraceCallbackHandler``. Without a policy it does nothing.

    :param emitter: where there is no handler; None: the :func:`~trace_streaming.current_emitter`, else a new one
    """

    def __init__(self, emitter: Emitter | None = None) -> None:
        super().__init__()
        self._emitter = emitter

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """A tool is about to run."""
        policy = policy_for(request.tool_call["name"])
        if policy is None:
            return handler(request)
        question, emitter = self._question(request, policy)
        found = hold(question, emitter, is_new=not question.key)
        return handler(_changed(request, found)) if found.is_approved else _refusal(request, found)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Like :meth:`wrap_tool_call`."""
        policy = policy_for(request.tool_call["name"])
        if policy is None:
            return await handler(request)
        question, emitter = self._question(request, policy)
        found = await ahold(question, emitter, is_new=not question.key)
        return await handler(_changed(request, found)) if found.is_approved else _refusal(request, found)

    def _question(self, request: Any, policy: Policy) -> tuple[Question, Emitter | None]:
        call, config = request.tool_call, request.runtime.config
        emitter, parent = _place(config)
        where = config.get("configurable") or {}
        # A graph that stops in this tool, and is resumed, comes here again.
        place = [where[key] for key in ("thread_id", "checkpoint_ns") if where.get(key)]
        question = Question(
            call["name"],
            call["args"],
            [*map(str, place), call["id"]] if len(place) == 2 else (),
            policy.allowed,
            call["id"] or "",
            parent,
            _schema(request.tool),
        )
        return question, emitter or self._emitter


def _place(config: Mapping[str, Any]) -> tuple[Emitter | None, str]:
    """Where the run is told, and the agent in it."""
    callbacks = config.get("callbacks")
    for handler in getattr(callbacks, "handlers", ()):
        if isinstance(handler, TraceCallbackHandler):
            run = handler._runs.get(getattr(callbacks, "parent_run_id", None))  # type: ignore[arg-type]
            if run is not None:
                agent = run.nearest("agent")
                return run.trace.emitter, "" if agent is None else agent.call_id
    return None, ""


def _schema(tool: Any) -> dict[str, Any] | None:
    """Of what a human may edit."""
    schema = getattr(tool, "tool_call_schema", None)
    made = getattr(schema, "model_json_schema", None)
    try:
        return made() if made is not None else schema if isinstance(schema, dict) else None
    except Exception as error:  # of what has no schema in JSON, the tool itself says what does not fit
        if is_for_the_process(error):
            raise
        return None


def _changed(request: Any, decision: Decision) -> Any:
    """With a human's arguments, where he has edited them."""
    if decision.decision != "edited":
        return request
    return request.override(tool_call={**request.tool_call, "args": dict(decision.arguments)})


def _refusal(request: Any, decision: Decision) -> ToolMessage:
    """What the model is told in place of the tool's result."""
    call, is_answer = request.tool_call, decision.decision == "responded"
    said = reason(decision) or f"A human has rejected {call['name']}: it has not run."
    status = "success" if is_answer else "error"
    return ToolMessage(content=said, name=call["name"], tool_call_id=call["id"], status=status)
