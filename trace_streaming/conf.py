"""Settings: one typed property each, read once, and again after ``override_settings``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

PREFIX = "TRACE_STREAMING_"
DEFAULT_REDACTOR = "trace_streaming.redaction.redact"


class Conf:
    """The settings of this app; the project's setting has the prefix ``TRACE_STREAMING_``."""

    @cached_property
    def COMPRESSION(self) -> bool:
        """Whether large frames are compressed for clients that can read it."""
        return self._get("COMPRESSION", default=False)  # type: ignore[no-any-return]

    @cached_property
    def DURABILITY(self) -> str:
        """``async``: ``emit`` returns at once. ``sync``: it waits until the event is stored."""
        return self._get("DURABILITY", "async")  # type: ignore[no-any-return]

    @cached_property
    def EXTRA_EVENTS(self) -> tuple[str, ...]:
        """Event names that this project emits beside the canonical ones."""
        return tuple(self._get("EXTRA_EVENTS", ()))

    @cached_property
    def HEAD_CHECK_SECONDS(self) -> float | None:
        """Seconds between looks at the watched logs' heads; None: 1 with an in-memory layer, otherwise 10."""
        return self._get("HEAD_CHECK_SECONDS", None)  # type: ignore[no-any-return]

    @cached_property
    def HEALTH_TIMEOUT_SECONDS(self) -> float:
        """How long ``/ws/health`` waits for the database and for the channel layer, in seconds."""
        return self._get("HEALTH_TIMEOUT_SECONDS", 2.0)  # type: ignore[no-any-return]

    @cached_property
    def HEARTBEAT_SECONDS(self) -> float:
        """Seconds between heartbeats to ``trace-stream.v1`` clients."""
        return self._get("HEARTBEAT_SECONDS", 15.0)  # type: ignore[no-any-return]

    @cached_property
    def INCOMPLETE_AFTER_SECONDS(self) -> float | None:
        """A trace that is silent for so long is taken for ``incomplete``; None: never."""
        return self._get("INCOMPLETE_AFTER_SECONDS", 86_400.0)  # type: ignore[no-any-return]

    @cached_property
    def PERMISSION_CLASSES(self) -> Sequence[str]:
        """Dotted paths of the DRF permission classes that decide who may watch a trace."""
        return self._get(  # type: ignore[no-any-return]
            "PERMISSION_CLASSES", ["trace_streaming.permissions.IsOwnerOrMayViewTraces"]
        )

    @cached_property
    def QUEUE_SIZE(self) -> int:
        """How many events a process may hold that are not stored yet."""
        return self._get("QUEUE_SIZE", 100_000)  # type: ignore[no-any-return]

    @cached_property
    def RECORDER(self) -> str:
        """``thread``: a writer thread stores events. ``inline``: ``emit`` itself does, for tests."""
        return self._get("RECORDER", "thread")  # type: ignore[no-any-return]

    @cached_property
    def REDACTOR(self) -> str:
        """Dotted path of the callable that hides what must not be seen (``trace_streaming.redaction.Redactor``)."""
        return self._get("REDACTOR", DEFAULT_REDACTOR)  # type: ignore[no-any-return]

    @cached_property
    def SPOOL_DIR(self) -> str | os.PathLike[str] | None:
        """A folder of this machine for events that do not fit into memory; None: they are given up."""
        return self._get("SPOOL_DIR", None)  # type: ignore[no-any-return]

    @cached_property
    def STALL_SECONDS(self) -> float:
        """How long a client may take nothing of what waits for it, before its socket is closed with 4008."""
        return self._get("STALL_SECONDS", 60.0)  # type: ignore[no-any-return]

    @staticmethod
    def _get(name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)


conf = Conf()
SETTING_NAMES = frozenset(name for name, value in vars(Conf).items() if isinstance(value, cached_property))


@receiver(setting_changed)
def _forget(setting: str, **kwargs: Any) -> None:
    # An emit asks for several, and Django takes 2 us to say that one is not set.
    if setting.startswith(PREFIX):
        vars(conf).clear()
