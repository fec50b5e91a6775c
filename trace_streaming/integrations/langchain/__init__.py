"""Runs of LangChain and LangGraph as traces.

.. code-block:: python

    from trace_streaming.integrations.langchain import TraceCallbackHandler

    agent.invoke(question, config={"callbacks": [TraceCallbackHandler()]})

Written against langchain-core 1.8 and langgraph 1.2: a root chain, and every graph inside of it, is an agent; its
models, tools and retrievers are in it. Nodes and plain chains are steps, and hidden unless they are asked for.
"""

from __future__ import annotations

from trace_streaming.extras import needs_extra

with needs_extra("langchain", "This needs langchain-core", "langchain_core"):
    from .approvals import (
        arun_with_approvals,
        astream_with_approvals,
        run_with_approvals,
        stream_with_approvals,
    )
    from .handler import TraceCallbackHandler
    from .loop import as_answer

__all__ = [
    "TraceCallbackHandler",
    "arun_with_approvals",
    "as_answer",
    "astream_with_approvals",
    "run_with_approvals",
    "stream_with_approvals",
]
