"""Runs of the OpenAI Agents SDK that stop for a human: he is asked, and they go on with what he has decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from agents import Runner, RunState
from agents.items import ToolApprovalItem

from trace_streaming.emitting.decision import Decision

from . import openai_values as values
from .asking import Asker, Question, as_arguments, asking, reason
from .holding import remember
from .openai_processor import TraceHooks
from .tracer import Tracer

_ALLOWED: Final = ("approved", "rejected", "responded")
"""The SDK runs a tool with the arguments that the model has given, or not at all."""


def run_with_approvals(
    agent: Any,
    inputs: Any,
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    **options: Any,
) -> Any:
    """``Runner.run_sync(agent, inputs, **options)``; for each tool that needs approval a human is asked.

    Told where the processor of ``hooks=processor.hooks`` tells its runs. With a ``RunState`` that waits for approval,
    of whatever process, it goes on: inside of a ``with TraceEmitter(trace_id)`` of the trace in which it was asked,
    what was asked and decided before counts.

    :param timeout: seconds for each decision; then it is a no
    :param risk_level: as :meth:`.TraceEmitter.request_approval` has it
    :param wait: False: ask and return, with ``interruptions``, while a decision is open
    :param on_decision: with ``wait=False``, what is called when all of them are taken: see :meth:`.ask_approval`
    :param options: of ``Runner.run_sync``
    :returns: the ``RunResult``; None of a ``RunState`` of which a decision is open still
    :raises TypeError: for an emitter that cannot ask
    """
    with asking(
        **_of(agent, options), timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision
    ) as asker:
        result, is_new = None, not isinstance(inputs, RunState)
        if is_new:
            result = Runner.run_sync(agent, inputs, **options)
        while stop := _Stop.of(inputs if result is None else result):
            if not stop.take(asker.decide(stop.questions(asker, is_new), is_new=is_new)):
                break
            result, is_new = Runner.run_sync(agent, stop.state, **options), True
        return result


async def arun_with_approvals(
    agent: Any,
    inputs: Any,
    *,
    timeout: float = 300.0,  # noqa: ASYNC109  of the human
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    **options: Any,
) -> Any:
    """Like :func:`run_with_approvals`, with ``Runner.run``."""
    with asking(
        **_of(agent, options), timeout=timeout, risk_level=risk_level, waits=wait, on_decision=on_decision
    ) as asker:
        result, is_new = None, not isinstance(inputs, RunState)
        if is_new:
            result = await Runner.run(agent, inputs, **options)
        while stop := _Stop.of(inputs if result is None else result):
            if not stop.take(await asker.adecide(stop.questions(asker, is_new), is_new=is_new)):
                break
            result, is_new = await Runner.run(agent, stop.state, **options), True
        return result


@dataclass(frozen=True, slots=True)
class _Stop:
    """A run that waits for approvals."""

    state: Any
    items: Sequence[ToolApprovalItem]

    @classmethod
    def of(cls, ended: Any) -> Self | None:
        """Of a result or a state; None where nothing waits."""
        items = ended.get_interruptions() if isinstance(ended, RunState) else ended.interruptions
        if not items:
            return None
        return cls(ended if isinstance(ended, RunState) else ended.to_state(), items)

    def questions(self, asker: Asker, is_new: bool) -> list[Question]:
        """One for each tool."""
        place: list[Any] = []
        if not is_new or not asker.waits:  # another process has to find them
            told = self.state.to_json()
            place = [(told.get("trace") or {}).get("id") or told["original_input"], told["current_turn"]]
        parents = {each.action: each.parent_call_id for each in asker.taken}
        return [self._question(item, place, parents.get(item.name or "", "")) for item in self.items]

    def _question(self, item: ToolApprovalItem, place: Sequence[Any], parent: str) -> Question:
        name, call_id = item.name or "tool", item.call_id or ""
        arguments = as_arguments(values.arguments(item.arguments))
        key = [*place, name, call_id] if place else ()
        return Question(name, arguments, key, _ALLOWED, call_id, parent)

    def take(self, decisions: Sequence[Decision] | None) -> bool:
        """What was decided, if it was."""
        for item, decision in zip(self.items, decisions or (), strict=decisions is not None):
            remember(item.call_id or "")
            if decision.is_approved:
                self.state.approve(item)
            else:
                self.state.reject(item, rejection_message=reason(decision) or None)
        return decisions is not None


def _of(agent: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    hooks, config = options.get("hooks"), options.get("run_config")
    tracer = hooks._tracer if isinstance(hooks, TraceHooks) else Tracer("the OpenAI Agents SDK")
    return {"tracer": tracer, "name": agent.name, "conversation": getattr(config, "group_id", None)}
