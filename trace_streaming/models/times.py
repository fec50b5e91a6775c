"""Times as columns have them, and names of lives."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models


def stored_now() -> datetime:
    """The time of this machine, as a column takes it: in UTC, naive in a project without time zones."""
    now = datetime.now(UTC)
    return now if settings.USE_TZ else now.replace(tzinfo=None)


def new_epoch() -> str:
    """A fresh name for one life of a trace id: a trace that was deleted and began again has another."""
    return secrets.token_hex(8)


def showable(time: datetime) -> datetime:
    """The same, or the nearest that every time zone can show: of the calendar's first and last year, none is sure to.

    New events have no such times; what earlier versions have stored breaks no page.
    """
    year = min(max(time.year, 2), 9998)
    return time if time.year == year else time.replace(year=year, month=6, day=15)


class ShowableTimes(models.Model):
    """What is read has times that every time zone can show."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """See :func:`showable`; what it takes differs between Django's versions."""
        row = super().from_db(*args, **kwargs)
        stored = vars(row)
        for name in cls._TIMES:
            if (time := stored.get(name)) is not None and not 1 < time.year < 9999:
                stored[name] = showable(time)
        return row

    _TIMES: ClassVar[tuple[str, ...]] = ()
