"""Tools that the project's settings name are held back until a human has decided, where an adapter can wait."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from trace_streaming.emitting.asking.policies import policy_for
from trace_streaming.emitting.contract import Emitter, current_emitter
from trace_streaming.emitting.decision import Decision
from trace_streaming.emitting.emitter import TraceEmitter
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.telemetry.logs import BurstLog, describe

from .asking import Asker, Question, as_asking

logger = logging.getLogger(__name__)

REFUSED: Final = "Nobody could be asked for this, and it needs a human."
"""What a model is told where asking fails: what a project holds back does not run for that."""
_MOST: Final = 10_000
_asked: deque[str] = deque(maxlen=_MOST)
"""Ids of models' calls for which somebody was asked."""
_log = BurstLog(logger, logging.ERROR)


def hold(question: Question, emitter: Emitter | None, *, is_new: bool = True) -> Decision:
    """Ask for a tool, and wait. What fails is a no: only what is meant for the process is raised.

    :param emitter: of the run; None: the :func:`.current_emitter`, else a new one
    :param is_new: whether nobody can have asked before
    """
    remember(question.call_id)
    try:
        with _place(question, emitter) as found:
            return _the_one(_asker(found).decide([question], is_new=is_new))
    except Exception as error:
        return _failed(question, error)


async def ahold(question: Question, emitter: Emitter | None, *, is_new: bool = True) -> Decision:
    """Like :func:`hold`, without blocking the event loop."""
    remember(question.call_id)
    try:
        with _place(question, emitter) as found:
            return _the_one(await _asker(found).adecide([question], is_new=is_new))
    except Exception as error:
        return _failed(question, error)


def _place(question: Question, emitter: Emitter | None) -> AbstractContextManager[Any]:
    found = emitter or current_emitter()
    return TraceEmitter(name=question.action) if found is None else nullcontext(found)


def _asker(emitter: Emitter) -> Asker:
    return Asker(as_asking(emitter), timeout=300.0, risk_level="medium")  # the policy says what holds


def _the_one(decisions: Sequence[Decision] | None) -> Decision:
    (decision,) = decisions or []
    return decision


def _failed(question: Question, error: Exception) -> Decision:
    log_failure(question.action, error)
    return Decision("", "rejected", question.arguments, REFUSED)


def log_failure(what: str, error: Exception) -> None:
    """Say once that nobody could be asked. Raises what is meant for the process."""
    if is_for_the_process(error):
        raise error
    kind = type(error).__name__
    message = (
        "%s: a human is needed, and nobody could be asked (%s). See that its emitter can ask, and that its database, "
        "or the server, can be reached"
    )
    _log.failed(f"{what} {kind}", message, what, kind)
    logger.debug("%s", describe(error))


def remember(call_id: str) -> None:
    """Somebody is asked for this call."""
    if call_id:
        _asked.append(call_id)


def warn_if_free(tool_name: str, call_id: str) -> None:
    """Say once of a tool that it runs, and that the settings want a human to be asked."""
    if policy_for(tool_name) is not None and call_id not in _asked:
        message = (
            "%s runs without a human, and TRACE_STREAMING_APPROVALS names it. Its framework waits where it is told to: "
            "LangChain with ApprovalMiddleware(), the OpenAI Agents SDK with require_approval(tools)"
        )
        _log.failed(f"{tool_name} runs", message, tool_name)
