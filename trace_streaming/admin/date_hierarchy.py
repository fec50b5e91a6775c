"""Which years, months and days hold rows, found in an index.

Django's own way looks at every row, and needs a database that knows the project's time zone: MariaDB and MySQL are
installed without any.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.utils import timezone

from trace_streaming.models import showable

_STARTS: Final[dict[str, Any]] = {
    "year": {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "month": {"day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0},
}
_LONGEST: Final = {"year": 366, "month": 31, "day": 1}


_LAST_YEAR: Final = 9998


class ByPeriod(QuerySet[Model]):
    """For ``date_hierarchy``, which asks for nothing else."""

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The first and the last time, as every time zone can show them."""
        found = super().aggregate(*args, **kwargs)
        return {name: showable(value) if isinstance(value, datetime) else value for name, value in found.items()}

    def datetimes(self, field_name: str, kind: Any, order: str = "ASC", tzinfo: tzinfo | None = None) -> Any:
        """The beginnings of the periods that hold a row, ascending, in the current time zone.

        One query for each of them, which takes the first row behind the period before.

        :param kind: ``year``, ``month`` or ``day``
        """
        times = self.order_by(field_name).values_list(field_name, flat=True)
        found: list[datetime] = []
        at = times.first()
        while at is not None:
            at = showable(at)
            local = timezone.localtime(at) if timezone.is_aware(at) else at
            found.append(local.replace(**_STARTS[kind]))
            if local.year == _LAST_YEAR:
                break
            at = times.filter(**{f"{field_name}__gte": _next(found[-1], kind)}).first()
        return found


def _next(start: datetime, kind: str) -> datetime:
    """The beginning of the next period; in wall-clock time, whose days are not all as long."""
    return (start + timedelta(days=_LONGEST[kind])).replace(**_STARTS[kind])
