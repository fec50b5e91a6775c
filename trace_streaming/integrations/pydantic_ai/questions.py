"""Deferred tools of Pydantic AI that nobody of ours asks for, between the run that ends with them and the one after."""

from __future__ import annotations

from collections import deque
from typing import Final

from pydantic_ai.messages import ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestContext

from trace_streaming.integrations.runs import Asked, Run
from trace_streaming.integrations.tracer import Tracer

_MOST: Final = 1000
"""Questions that wait for an answer, of all runs; then the oldest are forgotten."""


class Questions:
    """Of one capability."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: deque[Asked] = deque(maxlen=_MOST)

    def ask(self, agent: Run, call: ToolCallPart) -> None:
        """An agent ends because a tool waits."""
        key = (agent.trace.conversation, call.tool_call_id)
        self._open.append(self._tracer.ask(agent, call.tool_name, call.args_as_dict(), key))

    def decided(self, agent: Run, tool_call_id: str, decision: str = "resumed") -> None:
        """A tool runs, or does not."""
        for asked in list(self._open):
            if asked.key == (agent.trace.conversation, tool_call_id):
                self._open.remove(asked)
                self._tracer.answered(asked, decision)

    def take_denials(self, agent: Run, request: ModelRequestContext) -> None:
        """A tool that a human has denied does not run: the model is told so."""
        for part in request.messages[-1].parts if self._open and request.messages else ():
            if isinstance(part, ToolReturnPart):
                self.decided(agent, part.tool_call_id, "rejected" if part.outcome == "denied" else "resumed")
