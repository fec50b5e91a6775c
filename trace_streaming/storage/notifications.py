"""What somebody is to be told who does not look: noted in the transaction that stores what there is to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from django.db import transaction

from trace_streaming.conf import conf
from trace_streaming.models import Notification, stored_now
from trace_streaming.signals import notifications_noted

from .appended import Appended
from .json_columns import storable
from .missing import insert_missing
from .times import UtcNow
from .trace_rows import HeadRow

APPROVAL: Final = "approval"
FAILURE: Final = "failure"


def note(alias: str, appended: Mapping[str, Appended], heads: Mapping[str, HeadRow]) -> None:
    """Note approvals that are asked for and traces that fail, once for each that is to be told.

    :param heads: where the traces' logs end
    """
    if not conf.notify.is_on:
        return
    rows = [*_approvals(appended), *_failures(appended, heads)]
    if rows:
        insert_missing(alias, rows, "subject")
        transaction.on_commit(_announce, using=alias)


def _announce() -> None:
    notifications_noted.send_robust(sender=Notification)


def digest_of(target: str) -> str:
    """What a row has of an address: many a webhook's is a secret."""
    return sha256(target.encode()).hexdigest()


def _approvals(appended: Mapping[str, Appended]) -> Iterator[Notification]:
    targets = conf.notify.approvals
    for trace_id, new in appended.items() if targets else ():
        for asked in new.approvals:
            yield from _rows(APPROVAL, storable(asked.fields)["approval_id"], trace_id, targets)


def _failures(appended: Mapping[str, Appended], heads: Mapping[str, HeadRow]) -> Iterator[Notification]:
    targets = conf.notify.failures
    for trace_id, new in appended.items() if targets else ():
        if new.end is not None and new.end.state == "error":
            yield from _rows(FAILURE, f"{trace_id} {heads[trace_id][2]}", trace_id, targets)


def _rows(kind: str, subject: str, trace_id: str, targets: tuple[str, ...]) -> Iterator[Notification]:
    for target in targets:
        yield Notification(
            kind=kind,
            subject=subject,
            trace_id=trace_id,
            target=digest_of(target),
            noted_at=stored_now(),
            due_at=UtcNow(),  # which is what whoever tells asks for
        )
