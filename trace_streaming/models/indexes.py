"""What MySQL and MariaDB make of our indexes, and need not be warned of."""

from __future__ import annotations

from typing import Any, Final

from django.core.checks import CheckMessage
from django.db import models

_ANSWERED: Final = frozenset({"models.W036", "models.W037", "models.W043", "mysql.W003"})
"""Indexes with conditions are whole ones there, and the unique one is made by a migration; those of expressions are
not made, and only make some questions quicker. No text is longer than what all versions have an index for."""


class WithIndexes(models.Model):
    """Has indexes that are others there."""

    class Meta:
        abstract = True

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Without what is seen to."""
        return [message for message in super().check(**kwargs) if message.id not in _ANSWERED]
