"""How an emitter of the project asks: its signal goes to whoever stores approvals."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
from asgiref.sync import sync_to_async

from trace_streaming.emitting.decision import ALLOWED, Decision
from trace_streaming.emitting.project_events import redacted
from trace_streaming.events import TraceEvent
from trace_streaming.events.kinds import JSON

from .contract import ApprovalEmitter, PendingApproval, Question
from .requests import ApprovalRequest, AskedBefore, FollowUp, Withdrawal, arguments_hash, ask, new_request


@dataclass(frozen=True, slots=True)
class _Pending(PendingApproval):
    approval_id: str
    _future: Future[Decision] = field(repr=False)
    _take: Callable[[Decision], Decision] = field(repr=False)

    def result(self) -> Decision:
        if not self._future.done():
            self._say_if_it_blocks_a_loop()
        return self._take(self._future.result())

    async def aresult(self) -> Decision:
        return self._take(await asyncio.wrap_future(self._future))


class ProjectApprovals(ApprovalEmitter):
    """The part of :class:`.TraceEmitter` that asks."""

    @abstractmethod
    def emit(self, event: str, details: Mapping[str, Any] | None = None, status: str = "pending") -> None:
        """See :meth:`.Emitter.emit`."""

    @abstractmethod
    def _remember(self, emitted: TraceEvent, frozen: dict[str, JSON]) -> None:
        """Keep an event among its own."""

    def ask_approval(
        self,
        action: str,
        *,
        tool_name: str = "",
        risk_level: str = "medium",
        arguments: Mapping[str, Any] | None = None,
        timeout: float = 300.0,
        allowed: Sequence[str] = ALLOWED,
        schema: Mapping[str, Any] | None = None,
        call_id: str = "",
        parent_call_id: str = "",
        approval_id: str = "",
        on_decision: str = "",
        group: str = "",
    ) -> str:
        """Ask a human, and go: returns at once, with the id for :meth:`find_decision` and :meth:`wait_for`.

        What is asked is stored like an event; ``flush()`` waits for it. A ``with`` block of this emitter that ends
        before it has found the decision leaves the trace ``incomplete``. Parameters and errors are those of
        :meth:`submit_approval`.

        :param on_decision: dotted path of what is called with the approval's id and the trace's once it is decided, or
            timed out: at least once, in whichever process; a Celery task is sent. It has to be quick otherwise
        :param group: in up to 64 characters, what others of this trace are asked with: ``on_decision`` is called behind
            the last decision of these, for all of them
        :raises ValueError: also where ``on_decision`` names nothing that can be called
        """
        question = Question(
            action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id, approval_id
        )
        request = replace(self._request(question, FollowUp(on_decision, group)), is_waited_for=False)
        ask(request)
        self._undecided.add(request.approval_id)
        return request.approval_id

    def _submit(self, question: Question) -> PendingApproval:
        request = self._request(question, FollowUp())
        return _Pending(request.approval_id, ask(request), self._decided)

    def _request(self, question: Question, followed: FollowUp) -> ApprovalRequest:
        redact = partial(redacted, trace_id=self.trace_id)
        return new_request(redact, self.emit, self.trace_id, question, followed)

    def _decided(self, decision: Decision) -> Decision:
        """Its event was recorded by whoever decided."""
        self._undecided.discard(decision.approval_id)
        if decision.event is not None:
            self._remember(decision.event, orjson.loads(decision.event.details))
        return decision

    def pending_approval(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> PendingApproval:
        """See :meth:`.ApprovalEmitter.pending_approval`."""
        return _Pending(approval_id, ask(AskedBefore(self.trace_id, approval_id, arguments)), self._decided)

    def _find(self, approval_id: str, arguments: Mapping[str, Any] | None) -> Decision | None:
        asked = AskedBefore(self.trace_id, approval_id, arguments, is_waited_for=False)
        found: Decision | None = ask(asked).result()
        return None if found is None else self._decided(found)

    async def afind_decision(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision | None:
        """Like :meth:`find_decision`, without blocking the event loop: where Django's own database code runs."""
        return await sync_to_async(self.find_decision)(approval_id, arguments)

    def digest(self, arguments: Mapping[str, Any] | None) -> str:
        """See :meth:`.ApprovalEmitter.digest`."""
        return arguments_hash(arguments)

    def withdraw_approval(self, approval_id: str) -> bool:
        """See :meth:`.ApprovalEmitter.withdraw_approval`."""
        was_open: bool = ask(Withdrawal(self.trace_id, approval_id)).result()
        self._undecided.discard(approval_id)
        return was_open
