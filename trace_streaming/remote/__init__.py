"""For programs that are not part of a Django project: the emitter, and the watcher in a terminal.

Orchestrators elsewhere call it, and the command ``tail_trace``. Nothing of Django may be in it, no settings and no
database.
"""

from __future__ import annotations

from .emitter import RemoteTraceEmitter, close, current_emitter

__all__ = ["RemoteTraceEmitter", "close", "current_emitter"]
