"""Whether an exception is meant for the process, or only raised by a stranger's method."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.getsignal makes an enum of each, which takes thirty times as long
import dis
import inspect
import signal
from types import CodeType, FrameType, TracebackType
from typing import Final

_RAISE: Final = dis.opmap["RAISE_VARARGS"]
_SIGNALS: Final = tuple(signal.valid_signals())


def is_for_the_process(error: BaseException) -> bool:
    """Whether this is Ctrl-C, or was raised by the handler of a signal: what ends a process, or a task, must reach it.

    Such as Celery's soft time limit, which is an ``Exception``. A ``__str__`` that raises ``SystemExit`` or
    ``KeyboardInterrupt`` itself ends nothing: no event is lost for it, and nobody's request fails. Ctrl-C is told from
    it by where it comes up: between two instructions, not at a ``raise``.
    """
    frames = list(_frames(error.__traceback__))
    called = {frame.f_code for frame, _ in frames[1:] if _takes_two(frame.f_code)}
    if called and not called.isdisjoint(map(_code, filter(callable, map(_signal.getsignal, _SIGNALS)))):
        return True
    if not isinstance(error, KeyboardInterrupt) or not frames:
        return False
    last, instruction = frames[-1]
    return instruction < 0 or last.f_code.co_code[instruction] != _RAISE


def _takes_two(code: CodeType) -> bool:
    """Whether it may be a handler; most of what fails is not."""
    return code.co_argcount > 1 or bool(code.co_flags & inspect.CO_VARARGS)


def _code(handler: object) -> CodeType | None:
    """Of a signal's handler; asyncio's is a partial."""
    return getattr(getattr(handler, "func", handler), "__code__", None)


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames
