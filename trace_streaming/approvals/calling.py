"""What is called when an approval is decided for which nobody waits: ``on_decision``, at least once.

The row says when it is to be called next, from the transaction of the decision on. Whoever calls pushes that time back
first, so that no other does the same, and empties it behind the call; what fails, or dies with its process, is called
again: by the thread of a process in which something is decided, by every process that serves sockets, or by
``manage.py call_decisions``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.core.signing import BadSignature
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.module_loading import import_string

from trace_streaming.conf import conf
from trace_streaming.emitting.asking.requests import signer
from trace_streaming.models import Approval, stored_now
from trace_streaming.signals import approval_decided
from trace_streaming.storage.errands import Errand
from trace_streaming.storage.times import UtcNow
from trace_streaming.telemetry.logs import BurstLog

from .decisions import approvals

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 30.0
"""Until what has failed is called again."""
LOST_AFTER_SECONDS: Final = 600.0
"""Until what has not come back is called again."""
GIVEN_UP_AFTER: Final = timedelta(days=1)
"""Since the decision."""
_log = BurstLog(logger, logging.ERROR)


def due() -> QuerySet[Approval]:
    """What is to be called now: of what was asked together, when all of it is decided."""
    with_it = approvals().filter(trace_id=OuterRef("trace_id"), group=OuterRef("group"), decision="").exclude(group="")
    return approvals().filter(~Exists(with_it), call_at__lte=UtcNow())


def call_due() -> int:
    """Call all that is due, one after the other; returns for how many approvals something was called."""
    return sum(_call(approval) for approval in due().order_by("call_at")[:1000])


def _call(approval: Approval) -> bool:
    row, again = approvals().filter(pk=approval.pk), None
    if not row.filter(call_at__lte=UtcNow()).update(call_at=UtcNow() + timedelta(seconds=LOST_AFTER_SECONDS)):
        return False
    path = approval.on_decision.rpartition(":")[0]
    try:
        _called(approval)
    except Exception as error:  # of somebody's code
        kind = type(error).__name__
        message = "%s fails (%s): what was decided is told again until it works, for a day"
        _log.failed(path, message, path, kind)
        is_over = approval.decided_at is None or approval.decided_at < stored_now() - GIVEN_UP_AFTER
        again = None if is_over or isinstance(error, BadSignature) else UtcNow() + timedelta(seconds=AGAIN_SECONDS)
    else:
        _log.works(path)
    row.update(call_at=again)
    return True


def _called(approval: Approval) -> None:
    path = signer(approval.approval_id).unsign(approval.on_decision)
    function: Callable[[str, str], object] = import_string(path)
    send = getattr(function, "delay", function)  # a Celery task is sent to its queue
    send(approval.approval_id, approval.trace_id)


caller = Errand(call_due, "trace-decisions", "Calling what decisions wait for fails (%s)")


def look_if_due() -> None:
    """For whoever comes by: what was left is called."""
    if due().exists():
        caller.look()


def on_decided(sender: object, approval: Approval, **kwargs: Any) -> None:
    """Receiver of ``approval_decided``."""
    if approval.on_decision and conf.RECORDER == "inline":
        call_due()
    elif approval.on_decision:
        caller.look()


def connect() -> None:
    """Have it called when something is decided in this process."""
    approval_decided.connect(on_decided, dispatch_uid="trace_streaming.on_decision")
