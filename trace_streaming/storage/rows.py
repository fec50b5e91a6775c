"""Rows written as fast as the database allows: no model is built, and none is asked what its fields are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

COPY_ROWS: Final = 20
"""From so many rows on, PostgreSQL is given them by COPY."""


def insert(
    connection: BaseDatabaseWrapper, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], count: int
) -> None:
    """Many times as fast as ``bulk_create``, which builds and inspects a model for each row.

    :param columns: our own names, never somebody's
    :param rows: of values as the database's driver takes them
    :param count: how many rows there are
    """
    name, listed = connection.ops.quote_name(table), ", ".join(columns)
    with connection.cursor() as cursor:
        if count >= COPY_ROWS and connection.vendor == "postgresql" and hasattr(cursor, "copy"):  # psycopg 3
            with connection.wrap_database_errors, cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
                for row in rows:  # the server stores the first while the next are made
                    copy.write_row(row)
        else:
            values = ", ".join(["%s"] * len(columns))
            execute_many(cursor, f"INSERT INTO {name} ({listed}) VALUES ({values})", list(rows))  # noqa: S608  our own names  # nosec B608


def execute_many(cursor: CursorWrapper, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """``executemany``; a single row, which is all that a request stores at once, is executed.

    django-debug-toolbar watches the statements of requests, and raises for ``executemany`` on SQLite:
    https://github.com/django-commons/django-debug-toolbar/issues/1069
    """
    if len(rows) == 1:
        cursor.execute(sql, rows[0])
    else:
        cursor.executemany(sql, rows)
