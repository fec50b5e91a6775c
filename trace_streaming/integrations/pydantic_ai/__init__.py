"""Runs of Pydantic AI as traces.

.. code-block:: python

    from trace_streaming.integrations.pydantic_ai import TraceCapability

    agent = Agent("openai:gpt-5", capabilities=[TraceCapability()])

Written against pydantic-ai 2.68. Hooks of capabilities are in the agent's way: each here calls its handler once, with
what it was given, and returns or raises what that does.
"""

from __future__ import annotations

from trace_streaming.extras import needs_extra

with needs_extra("pydantic-ai", "This needs pydantic-ai", "pydantic_ai"):
    from .approvals import adeferred_results, deferred_results
    from .capability import TraceCapability

__all__ = ["TraceCapability", "adeferred_results", "deferred_results"]
