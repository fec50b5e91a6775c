"""For programs that are not part of a Django project: the emitter, and the watcher in a terminal.

Orchestrators elsewhere call it, and the command ``tail_trace``. Nothing of Django may be in it, no settings and no
database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emitter import RemoteTraceEmitter, close, current_emitter

__all__ = ["RemoteTraceEmitter", "close", "current_emitter"]


def __getattr__(name: str) -> Any:
    # The emitter needs httpx, which a terminal that reads this project's database does without.
    if name in __all__:
        from . import emitter

        return getattr(emitter, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
