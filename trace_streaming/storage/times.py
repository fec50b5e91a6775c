"""Times as the log's tables hold them: UTC, whatever time zone the project has, or has not.

Where they have no zone and ``DATABASES`` has a ``TIME_ZONE``, they are local times of that one, as Django reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Value
from django.db.models.functions import Now
from django.utils import timezone

from trace_streaming.conf import conf
from trace_streaming.models import stored_now


def time_column(connection: BaseDatabaseWrapper) -> Callable[[str], Any]:
    """What a column takes for a time of ``format_timestamp``: the same that Django would write."""
    if connection.vendor == "sqlite" and connection.timezone in (None, UTC):
        return lambda time: f"{time[:10]} {time[11:26]}".removesuffix(".000000")
    if connection.vendor == "postgresql":
        return (lambda time: time) if settings.USE_TZ else (lambda time: time[:26])
    return lambda time: connection.ops.adapt_datetimefield_value(stored_time(datetime.fromisoformat(time)))


def stored_time(time: datetime) -> datetime:
    """As a model field takes it: naive, in UTC, in a project without time zones."""
    return time if settings.USE_TZ else time.replace(tzinfo=None)


def as_utc(time: datetime) -> datetime:
    """As an event has it, of what a model field gives."""
    return time.astimezone(UTC) if settings.USE_TZ else time.replace(tzinfo=UTC)


def local_time(time: datetime) -> datetime:
    """As the other times of a page are shown: in the current time zone, of what a model field gives."""
    return timezone.localtime(as_utc(time))


class UtcNow(Now):
    """The database's clock, to be compared with what is stored: Django's own is local where ``USE_TZ`` is False.

    In a test run that stores inline, it is the process's: a test may have stopped that, or set it to another time.
    """

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper, *args: Any, **context: Any) -> Any:
        """Of whatever database; what is below says how each tells its time."""
        if conf.RECORDER == "inline" and conf.is_test_run:
            return compiler.compile(Value(stored_now(), output_field=self.output_field))
        return super().as_sql(compiler, connection, *args, **context)

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Of the statement, without a zone where the columns have none."""
        template = "STATEMENT_TIMESTAMP()" if settings.USE_TZ else "(STATEMENT_TIMESTAMP() AT TIME ZONE 'UTC')"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Whatever the session's zone is."""
        template = f"(UTC_TIMESTAMP(6) + INTERVAL {_offset_seconds(connection)} SECOND)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """In milliseconds, as Django's own."""
        format_ = "%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f"  # once for the template, once for the parameters
        template = f"STRFTIME('{format_}', 'NOW', '{_offset_seconds(connection):+} seconds')"
        return self.as_sql(compiler, connection, template=template, **context)


def _offset_seconds(connection: BaseDatabaseWrapper) -> int:
    """From UTC to the zone that times are stored in, now, in a database whose columns have none."""
    offset = datetime.now(connection.timezone or UTC).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
