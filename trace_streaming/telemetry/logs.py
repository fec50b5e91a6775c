"""Logging of what fails: what goes on failing once, until it has worked again; and nothing of what a user has sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from traceback import format_tb
from typing import Any


def describe(error: BaseException) -> str:
    """An error's type, and where it was raised. Without its text, which may hold a token or a payload."""
    return f"{type(error).__name__}\n{''.join(format_tb(error.__traceback__))}"


def on_one_line(text: str) -> str:
    """The same text, escaped where it would begin a line of its own, or have a terminal obey it."""
    return text if text.isprintable() else repr(text)[1:-1]


class BurstLog:
    """What is failing now. A database that is away for an hour is one line in the log, not a million."""

    def __init__(self, logger: logging.Logger, level: int = logging.WARNING) -> None:
        self._logger = logger
        self._level = level
        self._failing: set[str] = set()

    def failed(self, what: str, message: str, *args: object, **options: Any) -> None:
        """Log the message, unless the same thing has failed before and not worked since."""
        if what not in self._failing:
            self._failing.add(what)
            self._logger.log(self._level, message, *args, **options)

    def works(self, *what: str) -> None:
        """These things work again; without a name, all do."""
        if what:
            self._failing.difference_update(what)
        else:
            self._failing.clear()


def connection_name(scope: Mapping[str, Any]) -> str:
    """The field ``connection`` of a log line: the client's address and port."""
    host, port = (scope.get("client") or ("unknown", 0))[:2]
    return f"{host}:{port}"
