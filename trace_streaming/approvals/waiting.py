"""Where agents wait for decisions: one thread for all of a process, so that none holds a database connection."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.db import connections

from trace_streaming.conf import conf
from trace_streaming.emitting.asking.requests import ApprovalRequest, AskedBefore, Withdrawal, has_hash
from trace_streaming.emitting.decision import TIMEOUT, Decision, with_originals
from trace_streaming.exceptions import ApprovalNotFoundError, OtherArgumentsError
from trace_streaming.models import Approval
from trace_streaming.recording.inline import is_in_a_test, run_blocking
from trace_streaming.recording.recorder import recorder
from trace_streaming.signals import approval_decided, decision_requested
from trace_streaming.storage.store import database, with_fresh_connection
from trace_streaming.storage.times import as_utc
from trace_streaming.telemetry.logs import BurstLog

from .decisions import edited_of, event_of, find_approval, with_timeouts, withdraw

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""Between looks whether another process has decided; decisions of this one are seen at once."""
LOST_AFTER_SECONDS: Final = 5.0
"""So long after its end, a request that was never stored is given up: the answer is no."""


@dataclass
class _Waiting:
    asked: ApprovalRequest | AskedBefore
    decision: Future[Decision] = field(default_factory=Future)
    barrier: Future[None] | None = None
    """Done when all is stored that this process had recorded when it began to wait."""


class Desk:
    """Of one process; its thread runs while somebody waits. The module has one, ``desk``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin as another process, in a forked child: what its parent asked is its parent's."""
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.wake = threading.Event()
        self._log = BurstLog(logger)

    def wait(self, asked: ApprovalRequest | AskedBefore) -> Future[Decision]:
        """Wait for its decision."""
        waiting = _Waiting(asked)
        if conf.RECORDER == "inline":
            run_blocking(_look_in_a_test, [waiting])
            if waiting.decision.done():
                return waiting.decision
        if isinstance(asked, AskedBefore):  # what this process has just asked may not be in the database yet
            waiting.barrier = recorder.barrier()
            waiting.barrier.add_done_callback(lambda _: self.wake.set())
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="trace-approvals", daemon=True)
                thread.start()  # raises where the process may have no more threads: then nobody waits
                self._thread = thread
            self._waiting.append(waiting)
        self.wake.set()
        return waiting.decision

    def _run(self) -> None:
        while True:
            self.wake.clear()
            try:
                with_fresh_connection(self._look)
            except Exception as error:
                self._log.failed("look", "Looking for decisions fails (%s); tried again", type(error).__name__)
                self._give_up_the_lost()
            else:
                self._log.works("look")
            finally:
                connections[database()].close()
            with self._lock:
                self._waiting = [waiting for waiting in self._waiting if not waiting.decision.done()]
                if not self._waiting:
                    self._thread = None
                    return
            self.wake.wait(LOOK_SECONDS)

    def _look(self) -> None:
        _look_for(list(self._waiting))  # who asks while the database is read is looked for the next time

    def look_now(self) -> None:
        """Somebody has decided, in this thread."""
        _look_in_a_test(list(self._waiting))
        self.wake.set()

    def _give_up_the_lost(self) -> None:
        """While nothing can be looked at."""
        for waiting in list(self._waiting):
            if isinstance(waiting.asked, ApprovalRequest) and (answer := _lost(waiting.asked)) is not None:
                _answer(waiting.decision, answer)


def _look_for(looked_for: Sequence[_Waiting]) -> None:
    are_stored = [each.barrier is None or each.barrier.done() for each in looked_for]  # before they are looked for
    rows = _rows([each.asked for each in looked_for])
    for waiting, is_stored in zip(looked_for, are_stored, strict=True):
        answer = _answer_of(waiting.asked, rows, is_stored=is_stored)
        if answer is not None:
            _answer(waiting.decision, answer)


def _look_in_a_test(looked_for: Sequence[_Waiting]) -> None:
    """What is decided inside of Django's ``TestCase`` is seen by the thread that has decided, and not by the desk's."""
    if looked_for and is_in_a_test(database()):
        _look_for(looked_for)


def _rows(asked: Sequence[ApprovalRequest | AskedBefore]) -> dict[str, Approval]:
    """Those that there are, by id."""
    return {row.approval_id: row for row in with_timeouts({each.approval_id for each in asked})}


def _answer_of(
    asked: ApprovalRequest | AskedBefore, rows: Mapping[str, Approval], *, is_stored: bool
) -> Decision | Exception | None:
    """What to say of an approval; None where it is undecided, or may yet be stored.

    :param is_stored: whether what this process has asked before was stored before it was looked for
    """
    if (row := rows.get(asked.approval_id)) is not None:
        return _answer_in(row, asked)
    if isinstance(asked, ApprovalRequest):
        return _lost(asked)
    return ApprovalNotFoundError("There is no such approval") if is_stored else None


def _lost(asked: ApprovalRequest) -> Decision | None:
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


def _answer(waiting: Future[Decision], answer: Decision | Exception) -> None:
    if waiting.done() or not waiting.set_running_or_notify_cancel():  # whoever waited may have given up
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)


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


desk = Desk()
os.register_at_fork(after_in_child=desk.reset)


def take_request(sender: object, request: ApprovalRequest | AskedBefore | Withdrawal, **kwargs: Any) -> Future[Any]:
    """Receiver of ``decision_requested``."""
    if isinstance(request, Withdrawal):
        return _done(_withdrawn(request))
    if isinstance(request, ApprovalRequest):
        recorder.record(request.record)
        request.announce()
    if request.is_waited_for:
        return desk.wait(request)
    return _done(_found(request) if isinstance(request, AskedBefore) else None)


def _done(found: object) -> Future[Any]:
    told = Future[Any]()
    if isinstance(found, Exception):
        told.set_exception(found)
    else:
        told.set_result(found)
    return told


def _withdrawn(request: Withdrawal) -> bool | Exception:
    """What this process has just asked may not be in the database yet."""
    recorder.flush(LOST_AFTER_SECONDS)
    try:
        return withdraw(find_approval(request.trace_id, request.approval_id))
    except ApprovalNotFoundError as error:
        return error


def _found(asked: AskedBefore) -> Decision | Exception | None:
    """What there is in the database; what this process has just asked may not be in it yet."""
    rows, is_stored = _rows([asked]), True
    if not rows:
        is_stored = recorder.flush(LOST_AFTER_SECONDS)
        rows = _rows([asked])
    return _answer_of(asked, rows, is_stored=is_stored)


def look_now(sender: object, **kwargs: Any) -> None:
    """Receiver of ``approval_decided``."""
    desk.look_now()


def connect() -> None:
    """Have this process's requests stored, and its decisions heard."""
    decision_requested.connect(take_request, dispatch_uid="trace_streaming.approvals")
    approval_decided.connect(look_now, dispatch_uid="trace_streaming.approvals")
