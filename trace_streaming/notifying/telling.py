"""When something is told, at least once: as :mod:`trace_streaming.approvals.calling` calls, row by row.

Whoever tells pushes a row's time back first, so that no other does the same, and deletes it behind that; what fails, or
dies with its process, is told again, by the thread of a process that notes something, by every process that serves
sockets, or by ``manage.py send_notifications``.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final

from django.db.models import QuerySet

from trace_streaming.conf import conf
from trace_streaming.models import Notification, stored_now
from trace_streaming.signals import notifications_noted
from trace_streaming.storage.errands import Errand
from trace_streaming.storage.notifications import digest_of
from trace_streaming.storage.store import database
from trace_streaming.storage.times import UtcNow
from trace_streaming.telemetry.logs import BurstLog

from . import ways
from .messages import message_of

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""Until what has failed is told again: once, twice, and so on."""
LOST_AFTER_SECONDS: Final = 300.0
"""Until what has not come back is told again."""
GIVEN_UP_AFTER: Final = timedelta(days=1)
_log = BurstLog(logger, logging.ERROR)


def due() -> QuerySet[Notification]:
    """What is to be told now."""
    return Notification.objects.using(database()).filter(due_at__lte=UtcNow())


def tell_due() -> int:
    """Tell all that is due, one after the other; returns how many were told."""
    targets = {digest_of(target): target for target in (*conf.notify.approvals, *conf.notify.failures)}
    away: set[str] = set()
    return sum(_tell(noted, targets.get(noted.target), away) for noted in due().order_by("due_at")[:1000])


def _tell(noted: Notification, target: str | None, away: set[str]) -> bool:
    """Whether it was told.

    :param away: addresses that did not answer a moment ago: they are not waited for with each message
    """
    row = Notification.objects.using(database()).filter(pk=noted.pk)
    if not row.filter(due_at__lte=UtcNow()).update(due_at=UtcNow() + timedelta(seconds=LOST_AFTER_SECONDS)):
        return False  # another process does
    message = None if target is None else message_of(noted)
    if message is None or target is None:  # the project has taken the address out, or there is nothing to tell
        row.delete()
        return False
    where = "mail" if target.startswith("mailto:") else "a webhook"
    try:
        if noted.target in away:
            raise ConnectionError  # noqa: TRY301  and is put off, or given up, like the one that has failed
        ways.tell(target, message, f"trace-streaming-{noted.pk}")
    except Exception as error:  # of a mail backend, or of the other side
        is_over = isinstance(error, ways.RefusedError) or noted.noted_at < stored_now() - GIVEN_UP_AFTER
        ends = "it is given up" if is_over else "told again later"
        why = str(error) if isinstance(error, ways.RefusedError) else type(error).__name__  # texts may hold addresses
        _log.failed(noted.target, "Notifying by %s fails (%s); %s", where, why, ends)
        if is_over:
            row.delete()
        else:
            away.add(noted.target)
            wait = AGAIN_SECONDS[min(noted.attempts, len(AGAIN_SECONDS) - 1)]
            row.update(due_at=UtcNow() + timedelta(seconds=wait), attempts=noted.attempts + 1)
        return False
    _log.works(noted.target)
    row.delete()
    return True


teller = Errand(tell_due, "trace-notifications", "Looking for what is to be told fails (%s)")


def look_if_due() -> None:
    """For whoever comes by: what was left is told."""
    if conf.notify.is_on and due().exists():
        teller.look()


def _noted(sender: object, **kwargs: Any) -> None:
    if conf.RECORDER != "inline":  # a test run tells nobody by itself
        teller.look()


def connect() -> None:
    """Have it told when something is noted in this process."""
    notifications_noted.connect(_noted, dispatch_uid="trace_streaming.notifying")
