"""What an agent asks a human, and what it is answered: plain data, handed over by a signal."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.signing import Signer
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.module_loading import import_string

from trace_streaming.events import TraceApproval, TraceEvent
from trace_streaming.events.freezing import JSON, encode, freeze_details
from trace_streaming.signals import decision_requested

DECISIONS: Final = ("approved", "rejected", "edited", "responded")
ALLOWED: Final = ("approved", "rejected", "edited")
"""Where an agent says nothing else: it has to know what to do with a text."""
TIMEOUT: Final = "timeout"
RISK_LEVELS: Final = ("low", "medium", "high", "critical")
MAX_ACTION_LENGTH: Final = 200
MAX_ID_LENGTH: Final = 64
REDACTED: Final = "[redacted:"
"""What every marker begins with."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of an approval."""

    approval_id: str
    decision: str
    """``approved``, ``rejected``, ``edited``, ``responded``, or ``timeout`` when nobody answered in time."""
    arguments: Mapping[str, Any]
    """With what to go on: the arguments that were asked for, or, where a human edited them, his."""
    comment: str = ""
    """What the human says of it; with ``responded``, his answer, in place of what was asked for."""
    decided_by: str = ""
    """User name; empty for a timeout."""
    decided_at: datetime | None = None
    event: TraceEvent | None = field(default=None, repr=False)
    """What was recorded of it."""

    @property
    def is_approved(self) -> bool:
        """Whether to go on, with ``arguments``. A timeout is a no, and so is an answer in place of it."""
        return self.decision in ("approved", "edited")


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


def new_request(
    redact: Callable[[object], dict[str, JSON]],
    emit: Callable[[str, Mapping[str, Any]], None],
    trace_id: str,
    action: str,
    tool_name: str,
    risk_level: str,
    arguments: Mapping[str, Any] | None,
    timeout: float,
    allowed: Sequence[str],
    schema: Mapping[str, Any] | None,
    call_id: str = "",
    parent_call_id: str = "",
    approval_id: str = "",
    followed: FollowUp = FollowUp(),
) -> ApprovalRequest:
    """Check what an agent asks; raise :exc:`ValueError` with what is wrong."""
    if not action or len(action) > MAX_ACTION_LENGTH:
        raise ValueError(f"An action has 1 to {MAX_ACTION_LENGTH} characters")
    if risk_level not in RISK_LEVELS:
        raise ValueError(f"Not a risk level: {risk_level}. Must be one of {', '.join(RISK_LEVELS)}")
    if not allowed or isinstance(allowed, str) or not set(allowed) <= set(DECISIONS):
        raise ValueError(f"Not decisions: {allowed!r}. Must be some of {', '.join(DECISIONS)}")
    if not 0 < timeout <= timedelta(days=365).total_seconds():
        raise ValueError("A timeout is a number of seconds above 0, and at most a year")
    if len(approval_id) > MAX_ID_LENGTH:
        raise ValueError(f"An approval's id has at most {MAX_ID_LENGTH} characters")
    now = datetime.now(UTC)
    shown = redact({"action": action, "tool_name": tool_name})
    asked = {
        "approval_id": approval_id or str(uuid.uuid4()),
        "action": str(shown["action"])[:MAX_ACTION_LENGTH],
        "tool_name": str(shown["tool_name"])[:MAX_ACTION_LENGTH],
        "risk_level": risk_level,
        "arguments": redact(arguments),
        "arguments_hash": arguments_hash(arguments),
        "allowed": list(allowed),
        "expires_at": (now + timedelta(seconds=timeout)).isoformat(),
    }
    placed = {"call_id": call_id, "parent_call_id": parent_call_id}
    stored = {
        **asked,
        "schema": _shown_schema(redact, schema),
        "requested_at": now.isoformat(),
        **followed.fields(str(asked["approval_id"])),
    }
    return ApprovalRequest(
        approval_id=str(asked["approval_id"]),
        arguments=dict(arguments or {}),
        expires_at=now + timedelta(seconds=timeout),
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
    shown = redact({"schema": schema}).get("schema")
    if not isinstance(shown, dict):
        raise ValueError("The schema is too large")  # noqa: TRY004  of a value
    return shown


def arguments_hash(arguments: Mapping[str, Any] | None, *, key: str | bytes | None = None) -> str:
    """Of arguments as the agent has them; keyed with SECRET_KEY, so that nobody can guess them by trying."""
    text = orjson.dumps(freeze_details(arguments), option=orjson.OPT_SORT_KEYS)
    return salted_hmac("trace_streaming.approvals", text, secret=key, algorithm="sha256").hexdigest()


def has_hash(arguments: Mapping[str, Any] | None, expected: str) -> bool:
    """Whether it is the hash of these arguments, made with SECRET_KEY or with one of its fallbacks."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(arguments_hash(arguments, key=key), expected) for key in keys)


def ask(request: ApprovalRequest | AskedBefore) -> Future[Any]:
    """Hand a request to whoever stores approvals; its :class:`Decision`, or None where it is not waited for."""
    answers = decision_requested.send_robust(sender=ApprovalRequest, request=request)
    for _, answer in answers:
        if isinstance(answer, Future):
            return answer
        if isinstance(answer, Exception):
            raise answer
    raise RuntimeError("Nobody takes approvals: is trace_streaming in INSTALLED_APPS, and are the apps loaded?")


def with_originals(edited: JSON, shown: JSON, original: Any) -> Any:
    """What a human has edited, with what he was not shown: where he left a redacted value as it was, it is put back.

    :param original: as the agent has it, whatever its types and its size; what no JSON is like is taken as it is shown
    """
    if _is_same(edited, shown):
        return original
    if not isinstance(original, Mapping | list | tuple):
        original = freeze_details({"value": original})["value"]
    if isinstance(edited, dict) and isinstance(shown, dict) and isinstance(original, Mapping):
        both = shown.keys() & original.keys()
        return {k: with_originals(v, shown[k], original[k]) if k in both else v for k, v in edited.items()}
    if (
        isinstance(edited, list)
        and isinstance(shown, list)
        and isinstance(original, list | tuple)
        and len(edited) == len(shown) == len(original)
    ):
        return [with_originals(*each) for each in zip(edited, shown, original, strict=True)]
    return edited


def moved_marker(edited: JSON, shown: JSON) -> str | None:
    """A redacted value that is not where it was shown, so that nobody knows what to put back; None where all are.

    Of a list whose length has changed nobody can say which of its redacted values is which.
    """
    if _is_same(edited, shown):
        return None
    if isinstance(edited, str):
        return edited if REDACTED in edited else None
    if isinstance(edited, dict):
        pairs = ((value, shown.get(key) if isinstance(shown, dict) else None) for key, value in edited.items())
    elif isinstance(edited, list):
        has_same_length = isinstance(shown, list) and len(shown) == len(edited)
        pairs = ((value, shown[i] if has_same_length else None) for i, value in enumerate(edited))  # type: ignore[index]
    else:
        return None
    return next((marker for pair in pairs if (marker := moved_marker(*pair)) is not None), None)


def _is_same(one: JSON, other: JSON) -> bool:
    """As JSON: 1, 1.0 and true are three values."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
