"""What the tests have called on decisions."""

from __future__ import annotations

from queue import Queue
from typing import Any

calls: list[tuple[str, str]] = []
fails: list[BaseException] = []
"""What the next calls raise."""
arrived: Queue[tuple[str, str]] = Queue()


def remember(approval_id: str, trace_id: str) -> None:
    """As a project's own function would be called."""
    calls.append((approval_id, trace_id))
    if fails:
        raise fails.pop(0)
    arrived.put((approval_id, trace_id))


class Task:
    """As a Celery task is: sent, and not run here."""

    sent: list[tuple[Any, ...]] = []

    def __call__(self, *args: Any) -> None:
        raise AssertionError

    def delay(self, *args: Any) -> None:
        self.sent.append(args)


task = Task()


def reset() -> None:
    """Begin anew."""
    while not arrived.empty():
        arrived.get()
    calls.clear()
    fails.clear()
    task.sent.clear()
