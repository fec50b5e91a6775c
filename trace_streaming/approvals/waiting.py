"""Where agents wait for decisions: one thread for all of a process, so that none holds a database connection."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections

from trace_streaming.conf import conf
from trace_streaming.emitting.asking.requests import ApprovalRequest, AskedBefore, Withdrawal
from trace_streaming.emitting.decision import Decision
from trace_streaming.exceptions import ApprovalNotFoundError
from trace_streaming.recording.inline import is_in_a_test, run_blocking
from trace_streaming.recording.recorder import recorder
from trace_streaming.signals import approval_decided, decision_requested
from trace_streaming.starting import Bell, start
from trace_streaming.storage.store import database, with_fresh_connection
from trace_streaming.telemetry.logs import BurstLog

from .answers import LOST_AFTER_SECONDS, answer_of, answer_of_lost, rows_of
from .decisions import find_approval, withdraw

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""Between looks whether another process has decided; decisions of this one are seen at once."""


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
        self.bell = Bell()
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
            waiting.barrier.add_done_callback(lambda _: self.bell.ring())
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="trace-approvals", daemon=True)
                start(thread)  # raises where the process may have no more threads: then nobody waits
                self._thread = thread
            self._waiting.append(waiting)
        self.bell.ring()
        return waiting.decision

    def _run(self) -> None:
        while True:
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
            self.bell.wait(LOOK_SECONDS)

    def _look(self) -> None:
        _look_for(list(self._waiting))  # who asks while the database is read is looked for the next time

    def look_now(self) -> None:
        """Somebody has decided, in this thread."""
        _look_in_a_test(list(self._waiting))
        self.bell.ring()

    def _give_up_the_lost(self) -> None:
        """While nothing can be looked at."""
        for waiting in list(self._waiting):
            if isinstance(waiting.asked, ApprovalRequest) and (answer := answer_of_lost(waiting.asked)) is not None:
                _answer(waiting.decision, answer)


def _look_for(looked_for: Sequence[_Waiting]) -> None:
    are_stored = [each.barrier is None or each.barrier.done() for each in looked_for]  # before they are looked for
    rows = rows_of([each.asked for each in looked_for])
    for waiting, is_stored in zip(looked_for, are_stored, strict=True):
        answer = answer_of(waiting.asked, rows, is_stored=is_stored)
        if answer is not None:
            _answer(waiting.decision, answer)


def _look_in_a_test(looked_for: Sequence[_Waiting]) -> None:
    """What is decided inside of Django's ``TestCase`` is seen by the thread that has decided, and not by the desk's."""
    if looked_for and is_in_a_test(database()):
        _look_for(looked_for)


def _answer(waiting: Future[Decision], answer: Decision | Exception) -> None:
    if waiting.done() or not waiting.set_running_or_notify_cancel():  # whoever waited may have given up
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)


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
    rows, is_stored = rows_of([asked]), True
    if not rows:
        is_stored = recorder.flush(LOST_AFTER_SECONDS)
        rows = rows_of([asked])
    return answer_of(asked, rows, is_stored=is_stored)


def look_now(sender: object, **kwargs: Any) -> None:
    """Receiver of ``approval_decided``."""
    desk.look_now()


def connect() -> None:
    """Have this process's requests stored, and its decisions heard."""
    decision_requested.connect(take_request, dispatch_uid="trace_streaming.approvals")
    approval_decided.connect(look_now, dispatch_uid="trace_streaming.approvals")
