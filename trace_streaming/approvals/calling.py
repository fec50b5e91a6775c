"""What is called when an approval is decided for which nobody waits: ``on_decision``, at least once.

The row says when it is to be called next, from the transaction of the decision on. Whoever calls pushes that time back
first, so that no other does the same, and empties it behind the call; what fails, or dies with its process, is called
again: by the thread of a process in which something is decided, by every process that serves sockets, or by
``manage.py call_decisions``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.core.signing import BadSignature
from django.db import connections
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.module_loading import import_string

from trace_streaming.conf import conf
from trace_streaming.emitting.approval_requests import signer
from trace_streaming.models import Approval, stored_now
from trace_streaming.signals import approval_decided
from trace_streaming.storage.store import with_fresh_connection
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
    now = stored_now()
    mine = approvals().filter(pk=approval.pk, call_at=approval.call_at)
    if not mine.update(call_at=now + timedelta(seconds=LOST_AFTER_SECONDS)):
        return False
    row, again = approvals().filter(pk=approval.pk), None
    path = approval.on_decision.rpartition(":")[0]
    try:
        _called(approval)
    except Exception as error:  # of somebody's code
        kind = type(error).__name__
        message = "%s fails (%s): what was decided is told again until it works, for a day"
        _log.failed(path, message, path, kind)
        is_over = approval.decided_at is None or approval.decided_at < now - GIVEN_UP_AFTER
        again = None if is_over or isinstance(error, BadSignature) else now + timedelta(seconds=AGAIN_SECONDS)
    else:
        _log.works(path)
    row.update(call_at=again)
    return True


def _called(approval: Approval) -> None:
    path = signer(approval.approval_id).unsign(approval.on_decision)
    function: Callable[[str, str], object] = import_string(path)
    send = getattr(function, "delay", function)  # a Celery task is sent to its queue
    send(approval.approval_id, approval.trace_id)


class Caller:
    """The thread of a process that calls; it runs while something is due. The module has one, ``caller``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_asked = False

    def look(self) -> None:
        """Call what is due, soon; returns at once."""
        with self._lock:
            self._is_asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="trace-decisions", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._is_asked:
                    self._thread = None
                    return
                self._is_asked = False
            try:
                with_fresh_connection(call_due)
            except BaseException as error:  # the thread goes on, whatever somebody's code does
                _log.failed("look", "Calling what decisions wait for fails (%s)", type(error).__name__)
            else:
                _log.works("look")
            finally:
                connections.close_all()


caller = Caller()
os.register_at_fork(after_in_child=caller.reset)


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
