"""Runs of the OpenAI Agents SDK as traces.

.. code-block:: python

    from agents import add_trace_processor
    from trace_streaming.integrations.openai_agents import TraceProcessor

    add_trace_processor(processor := TraceProcessor())
    await Runner.run(agent, question, hooks=processor.hooks)

Written against openai-agents 0.24. The SDK's own exporter goes on sending to OpenAI;
``set_trace_processors([processor])`` has this one alone.
"""

from __future__ import annotations

from trace_streaming.extras import needs_extra

with needs_extra("openai-agents", "This needs openai-agents", "agents"):
    from .approvals import arun_with_approvals, astream_with_approvals, run_with_approvals
    from .processor import TraceHooks, TraceProcessor

__all__ = ["TraceHooks", "TraceProcessor", "arun_with_approvals", "astream_with_approvals", "run_with_approvals"]
