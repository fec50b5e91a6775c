"""Runs of Pydantic AI as traces.

.. code-block:: python

    from trace_streaming.integrations.pydantic_ai import TraceCapability

    agent = Agent("openai:gpt-5", capabilities=[TraceCapability()])

Written against pydantic-ai 2.68. Hooks of capabilities are in the agent's way: each here calls its handler once, with
what it was given, and returns or raises what that does.
"""

from __future__ import annotations

try:
    from .approvals import adeferred_results, deferred_results
    from .capability import TraceCapability
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] != "pydantic_ai":
        raise
    text = 'This needs pydantic-ai: pip install "django-trace-streaming[pydantic-ai]"'
    raise ModuleNotFoundError(text, name=error.name) from None

__all__ = ["TraceCapability", "adeferred_results", "deferred_results"]
