"""Logging of what goes on failing: once, until it has worked again."""

from __future__ import annotations

import logging
from typing import Any


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
