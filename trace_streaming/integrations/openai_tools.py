"""Tools of the OpenAI Agents SDK that the project's settings name wait for a human.

.. code-block:: python

    from trace_streaming.integrations.openai_tools import require_approval

    agent = Agent("support", tools=require_approval([send_mail, lookup]))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from trace_streaming.emitting.asking.policies import policy_for
from trace_streaming.emitting.contract import Emitter
from trace_streaming.extras import needs_extra

from .asking import Question, as_arguments, reason
from .holding import ahold
from .openai_agents import values
from .openai_agents.processor import find_run

with needs_extra("openai-agents", "This needs openai-agents", "agents"):
    from agents import FunctionTool, Tool, ToolGuardrailFunctionOutput, ToolInputGuardrail, ToolInputGuardrailData
    from agents.tracing import get_current_span

_ALLOWED: Final = ("approved", "rejected", "responded")
"""The SDK runs a tool with the arguments that the model has given, or not at all."""


def require_approval(tools: Iterable[Tool]) -> list[Tool]:
    """The same tools; functions that ``TRACE_STREAMING_APPROVALS`` names wait for a human when they are called.

    Asked in the trace that a :class:`.TraceProcessor` tells of the run, else in that of the
    :func:`~trace_streaming.current_emitter`, else in a new one. What the SDK runs elsewhere, hosted tools and those of
    MCP servers, waits for nobody.
    """
    return [_waiting(tool) if isinstance(tool, FunctionTool) else tool for tool in tools]


def _waiting(tool: FunctionTool) -> FunctionTool:
    guardrail = ToolInputGuardrail(_wait, name="approval")
    return replace(tool, tool_input_guardrails=[*(tool.tool_input_guardrails or ()), guardrail])


async def _wait(data: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
    context = data.context
    policy = policy_for(context.tool_name)
    if policy is None:
        return ToolGuardrailFunctionOutput.allow()
    emitter, parent = _place()
    arguments = as_arguments(values.arguments(context.tool_arguments))
    allowed = [each for each in _ALLOWED if each in policy.allowed] or _ALLOWED
    question = Question(context.tool_name, arguments, (), allowed, context.tool_call_id, parent)
    decision = await ahold(question, emitter)
    if decision.is_approved:
        return ToolGuardrailFunctionOutput.allow()
    said = reason(decision) or f"A human has rejected {context.tool_name}: it has not run."
    return ToolGuardrailFunctionOutput.reject_content(said)


def _place() -> tuple[Emitter | None, str]:
    """Where the run is told, and the agent in it."""
    span: Any = get_current_span()
    run = None if span is None else find_run(span.span_id)
    agent = None if run is None else run.nearest("agent")
    return None if run is None else run.trace.emitter, "" if agent is None else agent.call_id
