"""Rows that are inserted unless they are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import connections
from django.db.models import Model

CHUNK_ROWS: Final = 500


def insert_missing(alias: str, rows: Iterable[Model], unique: str) -> None:
    """Insert rows of one model, in their order; one that is there stays as it is.

    In MySQL, rows that are there are locked as an update locks them. Its ``INSERT IGNORE`` leaves out whatever is wrong
    as well, such as a row whose user was deleted, and shares locks that two transactions cannot both go on with.

    :param unique: a field that is the same, where a row is there
    """
    rows = list(rows)
    if not rows:
        return
    objects = type(rows[0])._base_manager.using(alias)
    if connections[alias].vendor == "mysql":
        objects.bulk_create(rows, CHUNK_ROWS, update_conflicts=True, update_fields=[unique])
    else:
        objects.bulk_create(rows, CHUNK_ROWS, ignore_conflicts=True)
