"""Humans are asked for what a framework has stopped at: all questions at once; then their decisions are waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
from asgiref.sync import sync_to_async

from trace_streaming.emitting.asking.contract import ApprovalEmitter, PendingApproval
from trace_streaming.emitting.asking.emitter import ProjectApprovals
from trace_streaming.emitting.asking.policies import Policy, policy_for
from trace_streaming.emitting.contract import Emitter
from trace_streaming.emitting.decision import DECISIONS, Decision
from trace_streaming.exceptions import ApprovalNotFoundError

from .runs import Asked
from .tracer import Tracer, questions_taken

TOO_LATE: Final = "Nobody has decided in time."
"""What a model is told for a timeout."""
_NAMESPACE: Final = UUID("0d1d3c1e-6c0b-5b0e-9f65-2f1f0c0f6a11")


@dataclass(frozen=True, slots=True)
class Question:
    """What a tool, or whatever a framework has stopped at, is to do."""

    action: str
    arguments: Mapping[str, Any]
    key: Sequence[Any] = ()
    """What the framework knows it by, in every process; empty: it is asked for in this one alone."""
    allowed: Sequence[str] = DECISIONS
    call_id: str = ""
    parent_call_id: str = ""
    schema: Mapping[str, Any] | None = None
    """That edited arguments must fit."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks in one trace.

    :param timeout: seconds for each decision; this and the risk level, where the project's settings say nothing else
    :param waits: whether to wait for decisions, or to ask and go
    """

    emitter: ApprovalEmitter
    timeout: float
    risk_level: str
    waits: bool = True
    on_decision: str = ""
    """Called behind the last decision, where nobody waits: as :meth:`.TraceEmitter.ask_approval` has it."""
    taken: Sequence[Asked] = ()
    """What the framework has asked for inside of the block, oldest first."""

    def decide(self, questions: Sequence[Question], *, is_new: bool = True) -> list[Decision] | None:
        """The decisions, in the order of the questions; None while one is open, where nobody waits.

        :param is_new: whether nobody can have asked before
        """
        asked = self._ask_all(questions, is_new)
        if not self.waits:
            return _all_of(asked)
        return [each.result() if isinstance(each, PendingApproval) else each for each in asked if each is not None]

    async def adecide(self, questions: Sequence[Question], *, is_new: bool = True) -> list[Decision] | None:
        """Like :meth:`decide`, without blocking the event loop."""
        asked = await sync_to_async(self._ask_all)(questions, is_new)
        if not self.waits:
            return _all_of(asked)
        return [
            await each.aresult() if isinstance(each, PendingApproval) else each for each in asked if each is not None
        ]

    def parent_of(self, key: Any) -> str:
        """The span that has asked for this, where that is shown."""
        return next((each.parent_call_id for each in reversed(self.taken) if each.key == key), "")

    def _ask_all(self, questions: Sequence[Question], is_new: bool) -> list[PendingApproval | Decision | None]:
        ids = [self._approval_id(question) for question in questions]
        group = str(uuid5(_NAMESPACE, " ".join(ids))) if all(ids) else ""
        return [self._ask(each, id_, group, is_new) for each, id_ in zip(questions, ids, strict=True)]

    def _ask(self, question: Question, approval_id: str, group: str, is_new: bool) -> PendingApproval | Decision | None:
        if not is_new:
            try:
                found = self.emitter.find_decision(approval_id, question.arguments)
            except ApprovalNotFoundError:  # whoever was to ask has died before
                pass
            else:
                is_open = found is None and self.waits
                return self.emitter.pending_approval(approval_id, question.arguments) if is_open else found
        policy = policy_for(question.action) or Policy(self.risk_level, self.timeout)
        asked: dict[str, Any] = {
            "tool_name": question.action,
            "risk_level": policy.risk_level,
            "arguments": question.arguments,
            "timeout": policy.timeout,
            "allowed": [each for each in question.allowed if each in policy.allowed] or question.allowed,
            "schema": question.schema,
            "call_id": question.call_id,
            "parent_call_id": question.parent_call_id,
            "approval_id": approval_id,
        }
        if self.waits:
            return self.emitter.submit_approval(question.action, **asked)
        if self.on_decision:
            asked |= {"on_decision": self.on_decision, "group": group}
        self.emitter.ask_approval(question.action, **asked)
        return None

    def _approval_id(self, question: Question) -> str:
        """The same in every process, for the same arguments of the same question alone."""
        if not question.key:
            return ""
        named = [self.emitter.trace_id, *question.key, self.emitter.digest(question.arguments)]
        return str(uuid5(_NAMESPACE, orjson.dumps(named).decode()))


def _all_of(asked: Sequence[PendingApproval | Decision | None]) -> list[Decision] | None:
    decided = [each for each in asked if isinstance(each, Decision)]
    return decided if len(decided) == len(asked) else None


@contextmanager
def asking(
    tracer: Tracer,
    *,
    name: str,
    conversation: object,
    timeout: float,
    risk_level: str,
    waits: bool,
    on_decision: str,
) -> Iterator[Asker]:
    """Ask for what a framework stops at inside of the block, in the trace of the tracer; a new one ends with the block.

    :raises TypeError: for an emitter that cannot ask
    """
    emitter, is_own = tracer.emitter_for(name, "" if conversation is None else str(conversation))
    found = as_asking(emitter, on_decision)
    taken: list[Asked] = []
    token = questions_taken.set(taken)
    try:
        with emitter if is_own else nullcontext():
            try:
                yield Asker(found, timeout, risk_level, waits, on_decision, taken)
            except GeneratorExit:  # a stream that nobody reads to its end
                if is_own:
                    emitter.end("incomplete")
                raise
    finally:
        questions_taken.reset(token)


def as_asking(emitter: Emitter | None, on_decision: str = "") -> ApprovalEmitter:
    """One that can ask.

    :raises TypeError: where it cannot
    """
    if not isinstance(emitter, ApprovalEmitter):
        raise TypeError(f"A {type(emitter).__name__} cannot ask for approvals; a TraceEmitter can, and a remote one")
    if on_decision and not isinstance(emitter, ProjectApprovals):
        raise TypeError("What is called on a decision is called in the project: ask there, with a TraceEmitter")
    return emitter


def as_arguments(value: Any) -> Mapping[str, Any]:
    """What a human is shown: an object."""
    if value is None:
        return {}
    return value if isinstance(value, Mapping) else {"value": value}


def reason(decision: Decision) -> str:
    """What a model is told of a no, or in place of what it has asked for; empty where the human has said nothing."""
    return decision.comment or (TOO_LATE if decision.decision == "timeout" else "")
