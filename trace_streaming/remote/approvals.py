"""A program elsewhere asks a human, and waits for what he decides: over the API, as its events go."""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, cast

import orjson

from trace_streaming.emitting.asking.contract import ApprovalEmitter, PendingApproval, Question
from trace_streaming.emitting.blocks import placed
from trace_streaming.emitting.decision import ALLOWED, TIMEOUT, Decision, with_originals
from trace_streaming.emitting.event_factory import safe_details
from trace_streaming.events import TraceEvent, parse_timestamp
from trace_streaming.events.freezing import JSON, freeze_details
from trace_streaming.redaction import Redactor

from .approval_calls import call

LOOK_SECONDS: Final = 1.0
"""Between looks whether somebody has decided, or whether the server is there again."""
FLUSH_SECONDS: Final = 2.0
SEND_SECONDS: Final = 30.0
"""How long who asks and goes tries to reach the server."""
LOST_AFTER: Final = timedelta(seconds=5)
"""So long after its end what cannot be looked at is given up: the answer is no."""


@dataclass(slots=True)
class _Pending(PendingApproval):
    emitter: RemoteApprovals
    approval_id: str
    arguments: Mapping[str, Any] | None
    question: dict[str, Any] | None = field(default=None, repr=False)
    """What is to be sent; None when the server has it."""
    expires_at: datetime | None = None
    _sending: Future[None] | None = field(default=None, repr=False)

    def start(self) -> Self:
        """Send it, in a thread: several are asked at the same time."""
        self._sending = Future()
        threading.Thread(target=self._send_until_it_is_there, name="trace-approval", daemon=True).start()
        return self

    def _send_until_it_is_there(self) -> None:
        sending = self._sending or Future()
        try:
            while not self.send() and not self._is_lost:
                time.sleep(LOOK_SECONDS)
        except Exception as error:  # a refusal, for whoever waits
            sending.set_exception(error)
        else:
            sending.set_result(None)

    def result(self) -> Decision:
        while (found := self._look()) is None:
            time.sleep(LOOK_SECONDS)
        return found

    async def aresult(self) -> Decision:
        while (found := await asyncio.to_thread(self._look)) is None:  # noqa: ASYNC110  it is on a server
            await asyncio.sleep(LOOK_SECONDS)
        return found

    def send(self) -> bool:
        """Whether the server has it; what was emitted before goes before it, if the server is there."""
        if self.question is not None:
            self.emitter.flush(FLUSH_SECONDS)
            if self.emitter._call("POST", "", self.question) is not None:
                self.question = None
        return self.question is None

    @property
    def _is_lost(self) -> bool:
        return self.expires_at is not None and datetime.now(UTC) > self.expires_at + LOST_AFTER

    def _look(self) -> Decision | None:
        if self._sending is not None:
            with suppress(TimeoutError):
                self._sending.result(LOOK_SECONDS)
        found = self.emitter._look(self.approval_id, self.arguments) if self.question is None else None
        if found is None and self._is_lost:
            return Decision(self.approval_id, TIMEOUT, self.arguments or {})
        return found


class RemoteApprovals(ApprovalEmitter):
    """The part of :class:`.RemoteTraceEmitter` that asks.

    While the server is away nobody can decide; who waits asks again, and at last the answer is no.
    """

    _base_url: str
    _authorization: str
    _redactor: Redactor

    @abstractmethod
    def flush(self, timeout: float | None = None) -> bool:
        """See :class:`.Emitter`."""

    @abstractmethod
    def _make(
        self, event: str, details: Mapping[str, Any] | None, status: str, timestamp: datetime | None = None
    ) -> tuple[TraceEvent, dict[str, JSON]]:
        """See :class:`.Emitter`."""

    @abstractmethod
    def _remember(self, emitted: TraceEvent, frozen: dict[str, JSON]) -> None:
        """See :class:`.Emitter`."""

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
        """Ask a human, and go: returns when the server has stored it.

        Parameters and errors are those of :meth:`submit_approval`.

        :raises ConnectionError: the server could not be reached for half a minute
        :raises PermissionError: it does not let this token ask
        """
        pending = self._pending(
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
        until = time.monotonic() + SEND_SECONDS
        while not pending.send():
            if time.monotonic() > until:
                raise ConnectionError("The server does not answer: nobody is asked")
            time.sleep(LOOK_SECONDS)
        self._undecided.add(pending.approval_id)
        return pending.approval_id

    def _submit(self, question: Question) -> PendingApproval:
        return self._pending(question).start()

    def _pending(self, question: Question) -> _Pending:
        question.check()
        approval_id = question.approval_id or str(uuid.uuid4())
        shown = safe_details(question.arguments, self._redactor, self.trace_id)[0]
        told: dict[str, Any] = {
            "approval_id": approval_id,
            "action": question.action,
            "tool_name": question.tool_name,
            "risk_level": question.risk_level,
            "arguments": shown,
            "allowed": list(question.allowed),
            "call_id": question.call_id,
            "parent_call_id": question.parent_call_id,
        }
        asked = placed(
            cast("Any", self), "approval_requested", {key: value for key, value in told.items() if value != ""}
        )
        self._note("approval_requested", asked, "pending")
        expires_at = datetime.now(UTC) + timedelta(seconds=question.timeout)
        sent = {
            **asked,
            "timeout": question.timeout,
            "schema": question.schema,
            "binding": self.digest(question.arguments),
        }
        return _Pending(self, approval_id, question.arguments, sent, expires_at)

    def _note(self, event: str, details: dict[str, Any], status: str) -> None:
        """Among its own events: the server itself stores what is asked and decided."""
        self._remember(*self._make(event, details, status))

    def digest(self, arguments: Mapping[str, Any] | None) -> str:
        """See :meth:`.ApprovalEmitter.digest`; the key is the token."""
        text = orjson.dumps(freeze_details(arguments), option=orjson.OPT_SORT_KEYS)
        return hmac.digest(self._authorization.encode(), text, "sha256").hex()

    def pending_approval(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> PendingApproval:
        """See :meth:`.ApprovalEmitter.pending_approval`."""
        return _Pending(self, approval_id, arguments)

    def _find(self, approval_id: str, arguments: Mapping[str, Any] | None) -> Decision | None:
        return self._look(approval_id, arguments)

    def _look(self, approval_id: str, arguments: Mapping[str, Any] | None) -> Decision | None:
        binding = {} if arguments is None else {"binding": self.digest(arguments)}
        told = self._call("GET", f"/{approval_id}/decision", params=binding)
        if told is None or not told.get("decision"):
            return None
        edited, shown = told["edited"], told["arguments"]
        given: Mapping[str, Any] = shown if arguments is None else arguments
        if edited is not None:
            given = cast("dict[str, Any]", with_originals(edited, shown, given))
        decided_at = told["decided_at"]
        decision = Decision(
            approval_id,
            told["decision"],
            given,
            told["comment"],
            told["decided_by"],
            None if decided_at is None else parse_timestamp(decided_at),
        )
        self._undecided.discard(approval_id)
        name = "approval_timeout" if decision.decision == TIMEOUT else "approval_received"
        is_no = decision.decision in {TIMEOUT, "rejected"}
        details = {"approval_id": approval_id, "decision": decision.decision, "decided_by": decision.decided_by}
        self._note(name, details, "error" if is_no else "success")
        return decision

    def withdraw_approval(self, approval_id: str) -> bool:
        """See :meth:`.ApprovalEmitter.withdraw_approval`.

        :raises ConnectionError: the server does not answer
        """
        told = self._call("DELETE", f"/{approval_id}/decision")
        if told is None:
            raise ConnectionError("The server does not answer: what was asked may be open")
        self._undecided.discard(approval_id)
        return bool(told.get("withdrawn"))

    def _call(
        self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        return call(
            method, f"{self._base_url}/api/traces/{self.trace_id}/approvals{path}", self._authorization, body, params
        )
