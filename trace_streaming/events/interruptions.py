"""Whether an exception that is no ``Exception`` is meant for the process, or only raised by a stranger's method."""

from __future__ import annotations

import dis
import signal
from types import FrameType, TracebackType
from typing import Final

_RAISE: Final = dis.opmap["RAISE_VARARGS"]


def is_for_the_process(error: BaseException) -> bool:
    """Whether this is Ctrl-C, or was raised by the handler of a signal: what ends a process must reach it.

    A ``__str__`` that raises ``SystemExit`` or ``KeyboardInterrupt`` itself ends nothing: no event is lost for it, and
    nobody's request fails. Ctrl-C is told from it by where it comes up: between two instructions, not at a ``raise``.
    """
    frames = list(_frames(error.__traceback__))
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    if any(frame.f_code in handlers for frame, _ in frames):
        return True
    if not isinstance(error, KeyboardInterrupt) or not frames:
        return False
    last, instruction = frames[-1]
    return instruction < 0 or last.f_code.co_code[instruction] != _RAISE


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames
