"""What is answered to who asked for a decision: found in what is stored, or in its absence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from trace_streaming.emitting.asking.requests import ApprovalRequest, AskedBefore, has_hash
from trace_streaming.emitting.decision import TIMEOUT, Decision, with_originals
from trace_streaming.exceptions import ApprovalNotFoundError, OtherArgumentsError
from trace_streaming.models import Approval
from trace_streaming.storage.times import as_utc

from .decisions import edited_of, event_of, with_timeouts

LOST_AFTER_SECONDS: Final = 5.0
"""So long after its end, a request that was never stored is given up: the answer is no."""


def rows_of(asked: Sequence[ApprovalRequest | AskedBefore]) -> dict[str, Approval]:
    """Those that there are, by id."""
    return {row.approval_id: row for row in with_timeouts({each.approval_id for each in asked})}


def answer_of(
    asked: ApprovalRequest | AskedBefore, rows: Mapping[str, Approval], *, is_stored: bool
) -> Decision | Exception | None:
    """What to say of an approval; None where it is undecided, or may yet be stored.

    :param is_stored: whether what this process has asked before was stored before it was looked for
    """
    if (row := rows.get(asked.approval_id)) is not None:
        return _answer_in(row, asked)
    if isinstance(asked, ApprovalRequest):
        return answer_of_lost(asked)
    return ApprovalNotFoundError("There is no such approval") if is_stored else None


def answer_of_lost(asked: ApprovalRequest) -> Decision | None:
    """Of one that could not be stored in time, so that nobody could decide it."""
    if asked.expires_at >= datetime.now(UTC) - timedelta(seconds=LOST_AFTER_SECONDS):
        return None
    return Decision(asked.approval_id, TIMEOUT, asked.arguments)


def _answer_in(row: Approval, asked: ApprovalRequest | AskedBefore) -> Decision | Exception | None:
    """What to say of an approval that is stored; None where it is undecided."""
    if (problem := _mismatch(row, asked)) is not None:
        return problem
    try:
        return _decision(row, asked.arguments) if row.decision else None
    except ValueError as error:  # sealed with a key that this process has not: for whoever waits for it alone
        return error


def _mismatch(row: Approval, asked: ApprovalRequest | AskedBefore) -> Exception | None:
    """Why an approval that was asked for before is not this one."""
    if not isinstance(asked, AskedBefore):
        return None
    if row.trace_id != asked.trace_id:
        return ApprovalNotFoundError("This trace has no such approval")
    if asked.arguments is not None and not has_hash(asked.arguments, row.arguments_hash):
        return OtherArgumentsError("This approval was asked for with other arguments")
    return None


def _decision(row: Approval, arguments: Mapping[str, Any] | None) -> Decision:
    if arguments is None:
        arguments = row.arguments
    if (edited := edited_of(row)) is not None:
        restored = with_originals(dict(edited), row.arguments, arguments)
        arguments = cast("dict[str, Any]", restored)
    return Decision(
        approval_id=row.approval_id,
        decision=row.decision,
        arguments=arguments,
        comment=row.comment,
        decided_by=row.decided_by_name,
        decided_at=None if row.decided_at is None else as_utc(row.decided_at),
        event=event_of(row),
    )
