"""A program elsewhere asks a human, and waits for what he decides: over the API, as its events go."""

from __future__ import annotations

import hmac
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import orjson

from trace_streaming.emitting.asking.contract import ApprovalEmitter, PendingApproval, Question, shown_schema
from trace_streaming.emitting.blocks import placed
from trace_streaming.emitting.decision import ALLOWED, MAX_ACTION_LENGTH, TIMEOUT, Decision, with_originals
from trace_streaming.emitting.event_factory import safe_details, shown_text
from trace_streaming.events import TraceEvent, parse_timestamp
from trace_streaming.events.freezing import JSON, freeze_details
from trace_streaming.redaction import Redactor

from .approval_calls import call
from .pending_approvals import Pending

SEND_SECONDS: Final = 30.0
"""How long who asks and goes tries to reach the server."""


class RemoteApprovals(ApprovalEmitter):
    """The part of :class:`.RemoteTraceEmitter` that asks.

    While the server is away nobody can decide; who waits asks again, and at last the answer is no.
    """

    _base_url: str
    _authorization: str
    _redactor: Redactor
    _on_their_way: dict[str, Pending]
    """What was submitted, and the server does not know yet; by its id."""

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
        if not pending.send_within(SEND_SECONDS):
            raise ConnectionError("The server does not answer: nobody is asked")
        self._undecided.add(pending.approval_id)
        return pending.approval_id

    def _submit(self, question: Question) -> PendingApproval:
        return self._pending(question).start()

    def _pending(self, question: Question) -> Pending:
        question.check()
        schema = None if question.schema is None else shown_schema(self._redacted, question.schema)
        approval_id = question.approval_id or str(uuid.uuid4())
        texts = {
            "action": question.action,
            "tool_name": question.tool_name,
            "call_id": question.call_id,
            "parent_call_id": question.parent_call_id,
        }
        # Here, for the server does not know what this process has hidden before.
        shown = self._redacted(texts)
        told: dict[str, Any] = {
            "approval_id": approval_id,
            **{name: shown_text(shown, name, text) for name, text in texts.items()},
            "risk_level": question.risk_level,
            "arguments": self._redacted(question.arguments),
            "allowed": list(question.allowed),
        }
        told["action"] = told["action"][:MAX_ACTION_LENGTH]
        asked = placed(
            cast("Any", self), "approval_requested", {key: value for key, value in told.items() if value != ""}
        )
        self._note("approval_requested", asked, "pending")
        expires_at = datetime.now(UTC) + timedelta(seconds=question.timeout)
        sent = {
            **asked,
            "timeout": question.timeout,
            "schema": schema,
            "binding": self.digest(question.arguments),
        }
        return Pending(self, approval_id, question.arguments, sent, expires_at)

    def _redacted(self, details: object) -> dict[str, JSON]:
        return safe_details(details, self._redactor, self.trace_id)[0]

    def _note(self, event: str, details: dict[str, Any], status: str) -> None:
        """Among its own events: the server itself stores what is asked and decided."""
        self._remember(*self._make(event, details, status))

    def digest(self, arguments: Mapping[str, Any] | None) -> str:
        """See :meth:`.ApprovalEmitter.digest`; the key is the token."""
        text = orjson.dumps(freeze_details(arguments), option=orjson.OPT_SORT_KEYS)
        return hmac.digest(self._authorization.encode(), text, "sha256").hex()

    def pending_approval(self, approval_id: str, arguments: Mapping[str, Any] | None = None) -> PendingApproval:
        """See :meth:`.ApprovalEmitter.pending_approval`."""
        pending = self._on_their_way.get(approval_id)
        if pending is None:
            return Pending(self, approval_id, arguments)
        return Pending(self, approval_id, arguments, expires_at=pending.expires_at, sending=pending.sending)

    def _find(self, approval_id: str, arguments: Mapping[str, Any] | None) -> Decision | None:
        return None if approval_id in self._on_their_way else self._look(approval_id, arguments)

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
        pending = self._on_their_way.get(approval_id)
        is_there = pending is None or pending.is_sent_within(SEND_SECONDS)
        told = self._call("DELETE", f"/{approval_id}/decision") if is_there else None
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
