"""Handshakes that come in the same moment are asked for together, as after a server's restart; each other one alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from trace_streaming.permissions import watching_needs_no_trace
from trace_streaming.storage.store import with_fresh_connection

from .admission import Admitted, admit, admit_together, can_be_asked_together, ticket_of
from .authentication import Handshake
from .hidden_tickets import hide_ticket
from .sessions import backends_are_djangos

MOST: Final = 100
"""Handshakes that are asked for at a time: those behind them wait for less."""


async def let_in(scope: dict[str, Any], trace_id: str) -> Admitted:
    """As :func:`.admit`, from an event loop.

    What is asked of the database alone is asked for all who wait. What a project's own class or backend has to be asked
    may take its time, and keeps nobody else waiting.
    """
    hide_ticket(scope)
    handshake = Handshake(scope)
    session = handshake.lone_session if ticket_of(scope) is None else None
    if session is None or not can_be_asked_together() or not backends_are_djangos():
        return await asyncio.to_thread(with_fresh_connection, admit, scope, trace_id)
    if not session.key and watching_needs_no_trace():  # there is nothing to ask: a thread would cost four times that
        (answer,) = admit_together([(handshake, trace_id)])
    else:
        answer = await _door().ask(handshake, trace_id)
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Waiting(NamedTuple):
    handshake: Handshake
    trace_id: str
    answer: asyncio.Future[Admitted | Exception]


class _Door:
    """Of one event loop, while somebody stands before it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[_Waiting] = []
        self._task = loop.create_task(self._ask_for_all())

    async def ask(self, handshake: Handshake, trace_id: str) -> Admitted | Exception:
        """Wait for an answer."""
        answer: asyncio.Future[Admitted | Exception] = self._loop.create_future()
        self._waiting.append(_Waiting(handshake, trace_id, answer))
        return await answer

    async def _ask_for_all(self) -> None:
        """Until nobody waits any more."""
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                for each, answer in zip(asked, await _answers(asked), strict=True):
                    if not each.answer.done():  # whoever waited may have gone
                        each.answer.set_result(answer)
        finally:
            _doors.pop(self._loop, None)  # nothing is awaited since the last look at who waits


async def _answers(asked: Sequence[_Waiting]) -> Sequence[Admitted | Exception]:
    shown = [(each.handshake, each.trace_id) for each in asked]
    try:
        return await asyncio.to_thread(with_fresh_connection, admit_together, shown)
    except Exception as error:  # the database is away
        return [error] * len(asked)


def _door() -> _Door:
    """Of the running loop; made when there is none."""
    loop = asyncio.get_running_loop()
    if loop not in _doors:
        _doors[loop] = _Door(loop)
    return _doors[loop]


_doors: dict[asyncio.AbstractEventLoop, _Door] = {}
# A forked child has its parent's handshakes as little as its loops.
os.register_at_fork(after_in_child=_doors.clear)
