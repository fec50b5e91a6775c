"""How every emitter asks a human: and waits, or goes on and finds the decision later, in whatever process."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from trace_streaming.emitting.decision import (
    ALLOWED,
    DECISIONS,
    MAX_ACTION_LENGTH,
    MAX_ID_LENGTH,
    RISK_LEVELS,
    Decision,
)
from trace_streaming.events.freezing import JSON


@dataclass(frozen=True, slots=True)
class Question:
    """What an emitter asks; the fields are the parameters of :meth:`ApprovalEmitter.ask_approval`."""

    action: str
    tool_name: str = ""
    risk_level: str = "medium"
    arguments: Mapping[str, Any] | None = None
    timeout: float = 300.0
    allowed: Sequence[str] = ALLOWED
    schema: Mapping[str, Any] | None = None
    call_id: str = ""
    parent_call_id: str = ""
    approval_id: str = ""

    def check(self) -> None:
        """Raise :exc:`ValueError` with what is wrong."""
        if not self.action or len(self.action) > MAX_ACTION_LENGTH:
            raise ValueError(f"An action has 1 to {MAX_ACTION_LENGTH} characters")
        if self.risk_level not in RISK_LEVELS:
            raise ValueError(f"Not a risk level: {self.risk_level}. Must be one of {', '.join(RISK_LEVELS)}")
        if not self.allowed or isinstance(self.allowed, str) or not set(self.allowed) <= set(DECISIONS):
            raise ValueError(f"Not decisions: {self.allowed!r}. Must be some of {', '.join(DECISIONS)}")
        if not 0 < self.timeout <= timedelta(days=365).total_seconds():
            raise ValueError("A timeout is a number of seconds above 0, and at most a year")
        if len(self.approval_id) > MAX_ID_LENGTH:
            raise ValueError(f"An approval's id has at most {MAX_ID_LENGTH} characters")


def shown_schema(redact: Callable[[object], dict[str, JSON]], schema: Mapping[str, Any]) -> dict[str, JSON]:
    """A schema as humans see it; raises :exc:`ValueError` where nothing is left of it to check edits by."""
    shown = redact({"schema": schema}).get("schema")
    if not isinstance(shown, dict):
        raise ValueError("The schema is too large, or the redactor loses it")  # noqa: TRY004  of a value
    return shown


logger = logging.getLogger(__name__)


class PendingApproval(ABC):
    """What a human was asked; the asking process goes on until it needs the decision."""

    approval_id: str

    @abstractmethod
    def result(self) -> Decision:
        """Wait until somebody decides or the time is over."""

    @abstractmethod
    async def aresult(self) -> Decision:
        """Like :meth:`result`, without blocking the event loop."""

    def _say_if_it_blocks_a_loop(self) -> None:
        """For who is about to wait: where that is a server's loop, nobody can decide meanwhile."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        logger.warning(
            "Waiting for approval %s stops the event loop, and all that runs in it, perhaps the pages to decide on:"
            " await arequest_approval(), await_for() or aresult() there",
            self.approval_id,
        )


class ApprovalEmitter(ABC):
    """The part of :class:`.TraceEmitter` and of :class:`.RemoteTraceEmitter` that asks."""

    trace_id: str
    _undecided: set[str]
    """What it or another has asked without waiting, and it has found no decision of."""

    @abstractmethod
    def _submit(self, question: Question) -> PendingApproval:
        """Ask. Returns at once."""

    @abstractmethod
    def pending_approval(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> PendingApproval:
        """What was asked for before, to be waited for later; its result raises what :meth:`wait_for` does."""

    @abstractmethod
    def _find(self, approval_id: str, arguments: Mapping[str, Any] | None) -> Decision | None:
        """What there is now."""

    @abstractmethod
    def digest(self, arguments: Mapping[str, Any] | None) -> str:
        """Of arguments as the agent has them, keyed, so that nobody can guess them by trying."""

    @abstractmethod
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
    ) -> str:
        """Ask a human, and go: returns the id for :meth:`find_decision` and :meth:`wait_for`."""

    @abstractmethod
    def withdraw_approval(self, approval_id: str) -> bool:
        """Take back what was asked: nobody can decide it any more, and who waits for it is told ``withdrawn``.

        :returns: whether it was open; False where it is decided, or its time is over
        :raises ApprovalNotFoundError: a ``LookupError``; this trace has none of this id
        """

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
        return self._submit(
            Question(action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        ).result()

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
        return await self._submit(
            Question(action, tool_name, risk_level, arguments, timeout, allowed, schema, call_id, parent_call_id)
        ).aresult()

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

        Parameters and errors are those of :meth:`request_approval`.

        :param approval_id: 1 to 64 characters, where the caller has to know it before; one that is there stays as it is
        """
        return self._submit(
            Question(
                action,
                tool_name,
                risk_level,
                arguments,
                timeout,
                allowed,
                schema,
                call_id,
                parent_call_id,
                approval_id,
            )
        )

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

    def find_decision(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision | None:
        """What was decided of an approval of this trace, in whatever process; None while nobody has, and there is time.

        Asks the database, or the server, once. Parameters and errors are those of :meth:`wait_for`.
        """
        found = self._find(approval_id, arguments)
        if found is None:
            self._undecided.add(approval_id)
        return found

    async def afind_decision(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> Decision | None:
        """Like :meth:`find_decision`, without blocking the event loop."""
        return await asyncio.to_thread(self.find_decision, approval_id, arguments)
