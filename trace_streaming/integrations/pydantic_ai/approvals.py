"""Deferred tools of Pydantic AI: a human is asked, and what he has decided is what a run goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

from trace_streaming.emitting.asking.policies import policy_for
from trace_streaming.emitting.decision import DECISIONS, Decision
from trace_streaming.integrations.asking import Asker, Question, as_asking, asking, reason
from trace_streaming.integrations.holding import REFUSED, log_failure
from trace_streaming.integrations.runs import Run
from trace_streaming.integrations.tracer import Tracer

_FRAMEWORK: Final = "Pydantic AI"


async def adeferred_results(
    requests: DeferredToolRequests,
    messages: Sequence[ModelMessage],
    *,
    timeout: float = 300.0,  # noqa: ASYNC109  of the human
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
) -> DeferredToolResults | None:
    """What humans decide of a run's deferred tools, for ``agent.run(message_history=…, deferred_tool_results=…)``.

    Asked in the trace of the ``with TraceEmitter(…)`` around; what was asked and decided there before counts, in
    whatever process that was.

    :param requests: what a run has ended with: ``result.output``
    :param messages: of this run: ``result.all_messages()``
    :param timeout: seconds for each decision; then it is a no
    :param risk_level: as :meth:`.TraceEmitter.request_approval` has it
    :param wait: False: ask, and return at once
    :param on_decision: with ``wait=False``, what is called when all of them are taken: see :meth:`.ask_approval`
    :returns: None while a decision is open, where nobody waits
    :raises TypeError: for an emitter that cannot ask
    """
    with _asking(timeout, risk_level, wait, on_decision) as asker:
        questions = questions_of(requests, place_of(messages))
        return results_of(requests, await asker.adecide(questions, is_new=False))


def deferred_results(
    requests: DeferredToolRequests,
    messages: Sequence[ModelMessage],
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
) -> DeferredToolResults | None:
    """Like :func:`adeferred_results`, where there is no event loop."""
    with _asking(timeout, risk_level, wait, on_decision) as asker:
        return results_of(requests, asker.decide(questions_of(requests, place_of(messages)), is_new=False))


def _asking(timeout: float, risk_level: str, wait: bool, on_decision: str) -> AbstractContextManager[Asker]:
    tracer = Tracer(_FRAMEWORK)
    return asking(
        tracer,
        name="agent",
        conversation=None,
        timeout=timeout,
        risk_level=risk_level,
        waits=wait,
        on_decision=on_decision,
    )


def place_of(messages: Sequence[ModelMessage]) -> list[str]:
    """Names the run, and where in it: a model may give its calls the same ids again."""
    said = [each for each in messages if isinstance(each, ModelResponse)]
    return [str(said[-1].run_id if said else ""), str(len(said))]


def questions_of(requests: DeferredToolRequests, place: Sequence[str] = (), parent: str = "") -> list[Question]:
    """One for each tool that needs approval, and each that asks a question."""
    asked = [*requests.approvals, *_asking_calls(requests)]
    answers = {each.tool_call_id for each in asked[len(requests.approvals) :]}
    return [
        Question(
            call.tool_name,
            call.args_as_dict(),
            [*place, call.tool_call_id] if place else (),
            ("responded",) if call.tool_call_id in answers else DECISIONS,
            call.tool_call_id,
            parent,
        )
        for call in asked
    ]


def _asking_calls(requests: DeferredToolRequests) -> list[ToolCallPart]:
    return [call for call in requests.calls if requests.kind(call.tool_call_id) == "question"]


def results_of(requests: DeferredToolRequests, decisions: Sequence[Decision] | None) -> DeferredToolResults | None:
    """The decisions on :func:`questions_of`, in Pydantic AI's form."""
    if decisions is None:
        return None
    asked = [*requests.approvals, *_asking_calls(requests)]
    decided = {call.tool_call_id: decision for call, decision in zip(asked, decisions, strict=True)}
    ids = [call.tool_call_id for call in requests.approvals]
    return DeferredToolResults(
        approvals={each: _approval(decided[each]) for each in ids},
        calls={each: _call(decision) for each, decision in decided.items() if each not in ids},
        answered_by={each: decision.decided_by for each, decision in decided.items() if decision.decided_by},
    )


@dataclass(frozen=True, slots=True)
class Approvals:
    """What a capability does with deferred tools. Never raises: what cannot be asked for is left, or does not run."""

    are_wanted: bool
    """Whether humans are asked for all of them, and not only for those that the settings name."""
    waits: bool
    on_decision: str
    timeout: float
    risk_level: str

    async def decide(self, run: Run | None, requests: DeferredToolRequests) -> DeferredToolResults | None:
        """While a run waits; None where it is not to, or nobody could be asked."""
        if self.are_wanted and not self.waits:
            return None
        held_back = named_by_policies(requests)
        asked = requests if self.are_wanted else held_back
        results = None
        if questions := questions_of(asked, parent=_parent(run)):
            try:
                results = results_of(asked, await self._asker(run).adecide(questions))
            except Exception as error:
                log_failure(_FRAMEWORK, error)
        return refusals(held_back) if results is None and held_back.approvals else results

    def ask(self, run: Run, requests: DeferredToolRequests, messages: Sequence[ModelMessage]) -> bool:
        """When a run ends with them, and does not wait; whether this asks for them."""
        if not self.are_wanted or self.waits:
            return False
        try:
            self._asker(run).decide(questions_of(requests, place_of(messages), _parent(run)))
        except Exception as error:
            log_failure(_FRAMEWORK, error)
        return True

    def _asker(self, run: Run | None) -> Asker:
        emitter = as_asking(None if run is None else run.trace.emitter, self.on_decision)
        return Asker(emitter, self.timeout, self.risk_level, self.waits, self.on_decision)


def _parent(run: Run | None) -> str:
    return run.call_id if run is not None and run.is_shown else ""


def named_by_policies(requests: DeferredToolRequests) -> DeferredToolRequests:
    """Those of the tools that the project's settings hold back."""
    return DeferredToolRequests(approvals=[each for each in requests.approvals if policy_for(each.tool_name)])


def refusals(requests: DeferredToolRequests) -> DeferredToolResults:
    """Where nobody could be asked for what a project holds back."""
    return DeferredToolResults(approvals={each.tool_call_id: ToolDenied(REFUSED) for each in requests.approvals})


def _approval(decision: Decision) -> ToolApproved | ToolDenied:
    if decision.is_approved:
        return ToolApproved(override_args=dict(decision.arguments) if decision.decision == "edited" else None)
    return ToolDenied(said) if (said := reason(decision)) else ToolDenied()


def _call(decision: Decision) -> Any:
    return decision.comment if decision.decision == "responded" else ToolFailed(reason(decision))
