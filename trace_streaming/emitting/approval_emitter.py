"""How an emitter asks a human: and waits, or goes on and finds the decision later, in whatever process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
from asgiref.sync import sync_to_async

from trace_streaming.events import TraceEvent
from trace_streaming.events.kinds import JSON

from .approval_requests import ALLOWED, ApprovalRequest, AskedBefore, Decision, FollowUp, ask, new_request
from .project_events import redacted


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """What a human was asked; the asking process goes on until it needs the decision."""

    approval_id: str
    _future: Future[Decision] = field(repr=False)
    _take: Callable[[Decision], Decision] = field(repr=False)

    def result(self) -> Decision:
        """Wait until somebody decides or the time is over."""
        return self._take(self._future.result())

    async def aresult(self) -> Decision:
        """Like :meth:`result`, without blocking the event loop."""
        return self._take(await asyncio.wrap_future(self._future))


class ApprovalEmitter(ABC):
    """The part of :class:`.TraceEmitter` that asks."""

    trace_id: str
    _undecided: set[str]
    """What it or another has asked without waiting, and it has found no decision of."""

    @abstractmethod
    def emit(self, event: str, details: Mapping[str, Any] | None = None, status: str = "pending") -> None:
        """See :meth:`.Emitter.emit`."""

    @abstractmethod
    def _remember(self, emitted: TraceEvent, frozen: dict[str, JSON]) -> None:
        """Keep an event among its own."""

    def request_approval(
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
    ) -> Decision:
        """Ask a human, and wait, without holding a database connection, until somebody decides or the time is over.

        Nobody decides: ``decision`` is ``timeout``, which is a no. Should this process die, the approval can still be
        decided; :meth:`wait_for` picks it up again.

        :param action: what is to be done, in up to 200 characters
        :param risk_level: ``low``, ``medium``, ``high`` or ``critical``
        :param arguments: of the action; humans see them redacted
        :param timeout: seconds, at most a year
        :param allowed: of ``approved``, ``rejected``, ``edited`` and ``responded``: an answer, the ``comment``, in
            place of what is asked for
        :param schema: a JSON schema that edited arguments must fit
        :param call_id: of the call that is asked for, where there is one
        :param parent_call_id: of the span that it is inside of; empty: of the block that this code runs in, if any
        :raises ValueError: for another risk level, decision or timeout, or a schema that is none or refers to others
        """
        question = (action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        return self._submit(question).result()

    async def arequest_approval(
        self,
        action: str,
        *,
        tool_name: str = "",
        risk_level: str = "medium",
        arguments: Mapping[str, Any] | None = None,
        timeout: float = 300.0,  # noqa: ASYNC109  of the human, not of the call
        allowed: Sequence[str] = ALLOWED,
        schema: Mapping[str, Any] | None = None,
        call_id: str = "",
        parent_call_id: str = "",
    ) -> Decision:
        """Like :meth:`request_approval`, without blocking the event loop."""
        question = (action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        return await self._submit(question).aresult()

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
        :meth:`request_approval`.

        :param approval_id: 1 to 64 characters, where the caller has to know it before; one that is there stays as it is
        :param on_decision: dotted path of what is called with the approval's id and the trace's once it is decided, or
            timed out: at least once, in whichever process; a Celery task is sent. It has to be quick otherwise
        :param group: in up to 64 characters, what others of this trace are asked with: ``on_decision`` is called behind
            the last decision of these, for all of them
        :raises ValueError: also where ``on_decision`` names nothing that can be called
        """
        question = (action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        followed = FollowUp(on_decision, group)
        request = replace(self._approval_request(*question, approval_id, followed), is_waited_for=False)
        ask(request)
        self._undecided.add(request.approval_id)
        return request.approval_id

    def submit_approval(
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
    ) -> PendingApproval:
        """Ask a human, and wait later: several may be asked at the same time.

        Parameters and errors are those of :meth:`ask_approval`.
        """
        question = (action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        return self._submit(question, approval_id)

    def _submit(self, question: tuple[Any, ...], approval_id: str = "") -> PendingApproval:
        request = self._approval_request(*question, approval_id)
        return PendingApproval(request.approval_id, ask(request), self._decided)

    def _approval_request(self, *question: Any) -> ApprovalRequest:
        return new_request(partial(redacted, trace_id=self.trace_id), self.emit, self.trace_id, *question)

    def _decided(self, decision: Decision) -> Decision:
        """Its event was recorded by whoever decided."""
        self._undecided.discard(decision.approval_id)
        if decision.event is not None:
            self._remember(decision.event, orjson.loads(decision.event.details))
        return decision

    def wait_for(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision:
        """Wait for an approval of this trace that was asked for before, perhaps by a process that has died.

        :param arguments: as they were asked for: where a human left what he was not shown, they are put back
        :raises ApprovalNotFoundError: a ``LookupError``; this trace has none of this id
        :raises OtherArgumentsError: a ``ValueError``; it was asked for with others: what was decided is not for these
        :raises ValueError: a human's edit was sealed with a ``SECRET_KEY`` that is not among the fallbacks any more
        """
        return self.pending_approval(approval_id, arguments).result()

    async def await_for(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision:
        """Like :meth:`wait_for`, without blocking the event loop."""
        return await self.pending_approval(approval_id, arguments).aresult()

    def pending_approval(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> PendingApproval:
        """What was asked for before, to be waited for later; its result raises what :meth:`wait_for` does."""
        return PendingApproval(approval_id, ask(AskedBefore(self.trace_id, approval_id, arguments)), self._decided)

    def find_decision(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision | None:
        """What was decided of an approval of this trace, in whatever process; None while nobody has, and there is time.

        Asks the database, once. Parameters and errors are those of :meth:`wait_for`.
        """
        asked = AskedBefore(self.trace_id, approval_id, arguments, is_waited_for=False)
        found: Decision | None = ask(asked).result()
        if found is None:
            self._undecided.add(approval_id)
            return None
        return self._decided(found)

    async def afind_decision(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision | None:
        """Like :meth:`find_decision`, without blocking the event loop."""
        return await sync_to_async(self.find_decision)(approval_id, arguments)
