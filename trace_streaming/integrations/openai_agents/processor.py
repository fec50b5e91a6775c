"""The processor and the hooks that the OpenAI Agents SDK calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from agents import Agent, AgentsException, RunHooks, Tool
from agents.tracing import Span, Trace, TracingProcessor, get_current_span

from trace_streaming.emitting.contract import Emitter
from trace_streaming.exceptions import StopRequestedError
from trace_streaming.integrations.holding import warn_if_free
from trace_streaming.integrations.runs import Run
from trace_streaming.integrations.tracer import NewEmitter, Tracer, guarded

from .runs import OpenAIRuns

_all: WeakSet[TraceProcessor] = WeakSet()


def find_run(span_id: str) -> Run | None:
    """What one of the processors knows of a span that is open."""
    return next((found for each in list(_all) if (found := each._runs.get(span_id)) is not None), None)


class StopRunError(StopRequestedError, AgentsException):
    """The SDK makes a ``UserError`` of all others that are raised before a tool."""


class TraceProcessor(TracingProcessor):
    """One for all runs of a process, at the same time too: ``add_trace_processor(TraceProcessor())``.

    Nothing of it raises, or changes a run, but that ``hooks`` raise :class:`.StopRequestedError` before agents, models
    and tools where somebody asks the run to stop. ``trace_include_sensitive_data=False`` is respected.

    :param emitter: None: the :func:`~trace_streaming.current_emitter`; else a new one for each of the SDK's traces,
        with the name of its workflow, of the conversation ``group_id``, and ended with it
    :param owner: of new traces: a callable without arguments that returns a user or None
    :param new_emitter: makes new emitters where there is no project: called with ``name`` and ``conversation``
    :param contents: False: names, numbers and sizes, no messages, arguments, results or errors' texts
    """

    def __init__(
        self,
        emitter: Emitter | None = None,
        *,
        owner: Callable[[], Any] | None = None,
        new_emitter: NewEmitter | None = None,
        contents: bool = True,
    ) -> None:
        self._tracer = Tracer("the OpenAI Agents SDK", emitter, owner, new_emitter, contents)
        self._runs = OpenAIRuns(self._tracer)
        _all.add(self)
        self.hooks: RunHooks[Any] = TraceHooks(self._tracer, self._runs)
        """For ``Runner.run(…, hooks=…)``: what spans do not say, the arguments of tools while they run above all."""

    @guarded
    def on_trace_start(self, trace: Trace) -> None:
        """A trace of the SDK begins."""
        self._runs.begin_trace(trace)

    @guarded
    def on_trace_end(self, trace: Trace) -> None:
        """It ends; of a run that was cancelled, tools end later."""
        self._runs.end_trace(trace.trace_id)

    @guarded
    def on_span_start(self, span: Span[Any]) -> None:
        """An agent, a model's call, a tool or a guardrail begins."""
        self._runs.begin(span)

    @guarded
    def on_span_end(self, span: Span[Any]) -> None:
        """It ends."""
        self._runs.end(span)

    def shutdown(self) -> None:
        """Nothing waits here: emitters store at the process's end."""

    def force_flush(self) -> None:
        """Nothing waits here: ``emitter.flush()`` waits until events are stored."""


class TraceHooks(RunHooks[Any]):
    """Made by :class:`TraceProcessor`."""

    def __init__(self, tracer: Tracer, runs: OpenAIRuns) -> None:
        self._tracer = tracer
        self._runs = runs

    async def on_agent_start(self, context: Any, agent: Any) -> None:
        """An agent's turn begins, inside of its span."""
        self._is_hooked(agent)
        self._check_stop()

    async def on_llm_start(self, context: Any, agent: Agent[Any], system_prompt: str | None, input_items: Any) -> None:
        """A model is about to be asked."""
        self._is_hooked(agent)
        self._check_stop()

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        """An agent has answered."""
        self._has_answered(output)

    async def on_tool_start(self, context: Any, agent: Any, tool: Tool) -> None:
        """A tool is about to run, inside of its span: one that waits for a human does not come here."""
        self._check_stop()
        self._is_called(tool, getattr(context, "tool_call_id", None))

    async def on_tool_end(self, context: Any, agent: Any, tool: Tool, result: Any) -> None:
        """A tool has returned."""
        self._has_returned()

    def _check_stop(self) -> None:
        try:
            self._tracer.check_stop(self._current_run)
        except StopRequestedError as stop:
            raise StopRunError(stop.requested_by, stop.comment) from None

    def _current_run(self) -> Run | None:
        span: Any = get_current_span()
        return None if span is None else self._runs.get(span.span_id)

    @guarded
    def _is_hooked(self, agent: Any) -> None:
        self._runs.hooked(get_current_span(), agent.model)

    @guarded
    def _has_answered(self, output: Any) -> None:
        self._runs.answered(get_current_span(), output)

    @guarded
    def _is_called(self, tool: Tool, tool_call_id: str | None) -> None:
        self._runs.called(get_current_span(), tool_call_id)
        warn_if_free(tool.name, tool_call_id or "")

    @guarded
    def _has_returned(self) -> None:
        self._runs.returned(get_current_span())
