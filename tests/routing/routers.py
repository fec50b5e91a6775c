"""Routers of projects."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import django.test.client

APP = str(Path(__file__).parents[2] / "trace_streaming")
TESTS = str(Path(__file__).parents[1])
CLIENT = django.test.client.__file__


class ReadsFromReplica:
    """Sends what the app reads to a replica, which may lag for ever; what the tests look at is what was written."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        asked = (model, hints.get("instance", model))  # who owns a trace is read with it
        ours = any(each._meta.app_label == "trace_streaming" for each in asked)
        return "replica" if ours and not _asks_a_test() else None

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


def _asks_a_test() -> bool:
    """By who called: the app, on behalf of a client or not, or a test."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(APP) or file == CLIENT:
            return False
        if file.startswith(TESTS):
            return True
        frame = frame.f_back
    return False


class OwnDatabase:
    """The app, and the users who own its traces, have a database of their own; the project's other apps another."""

    APPS = frozenset(("trace_streaming", "auth", "contenttypes", "sessions", "admin", "authtoken"))

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "agents" if model._meta.app_label in self.APPS else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "agents") == (app_label in self.APPS)
