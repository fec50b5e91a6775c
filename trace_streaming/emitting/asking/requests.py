"""What an agent asks a human, and what it is answered: plain data, handed over by a signal."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.core.signing import Signer
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.module_loading import import_string

from trace_streaming.emitting.decision import MAX_ACTION_LENGTH, MAX_ID_LENGTH
from trace_streaming.emitting.event_factory import shown_text
from trace_streaming.events import TraceApproval
from trace_streaming.events.freezing import JSON, encode, freeze_details
from trace_streaming.signals import decision_requested

from .contract import Question, shown_schema


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What is asked for."""

    approval_id: str
    arguments: Mapping[str, Any]
    """As the agent has them; not to be stored or sent."""
    expires_at: datetime
    record: TraceApproval
    """What is stored."""
    announce: Callable[[], None] = field(repr=False)
    """Emits ``approval_requested``; called when ``record`` is recorded."""
    is_waited_for: bool = True
    """Whether this process waits for the decision, or goes on."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is called when something is decided for which nobody waits."""

    path: str = ""
    """Dotted."""
    group: str = ""
    """Of what was asked together."""

    def fields(self, approval_id: str) -> dict[str, str]:
        """As they are stored: signed, as whatever is written there is imported.

        :raises ValueError: the path names nothing that can be called, or one of them is too long
        """
        if not self.path:
            return {}
        try:
            usable = callable(import_string(self.path))
        except ImportError:
            usable = False
        if not usable or len(self.path) > MAX_ACTION_LENGTH or len(self.group) > MAX_ID_LENGTH:
            raise ValueError(f"Not a dotted path of something that can be called, or too long: {self.path:.200}")
        return {"on_decision": signer(approval_id).sign(self.path), "group": self.group}


def signer(approval_id: str) -> Signer:
    """Of what is called on the decision of this approval."""
    return Signer(salt=f"trace_streaming.on_decision {approval_id}")


@dataclass(frozen=True, slots=True)
class AskedBefore:
    """What was asked for already, by whomever."""

    trace_id: str
    approval_id: str
    arguments: Mapping[str, Any] | None
    """As the agent has them, if it still has them."""
    is_waited_for: bool = True
    """Whether to wait for the decision, or to tell at once what there is."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who asks from outside of the project."""

    asked_by: Any
    """Primary key of the user whose token has asked: he alone is told what a human has written for the agent."""
    binding: str
    """What that program makes of the arguments as it has them; they do not leave it as they are."""

    @property
    def bound(self) -> dict[str, str]:
        """What stands for the arguments where their hash is made."""
        return {"binding": self.binding}


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is not asked any more."""

    trace_id: str
    approval_id: str


def new_request(
    redact: Callable[[object], dict[str, JSON]],
    emit: Callable[[str, Mapping[str, Any]], None],
    trace_id: str,
    question: Question,
    followed: FollowUp,
    elsewhere: Elsewhere | None = None,
) -> ApprovalRequest:
    """Check what an agent asks; raise :exc:`ValueError` with what is wrong."""
    question.check()
    now = datetime.now(UTC)
    shown = redact({"action": question.action, "tool_name": question.tool_name})
    asked = {
        "approval_id": question.approval_id or str(uuid.uuid4()),
        "action": shown_text(shown, "action", question.action)[:MAX_ACTION_LENGTH],
        "tool_name": shown_text(shown, "tool_name", question.tool_name)[:MAX_ACTION_LENGTH],
        "risk_level": question.risk_level,
        "arguments": redact(question.arguments),
        "arguments_hash": arguments_hash(question.arguments if elsewhere is None else elsewhere.bound),
        "allowed": list(question.allowed),
        "expires_at": (now + timedelta(seconds=question.timeout)).isoformat(),
    }
    placed = {"call_id": question.call_id, "parent_call_id": question.parent_call_id}
    stored = {
        **asked,
        "schema": _shown_schema(redact, question.schema),
        "requested_at": now.isoformat(),
        **followed.fields(str(asked["approval_id"])),
        **({} if elsewhere is None else {"asked_by_id": elsewhere.asked_by}),
    }
    return ApprovalRequest(
        approval_id=str(asked["approval_id"]),
        arguments=dict(question.arguments or {}),
        expires_at=now + timedelta(seconds=question.timeout),
        record=TraceApproval(trace_id, now, encode(freeze_details(stored))),
        announce=lambda: emit(
            "approval_requested", {key: value for key, value in {**asked, **placed}.items() if value != ""}
        ),
    )


def _shown_schema(redact: Callable[[object], dict[str, JSON]], schema: Mapping[str, Any] | None) -> JSON:
    if schema is None:
        return None
    from .schemas import check_schema  # few need it, and it takes long to load

    check_schema(schema)
    return shown_schema(redact, schema)


def arguments_hash(arguments: Mapping[str, Any] | None, *, key: str | bytes | None = None) -> str:
    """Of arguments as the agent has them; keyed with SECRET_KEY, so that nobody can guess them by trying."""
    text = orjson.dumps(freeze_details(arguments), option=orjson.OPT_SORT_KEYS)
    return salted_hmac("trace_streaming.approvals", text, secret=key, algorithm="sha256").hexdigest()


def has_hash(arguments: Mapping[str, Any] | None, expected: str) -> bool:
    """Whether it is the hash of these arguments, made with SECRET_KEY or with one of its fallbacks."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(arguments_hash(arguments, key=key), expected) for key in keys)


def ask(request: ApprovalRequest | AskedBefore | Withdrawal) -> Future[Any]:
    """Hand a request to whoever stores approvals; its :class:`Decision`, or None where it is not waited for.

    Of a :class:`Withdrawal` whether it was open.
    """
    answers = decision_requested.send_robust(sender=ApprovalRequest, request=request)
    for _, answer in answers:
        if isinstance(answer, Future):
            return answer
        if isinstance(answer, Exception):
            raise answer
    raise RuntimeError("Nobody takes approvals: is trace_streaming in INSTALLED_APPS, and are the apps loaded?")
