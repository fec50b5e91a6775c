"""What comes in between at each step of a thread: a finalizer that the garbage collector runs, a signal's handler."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

PATIENCE = 20


def at_each_step(work: Callable[[], None], interrupt: Callable[[], None], *modules: str) -> int:
    """Call ``work`` again and again, each time interrupted one step later, until it comes to its end without.

    :param modules: what the names of those begin with whose steps count
    :returns: how often it was interrupted
    :raises TimeoutError: it did not go on
    """
    interrupted = 0
    while True:
        running = _Running(work, interrupt, interrupted, modules)
        running.start()
        running.join(PATIENCE)
        if running.is_alive():
            raise TimeoutError(f"It hangs when it is interrupted in {running.place}")
        if running.error is not None:
            raise running.error
        if not running.place:
            return interrupted
        interrupted += 1


class _Running(threading.Thread):
    def __init__(
        self, work: Callable[[], None], interrupt: Callable[[], None], after: int, modules: tuple[str, ...]
    ) -> None:
        super().__init__(daemon=True)
        self._work, self._interrupt, self._left, self._modules = work, interrupt, after, modules
        self.place = ""
        self.error: BaseException | None = None

    def run(self) -> None:
        sys.settrace(self._trace)
        try:
            self._work()
        except BaseException as error:
            self.error = error
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if not frame.f_globals.get("__name__", "").startswith(self._modules):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "opcode" and not self.place:
            self._left -= 1
            if self._left < 0:
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self._interrupt()
        return self._trace
