"""Times as the API reads and writes them, whatever the project's settings say of times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final, TypeVar

from django.db import models
from rest_framework import ISO_8601, serializers

from trace_streaming.storage.times import as_utc

M = TypeVar("M", bound=models.Model)

YEARS: Final = range(1970, 9999)
"""Of others, no database and no sum with a day is sure to know."""


def check_year(time: datetime) -> datetime:
    """The same time; raises ``ValueError`` for one that nothing can be compared with."""
    if time.year not in YEARS:
        raise ValueError(f"The years {YEARS[0]} to {YEARS[-1]} are expected")
    return time


class UtcDateTimeField(serializers.DateTimeField):
    """ISO 8601, written with its zone, which is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"input_formats": [ISO_8601], "default_timezone": UTC, **kwargs})

    def to_internal_value(self, value: Any) -> datetime:
        """Aware."""
        try:
            return check_year(super().to_internal_value(value))
        except (ValueError, OverflowError) as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: Any) -> str:
        """Of a stored time."""
        return as_utc(value).isoformat().replace("+00:00", "Z")


class UtcModelSerializer(serializers.ModelSerializer[M]):
    """With such times."""

    serializer_field_mapping: ClassVar[Any] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: UtcDateTimeField,
    }
