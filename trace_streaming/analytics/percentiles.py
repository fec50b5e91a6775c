"""Percentiles, where the database has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Aggregate, Field


class Percentiles(Aggregate):
    """PostgreSQL's own, nearest-rank: one sort for all of them."""

    template = "PERCENTILE_DISC(ARRAY[%(shares)s]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field: Field[Any, Any] = Field()

    def __init__(self, expression: str, percents: Sequence[int], **options: Any) -> None:
        super().__init__(expression, **options, shares=", ".join(str(percent / 100) for percent in percents))
