"""The OpenAI Agents SDK's spans while they are open: which of them are shown, when, and what became of them."""

from __future__ import annotations

import sys
from typing import Any, Final

from agents.tracing import Span, Trace, get_current_trace

from trace_streaming.emitting.blocks import outcome_of
from trace_streaming.exceptions import StopRequestedError
from trace_streaming.integrations.runs import Run
from trace_streaming.integrations.tracer import Tracer

from . import values
from .questions import Questions
from .spans import OpenSpan

_KINDS: Final = {"agent": "agent", "generation": "llm_call", "response": "llm_call", "function": "tool_call"}
"""Of spans; all others are steps."""
_HIDDEN: Final = frozenset({"task", "turn", "handoff"})
"""Agents have them inside, or are inside of them; a handoff is told as a route."""
_AROUND: Final = frozenset({"task", "turn"})
"""What is raised in them may be handled around them."""


class OpenAIRuns:
    """Of one processor."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._roots: dict[str, tuple[Run, str | None]] = {}
        """By the SDK's trace; with the span that it ends with, where it goes on and does not begin again."""
        self._open: dict[str, OpenSpan] = {}
        self._questions = Questions(tracer)

    def get(self, span_id: str) -> Run | None:
        """Of a span that is open."""
        opened = self._open.get(span_id)
        return None if opened is None else opened.run

    def begin_trace(self, trace: Trace | None, trace_id: str = "", until: str | None = None) -> Run:
        """A trace begins, or goes on; told again by a processor that was added twice, once."""
        known, _ = self._roots.get(trace.trace_id if trace is not None else trace_id, (None, None))
        if known is not None:
            return known
        told = (trace.export() if trace is not None else None) or {}
        name = told.get("workflow_name") or "Agent workflow"
        root = self._tracer.begin("agent", name, conversation=told.get("group_id"), is_shown=False)
        self._roots[trace.trace_id if trace is not None else trace_id] = root, until
        return root

    def end_trace(self, trace_id: str) -> None:
        """It has ended; what is open in it ends later."""
        root, _ = self._roots.pop(trace_id, (None, None))
        if root is not None:
            self._tracer.end(root)

    def begin(self, span: Span[Any]) -> None:
        """A span begins."""
        if span.span_id in self._open:  # the processor was added twice
            return
        data, above = span.span_data, self._open.get(span.parent_id or "")
        root, _ = self._roots.get(span.trace_id, (None, None))
        if root is None:
            root = above.run if above is not None else self._resumed(span)
        parent = root if above is None else above.run
        if above is not None and above.type == "function":
            above.has_inside = True
            self._show_tool(above)  # what has something inside runs
        kind = _KINDS.get(data.type, "step")
        model = self._model(above, data) if kind == "llm_call" else ""
        name = model or getattr(data, "name", None) or getattr(data, "server", None) or data.type
        run = self._tracer.begin(kind, str(name), parent, call_id=span.span_id, is_shown=False)
        opened = self._open[span.span_id] = OpenSpan(run, data.type, span.trace_id, above, sys.exc_info()[1])
        self._tracer.safely(self._show, opened, data, model)

    def _resumed(self, span: Span[Any]) -> Run:
        """The SDK's trace goes on behind its end: until its first span ends."""
        trace = get_current_trace()
        known = trace if trace is not None and trace.trace_id == span.trace_id else None
        return self.begin_trace(known, span.trace_id, span.span_id)

    def _model(self, above: OpenSpan | None, data: Any) -> str:
        agent = None if above is None else above.nearest("agent")
        return getattr(data, "model", None) or (agent.model if agent is not None else "")

    def _show(self, opened: OpenSpan, data: Any, model: str) -> None:
        agent = None if opened.above is None else opened.above.nearest("agent")
        if opened.type == "turn" and agent is not None:
            self._end_silent(agent)
            self._questions.reject_others(agent.trace_id, agent.run)
        if opened.run.kind == "llm_call":
            if agent is not None and agent.is_hooked is None:
                agent.is_hooked = False  # hooks come before
            settings = getattr(data, "model_config", None)
            self._tracer.show(opened.run, values.request_details(opened.type, model, settings))
        elif opened.type == "function":
            if agent is None or agent.is_hooked is False:
                self._show_tool(opened)
        elif opened.run.kind == "step" and opened.type not in _HIDDEN:
            self._tracer.show(opened.run, {"kind": opened.type})
        elif opened.run.kind == "agent":
            self._tracer.show(opened.run)

    def _show_tool(self, tool: OpenSpan, details: dict[str, Any] | None = None) -> None:
        self._tracer.safely(self._tracer.show, tool.run, details)

    # What hooks say, inside of the span that is current.

    def hooked(self, span: Span[Any] | None, model: Any) -> None:
        """Hooks are called for the agent of this span."""
        if (agent := self._agent(span)) is not None:
            agent.is_hooked, agent.model = True, values.model_name(model)

    def answered(self, span: Span[Any] | None, output: Any) -> None:
        """The agent has said its last word."""
        if (agent := self._agent(span)) is not None:
            agent.answer = output

    def called(self, span: Span[Any] | None, tool_call_id: str | None) -> None:
        """The tool of this span begins to run."""
        tool = None if span is None else self._open.get(span.span_id)
        if span is None or tool is None or tool.type != "function":
            return
        if (agent := tool.nearest("agent")) is not None:
            agent.is_hooked = True
        tool.is_called = True
        self._questions.decided(tool.trace_id, tool.run, span.span_data.input)
        # The span has them where the SDK is told to include what is sensitive; the hook always has.
        told = self._tracer.content("args", values.arguments(span.span_data.input))
        if tool_call_id:
            told["gen_ai.tool.call.id"] = tool_call_id
        self._show_tool(tool, told)

    def returned(self, span: Span[Any] | None) -> None:
        """The tool of this span has returned."""
        tool = None if span is None else self._open.get(span.span_id)
        if tool is not None:
            tool.has_returned = True

    def _agent(self, span: Span[Any] | None) -> OpenSpan | None:
        opened = None if span is None else self._open.get(span.span_id)
        return None if opened is None else opened.nearest("agent")

    # What ends.

    def end(self, span: Span[Any]) -> None:
        """A span ends."""
        opened = self._open.pop(span.span_id, None)
        if opened is None:
            return
        agent = None if opened.above is None else opened.above.nearest("agent")
        error = values.error_text(span.error)
        raised = sys.exc_info()[1]
        outcome = None if raised is None or raised is opened.handled else outcome_of(raised)
        if isinstance(raised, StopRequestedError) and agent is not None and agent.is_hooked:
            opened.has_not_begun = opened.type == "function" and not opened.is_called
        is_left_by = raised is not None and raised is not opened.handled
        if error is None and outcome is None and is_left_by and opened.type not in _AROUND:
            error = type(raised).__name__  # the SDK says of few spans that they have failed; its agents have the text
        self._tracer.safely(self._end, opened, agent, span.span_data, error, outcome)
        _, until = self._roots.get(span.trace_id, (None, None))
        if until == span.span_id:
            self.end_trace(span.trace_id)

    def _end(self, opened: OpenSpan, agent: OpenSpan | None, data: Any, error: str | None, outcome: str | None) -> None:
        run, details = opened.run, None
        if agent is not None and opened.type not in _HIDDEN:
            agent.last_ended = opened.type
        if opened.type == "function":
            self._end_tool(opened, agent, data, error, outcome)
            return
        if opened.type == "agent":
            tool = None if opened.above is None else opened.above.nearest("function")
            if tool is not None and opened.silent and opened.answer is None and not (error or run.error or outcome):
                tool.held.append((opened, data, run.elapsed_ms))  # whether it waits, the tool's end says
                return
            details = self._end_agent(opened, data, error or run.error, outcome)
        elif run.kind == "llm_call":
            details = self._tracer.safely(self._answer, agent, data)
        elif opened.type == "handoff" and agent is not None and data.to_agent:
            self._end_silent(agent)
            self._tracer.safely(
                self._tracer.emit, agent.run, "route_decision", {"agent_selected": data.to_agent}, "success"
            )
        elif opened.type == "turn" and agent is not None:
            agent.run.error = error
        elif opened.type == "guardrail" and data.triggered:
            outcome = "triggered"
        self._tracer.end(run, error=error, outcome=outcome, details=details)

    def _end_tool(
        self, tool: OpenSpan, agent: OpenSpan | None, data: Any, error: str | None, outcome: str | None
    ) -> None:
        run, is_rejected = tool.run, not tool.is_called and values.is_rejection(error)
        self._end_held(tool, is_over=bool(error or outcome or data.output is not None or tool.has_returned))
        if error is None and outcome is None and data.output is None and not tool.has_returned and agent is not None:
            if tool.is_called:  # an agent inside of it waits for a human
                outcome = agent.run.outcome = "interrupted"
            elif agent.is_hooked:  # it waits for one
                self._questions.ask(tool.trace_id, agent.run, run.name, data.input)
            else:  # or it has returned None: what comes next in the agent tells
                agent.silent.append((tool, run.elapsed_ms, data.input))
                return
        elif is_rejected:
            self._questions.decided(tool.trace_id, run, data.input, "rejected")
        elif not run.is_shown and not tool.has_not_begun:
            self._questions.decided(tool.trace_id, run, data.input)
            self._show_tool(tool)
        told = {} if tool.is_called else self._tracer.content("args", values.arguments(data.input))
        self._tracer.end(run, error=error, outcome=outcome, details=told | self._tracer.content("result", data.output))

    def _end_held(self, tool: OpenSpan, *, is_over: bool) -> None:
        """Agents that have ended in a tool: where that is over, none of them waits for a human."""
        for inner, data, duration_ms in tool.held:
            if is_over:
                self._end_silent(inner)
            self._tracer.end(inner.run, details=self._end_agent(inner, data, None, None), duration_ms=duration_ms)

    def _end_silent(self, agent: OpenSpan, outcome: str | None = None) -> None:
        """Tools without a result: where the agent goes on, they had none; where it ends, they wait for a human."""
        silent, agent.silent = agent.silent, []
        for tool, duration_ms, given in silent:
            if outcome is None:
                self._show_tool(tool)
            elif not tool.has_inside:
                self._questions.ask(tool.trace_id, agent.run, tool.run.name, given)
            told = self._tracer.content("args", values.arguments(given))
            self._tracer.end(tool.run, outcome=outcome, details=told, duration_ms=duration_ms)

    def _end_agent(self, opened: OpenSpan, data: Any, error: str | None, outcome: str | None) -> dict[str, Any]:
        self._end_silent(opened, None if error or outcome or opened.answer is not None else "interrupted")
        run = opened.run
        if not error and opened.last_ended == "function" and self._questions.are_open(opened.trace_id):
            run.outcome = run.outcome or "interrupted"
        root = next((each for each in run.above() if each.parent is None), run)
        if opened.above is None or opened.above.nearest("agent") is None:  # how the trace ends
            root.error, root.outcome = None if outcome else error, outcome or run.outcome
        told = {"tools": data.tools, "handoffs": data.handoffs}
        answer = opened.answer if opened.has_contents else None
        return {key: value for key, value in told.items() if value} | self._tracer.content("result", answer)

    def _answer(self, agent: OpenSpan | None, data: Any) -> dict[str, Any]:
        response = getattr(data, "response", None)
        given, output = data.input, response.output if response is not None else getattr(data, "output", None)
        details = values.usage_details(data.usage)
        if response is not None:
            details |= {"gen_ai.response.model": response.model, "gen_ai.response.id": response.id}
        if output is None:
            return details
        if agent is not None:
            agent.has_contents = True
        if reason := self._tracer.safely(values.finish_reason, output, response):
            details["gen_ai.response.finish_reasons"] = [reason]
        system = getattr(response, "instructions", None)
        # Each by itself: a span of one's own may hold anything, and its tokens are told nevertheless.
        instructions = system if isinstance(system, str) else None
        sent = None if given is None else self._tracer.safely(values.messages, given, instructions)
        details |= self._tracer.content("gen_ai.input.messages", sent)
        return details | self._tracer.content("gen_ai.output.messages", self._tracer.safely(values.messages, output))
