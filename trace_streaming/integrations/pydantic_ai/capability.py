"""The capability that Pydantic AI calls: its hooks are in the agent's way."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, SkipToolExecution
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDefinition

from trace_streaming.emitting.asking.policies import policy_for
from trace_streaming.emitting.contract import Emitter
from trace_streaming.integrations.runs import Run
from trace_streaming.integrations.tracer import NewEmitter, Tracer

from . import values
from .approvals import Approvals
from .questions import Questions

_inside: ContextVar[Run | None] = ContextVar("trace_streaming.pydantic_ai", default=None)
"""What this code runs in: an agent that begins here is inside of it."""


class TraceCapability(AbstractCapability[Any]):
    """For one agent or many: ``Agent(…, capabilities=[TraceCapability()])``.

    Nothing of it raises, or changes a run, but that models and tools do not begin any more where somebody asks the run
    to stop: it ends with :class:`.StopRequestedError`. Streaming stays off where it is off.

    :param emitter: None: the :func:`~trace_streaming.current_emitter`; else a new one for each root run, named after
        its agent, of its ``conversation_id``, and ended with it
    :param owner: of new traces: a callable without arguments that returns a user or None
    :param new_emitter: makes new emitters where there is no project: called with ``name`` and ``conversation``
    :param contents: False: names, numbers and sizes, no messages, arguments, results or errors' texts
    :param approvals: True: humans are asked for the tools that need approval, and for those that ask a question; the
        run waits, and goes on with what they decide. An emitter that cannot ask leaves them to others
    :param wait: False: the run ends with its ``DeferredToolRequests``, for which humans are asked;
        :func:`.deferred_results` has what they decide, in whatever process
    :param on_decision: with ``wait=False``, what is called when all of it is decided: see :meth:`.ask_approval`
    :param timeout: seconds for each decision; then it is a no
    :param risk_level: as :meth:`.TraceEmitter.request_approval` has it
    """

    def __init__(
        self,
        emitter: Emitter | None = None,
        *,
        owner: Callable[[], Any] | None = None,
        new_emitter: NewEmitter | None = None,
        contents: bool = True,
        approvals: bool = False,
        wait: bool = True,
        on_decision: str = "",
        timeout: float = 300.0,
        risk_level: str = "medium",
    ) -> None:
        self._given = emitter
        self._approvals = Approvals(approvals, wait, on_decision, timeout, risk_level)
        self._tracer = Tracer("Pydantic AI", emitter, owner, new_emitter, contents)
        self._agents: dict[str, Run] = {}
        self._models: dict[str, Run] = {}
        """Calls that are being answered, by the agent's run: one at a time."""
        self._questions = Questions(self._tracer)

    id = "trace_streaming"
    """Of all of them: where an agent has one and its run another, that of the run alone is called, and once."""

    @classmethod
    def combine(cls, capabilities: Sequence[AbstractCapability[Any]]) -> AbstractCapability[Any]:
        """An agent was given several: the last one counts."""
        return capabilities[-1]

    def get_ordering(self) -> CapabilityOrdering:
        """Outside of all others, to see what comes of them."""
        return CapabilityOrdering(position="outermost")

    async def wrap_run(self, ctx: RunContext[Any], *, handler: Any) -> AgentRunResult[Any]:
        """A run of an agent."""
        run = self._tracer.safely(self._begin_agent, ctx)
        try:
            result: AgentRunResult[Any] = await handler()
        except BaseException as error:
            self._tracer.safely(self._end_agent, ctx, run, None, error)
            raise
        self._tracer.safely(self._end_agent, ctx, run, result, None)
        return result

    async def on_run_error(self, ctx: RunContext[Any], *, error: BaseException) -> AgentRunResult[Any]:
        """A run has failed or was cancelled; one that nobody goes on with does not come here."""
        if (run := self._tracer.safely(self._agent_of, ctx)) is not None:
            run.has_failed = True
        raise error

    def _agent_of(self, ctx: RunContext[Any]) -> Run | None:
        return self._agents.get(ctx.run_id or "")

    def _begin_agent(self, ctx: RunContext[Any]) -> Run:
        above = _inside.get()
        if above is not None and (
            above not in above.trace.open or (self._given is not None and above.trace.emitter is not self._given)
        ):
            above = None
        name = (ctx.agent.name if ctx.agent is not None else None) or "agent"
        details = self._told("input", lambda: ctx.prompt)
        run = self._tracer.begin("agent", name, above, conversation=ctx.conversation_id, details=details)
        self._agents[ctx.run_id or ""] = run
        _inside.set(run)  # of this task alone, which Pydantic AI hands on to the run
        return run

    def _end_agent(
        self,
        ctx: RunContext[Any],
        run: Run | None,
        result: AgentRunResult[Any] | None,
        error: BaseException | None,
    ) -> None:
        self._agents.pop(ctx.run_id or "", None)
        if run is None:
            return
        output = None if result is None else result.output
        if result is not None and isinstance(output, DeferredToolRequests):
            run.outcome = "interrupted"
            is_asked = self._approvals.ask(run, output, result.all_messages())
            for call in () if is_asked else output.approvals:
                self._questions.ask(run, call)
        is_left = isinstance(error, CancelledError) and not run.has_failed
        details = self._told("result", lambda: None if run.outcome else output)
        self._tracer.end(run, error=error, outcome="abandoned" if is_left else None, details=details)

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: Any
    ) -> ModelResponse:
        """A model is sent messages."""
        self._tracer.check_stop(self._agent_of, ctx)
        run = self._tracer.safely(self._begin_model, ctx, request_context)
        try:
            response: ModelResponse = await handler(request_context)
        except BaseException as error:
            self._tracer.safely(self._end_model, ctx, run, None, error)
            raise
        self._tracer.safely(self._end_model, ctx, run, response, None)
        return response

    def _begin_model(self, ctx: RunContext[Any], request: ModelRequestContext) -> Run | None:
        agent = self._agent_of(ctx)
        if agent is None:
            return None
        self._tracer.safely(self._questions.take_denials, agent, request)
        details = {
            **(self._tracer.safely(values.request_details, request) or {}),
            **self._told("gen_ai.input.messages", lambda: values.messages(request.messages)),
        }
        run = self._tracer.begin("llm_call", request.model.model_name, agent, details=details)
        self._models[ctx.run_id or ""] = run
        return run

    def _end_model(
        self, ctx: RunContext[Any], run: Run | None, response: ModelResponse | None, error: BaseException | None
    ) -> None:
        self._models.pop(ctx.run_id or "", None)
        if run is None:
            return
        details: dict[str, Any] = {}
        outcome = None
        if response is not None:
            outcome = "abandoned" if response.state in {"interrupted", "incomplete"} else None
            details |= self._tracer.safely(values.response_details, response) or {}
            details |= self._told("gen_ai.output.messages", lambda: values.messages([response]))
        self._tracer.end(run, error=error, outcome=outcome, details=details)

    @property
    def has_wrap_run_event_stream(self) -> bool:
        """No: it listens where a run is streamed anyway, and asks for no stream."""
        return False

    async def wrap_run_event_stream(self, ctx: RunContext[Any], *, stream: AsyncIterable[Any]) -> AsyncIterable[Any]:
        """What a model says while it says it."""
        try:
            async for event in stream:
                self._tracer.safely(self._hear, ctx, event)
                yield event
        finally:
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()

    def _hear(self, ctx: RunContext[Any], event: Any) -> None:
        if (run := self._models.get(ctx.run_id or "")) is not None:
            self._tracer.stream(run, values.piece_of_text(event))

    async def wrap_tool_validate(
        self, ctx: RunContext[Any], *, call: ToolCallPart, tool_def: ToolDefinition, args: Any, handler: Any
    ) -> dict[str, Any]:
        """A tool's arguments are looked at: bad ones never come to be executed."""
        try:
            checked: dict[str, Any] = await handler(args)
        except (ApprovalRequired, CallDeferred):
            raise
        except Exception as error:
            run = self._tracer.safely(self._begin_tool, ctx, call)
            if run is not None:
                self._tracer.end(run, error=error)
            raise
        return checked

    async def wrap_tool_execute(
        self, ctx: RunContext[Any], *, call: ToolCallPart, tool_def: ToolDefinition, args: dict[str, Any], handler: Any
    ) -> Any:
        """A tool runs; agents that begin in it are inside of it. One that the settings name is deferred first."""
        self._tracer.check_stop(self._agent_of, ctx)
        is_named = self._tracer.safely(lambda: policy_for(call.tool_name) is not None)
        if is_named and not ctx.tool_call_approved:
            raise ApprovalRequired
        run = self._tracer.safely(self._begin_tool, ctx, call, args)
        token = _inside.set(_inside.get() if run is None else run)
        try:
            result = await handler(args)
        except BaseException as error:
            self._tracer.safely(self._end_tool, run, error)
            raise
        finally:
            self._tracer.safely(_inside.reset, token)
        self._tracer.safely(self._end_tool, run, None, result)
        return result

    def _begin_tool(self, ctx: RunContext[Any], call: ToolCallPart, args: Any = None) -> Run | None:
        """Begin with the arguments, where they are known: validated; else those of the model."""
        agent = self._agent_of(ctx)
        if agent is None:
            return None
        self._tracer.safely(self._questions.decided, agent, call.tool_call_id)
        details = {
            "gen_ai.tool.call.id": call.tool_call_id,
            **self._told("args", lambda: call.args if args is None else args),
        }
        return self._tracer.begin("tool_call", call.tool_name, agent, details=details)

    def _end_tool(self, run: Run | None, error: BaseException | None, result: Any = None) -> None:
        if run is None:
            return
        if isinstance(error, SkipToolExecution):  # another capability has answered for it
            result, error = error.result, None
        outcome = "interrupted" if isinstance(error, ApprovalRequired | CallDeferred) else None
        self._tracer.end(run, error=error, outcome=outcome, details=self._told("result", lambda: result))

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Tools need approval: humans are asked, where they are to be."""
        return await self._approvals.decide(self._tracer.safely(self._agent_of, ctx), requests)

    def _told(self, key: str, value: Callable[[], Any]) -> Mapping[str, Any]:
        """A content; nothing of it where it cannot be shown."""
        return self._tracer.safely(lambda: self._tracer.content(key, value())) or {}
