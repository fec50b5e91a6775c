"""What a program elsewhere has asked: on its way, or with the server; and what becomes of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from trace_streaming.emitting.asking.contract import PendingApproval
from trace_streaming.emitting.decision import TIMEOUT, Decision
from trace_streaming.starting import start

if TYPE_CHECKING:
    from .approvals import RemoteApprovals

LOOK_SECONDS: Final = 1.0
"""Between looks whether somebody has decided, or whether the server is there again."""
FLUSH_SECONDS: Final = 2.0
LOST_AFTER: Final = timedelta(seconds=5)
"""So long after its end what cannot be looked at is given up: the answer is no."""


@dataclass(slots=True)
class Pending(PendingApproval):
    """Of a program elsewhere."""

    emitter: RemoteApprovals
    approval_id: str
    arguments: Mapping[str, Any] | None
    question: dict[str, Any] | None = field(default=None, repr=False)
    """What is to be sent; None when the server has it."""
    expires_at: datetime | None = None
    sending: Future[None] | None = field(default=None, repr=False)
    """Done when the server has it, or when that is given up; None: it was there before."""

    def start(self) -> Self:
        """Send it, in a thread: several are asked at the same time."""
        self.sending = Future()
        self.emitter._on_their_way[self.approval_id] = self
        try:
            start(threading.Thread(target=self._send_until_it_is_there, name="trace-approval", daemon=True))
        except RuntimeError:  # the process may have no more threads
            del self.emitter._on_their_way[self.approval_id]
            raise
        return self

    def _send_until_it_is_there(self) -> None:
        sending = self.sending or Future()
        try:
            while not self.send() and not self._is_lost:
                time.sleep(LOOK_SECONDS)
        except Exception as error:  # a refusal, for whoever waits
            sending.set_exception(error)
        else:
            sending.set_result(None)
        finally:
            self.emitter._on_their_way.pop(self.approval_id, None)

    def result(self) -> Decision:
        """See :meth:`.PendingApproval.result`."""
        self._say_if_it_blocks_a_loop()
        while (found := self._look()) is None:
            time.sleep(LOOK_SECONDS)
        return found

    async def aresult(self) -> Decision:
        """See :meth:`.PendingApproval.aresult`."""
        while (found := await asyncio.to_thread(self._look)) is None:  # noqa: ASYNC110  it is on a server
            await asyncio.sleep(LOOK_SECONDS)
        return found

    def send(self) -> bool:
        """Whether the server has it; what was emitted before goes before it, if the server is there."""
        if self.question is not None:
            self.emitter.flush(FLUSH_SECONDS)
            if self.emitter._call("POST", "", self.question) is not None:
                self.question = None
        return self.question is None

    def send_within(self, seconds: float) -> bool:
        """Like :meth:`send`, and again while the server is away."""
        until = time.monotonic() + seconds
        while not self.send():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def is_sent_within(self, seconds: float) -> bool:
        """Wait until nobody sends it any more; raises what the server has refused it with."""
        try:
            return self.sending is None or self.sending.result(seconds) is None
        except TimeoutError:
            return False

    @property
    def _is_lost(self) -> bool:
        return self.expires_at is not None and datetime.now(UTC) > self.expires_at + LOST_AFTER

    def _look(self) -> Decision | None:
        is_there = self.is_sent_within(LOOK_SECONDS) and self.question is None
        found = self.emitter._look(self.approval_id, self.arguments) if is_there else None
        if found is None and self._is_lost:
            return Decision(self.approval_id, TIMEOUT, self.arguments or {})
        return found
