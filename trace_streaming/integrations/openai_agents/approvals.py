"""Runs of the OpenAI Agents SDK that stop for a human: he is asked, and they go on with what he has decided."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Self

from agents import Runner, RunState
from agents.items import ToolApprovalItem

from trace_streaming.emitting.decision import Decision
from trace_streaming.integrations.asking import Asker, Question, as_arguments, asking, reason
from trace_streaming.integrations.holding import remember
from trace_streaming.integrations.streams import aset_apart
from trace_streaming.integrations.tracer import Tracer

from . import values
from .processor import TraceHooks

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
    with _asking(agent, options, timeout, risk_level, wait, on_decision) as asker:
        ended = inputs if isinstance(inputs, RunState) else Runner.run_sync(agent, inputs, **options)
        while stop := _Stop.of(ended):
            is_new = ended is not inputs
            if not stop.take(asker.decide(stop.questions(asker, is_new), is_new=is_new)):
                break
            ended = Runner.run_sync(agent, stop.state, **options)
        return None if ended is inputs else ended


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
    with _asking(agent, options, timeout, risk_level, wait, on_decision) as asker:
        ended = inputs if isinstance(inputs, RunState) else await Runner.run(agent, inputs, **options)
        while stop := _Stop.of(ended):
            is_new = ended is not inputs
            if not stop.take(await asker.adecide(stop.questions(asker, is_new), is_new=is_new)):
                break
            ended = await Runner.run(agent, stop.state, **options)
        return None if ended is inputs else ended


def astream_with_approvals(
    agent: Any,
    inputs: Any,
    *,
    timeout: float = 300.0,
    risk_level: str = "medium",
    wait: bool = True,
    on_decision: str = "",
    **options: Any,
) -> AsyncGenerator[Any]:
    """Like :func:`run_with_approvals`, with ``Runner.run_streamed``: each ``RunResultStreaming``, one after the other.

    Read its ``stream_events()``; where it stops for a human, the next one comes when he has decided. The last one has
    the ``final_output``. What was not read of one is not waited for any longer than its run takes.
    """

    async def runs() -> AsyncGenerator[Any]:
        with _asking(agent, options, timeout, risk_level, wait, on_decision) as asker:
            ended = inputs
            if not isinstance(inputs, RunState):
                yield (ended := Runner.run_streamed(agent, inputs, **options))
                await _read(ended)
            while stop := _Stop.of(ended):
                is_new = ended is not inputs
                if not stop.take(await asker.adecide(stop.questions(asker, is_new), is_new=is_new)):
                    break
                yield (ended := Runner.run_streamed(agent, stop.state, **options))
                await _read(ended)

    return aset_apart(runs())


async def _read(result: Any) -> None:
    """To its end, which says what it waits for."""
    async for _ in result.stream_events():
        pass


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


def _asking(
    agent: Any, options: Mapping[str, Any], timeout: float, risk_level: str, wait: bool, on_decision: str
) -> AbstractContextManager[Asker]:
    hooks, config = options.get("hooks"), options.get("run_config")
    return asking(
        hooks._tracer if isinstance(hooks, TraceHooks) else Tracer("the OpenAI Agents SDK"),
        name=agent.name,
        conversation=getattr(config, "group_id", None),
        timeout=timeout,
        risk_level=risk_level,
        waits=wait,
        on_decision=on_decision,
    )
