"""Tools of the OpenAI Agents SDK that wait for a human, between the run that asks and the one that goes on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from trace_streaming.integrations.runs import Asked, Run
from trace_streaming.integrations.tracer import Tracer

from . import values

_MOST: Final = 1000
"""Questions that wait for an answer, of all runs; then the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class _Question:
    asked: Asked
    trace_id: str
    """The SDK's; the same when it goes on, unless the run is configured otherwise."""
    agent: str
    tool: str
    given: str | None
    at: float = field(default_factory=perf_counter)


class Questions:
    """Of one processor."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: deque[_Question] = deque(maxlen=_MOST)

    def ask(self, trace_id: str, agent: Run, tool: str, given: str | None) -> None:
        """An agent ends because a tool waits.

        :param given: the tool's arguments as JSON, where the SDK is told to include what is sensitive
        """
        agent.outcome = "interrupted"
        asked = self._tracer.ask(agent, tool, values.arguments(given))
        self._open.append(_Question(asked, trace_id, agent.name, tool, given))

    def are_open(self, trace_id: str) -> bool:
        """Whether something was asked in this of the SDK's traces, and is not answered yet."""
        return any(question.trace_id == trace_id for question in list(self._open))

    def decided(self, trace_id: str, tool: Run, given: str | None, decision: str = "resumed") -> None:
        """A tool runs, or does not: it answers the oldest question of its trace, else of its conversation."""
        same = [one for one in list(self._open) if (one.tool, one.given) == (tool.name, given)]
        conversation = tool.trace.conversation
        there = [one for one in same if one.trace_id == trace_id] or [
            one for one in same if conversation and one.asked.trace.conversation == conversation
        ]
        if there:
            self._answer(there[0], decision)

    def reject_others(self, trace_id: str, agent: Run) -> None:
        """An agent goes on from where it has asked: a tool that has not run by then was rejected."""
        for one in list(self._open):
            if (one.trace_id, one.agent) == (trace_id, agent.name) and one.at < agent.began:
                self._answer(one, "rejected")

    def _answer(self, question: _Question, decision: str) -> None:
        self._open.remove(question)
        self._tracer.answered(question.asked, decision)
