"""Pages of traces, newest first: each begins behind the last trace of the one before, whatever began at one time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple

from django.db.models import Q, QuerySet
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.pagination import BasePagination, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from trace_streaming.emitting.asking.sealing import seal, unseal
from trace_streaming.models import Trace
from trace_streaming.permissions import may_watch, traces_to_watch

MAX_JUDGED: Final = 2_000
"""Where only a trace itself can be judged, so many are looked at for a page."""
CHUNK: Final = 200


class Cursor(NamedTuple):
    """A place between two traces; sealed, for it may be that of a trace that the client may not watch."""

    started_at: datetime
    """As the column has it."""
    pk: int
    is_reverse: bool = False
    """Whether the page before the place is meant."""

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Raises :exc:`ValidationError` for what is none."""
        try:
            place = unseal(text)
            return cls(datetime.fromisoformat(place["at"]), place["pk"], place["reverse"])
        except (ValueError, KeyError, TypeError):
            raise ValidationError({"cursor": ["Not a cursor of this list"]}) from None

    @classmethod
    def at(cls, trace: Trace, *, is_reverse: bool = False) -> Cursor:
        """Behind this trace, or before it."""
        return cls(trace.started_at, trace.pk, is_reverse)

    def __str__(self) -> str:
        return seal({"at": self.started_at.isoformat(), "pk": self.pk, "reverse": self.is_reverse})


class TracePagination(BasePagination):
    """A page and its cursors tell nothing of a trace that may not be watched.

    Where each trace is judged by itself, a page may hold fewer than asked for, or none, and have others behind it.
    """

    page_size: ClassVar = 50
    max_page_size: ClassVar = 200
    _request: Request
    _next: Cursor | None = None
    _previous: Cursor | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Narrow to what may be watched: in the query where the policy can, otherwise trace by trace."""
        self._request = request
        text, size = request.query_params.get("cursor"), self._size(request)
        cursor = Cursor.read(text) if text else None
        is_reverse = cursor is not None and cursor.is_reverse
        traces = queryset.order_by(*(("started_at", "pk") if is_reverse else ("-started_at", "-pk")))
        allowed = traces_to_watch(request, traces, view)
        if allowed is None:
            page, rest = _judged(_behind(traces, cursor), size, request, view)
            is_closed = not page and cursor is None and rest is None
        else:
            page = list(_behind(allowed, cursor)[: size + 1])
            rest = page[size - 1] if len(page) > size else None
            page, is_closed = page[:size], allowed.query.is_empty()
        if is_closed and not request.user.is_authenticated:
            raise NotAuthenticated  # as at each trace
        self._link(page, cursor, rest)
        return page[::-1] if is_reverse else page

    def _link(self, page: list[Trace], cursor: Cursor | None, rest: Trace | None) -> None:
        """The cursors of a page, which is in the order of its query.

        :param rest: what was looked at last, where there may be more
        """
        is_reverse = cursor is not None and cursor.is_reverse
        further = None if rest is None else Cursor.at(rest, is_reverse=is_reverse)
        back = None
        if cursor is not None:
            back = Cursor.at(page[0], is_reverse=not is_reverse) if page else cursor._replace(is_reverse=not is_reverse)
        self._next, self._previous = (back, further) if is_reverse else (further, back)

    def _size(self, request: Request) -> int:
        text = request.query_params.get("limit", "")
        if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) < 1:
            return self.page_size
        return min(int(text), self.max_page_size)

    def _url(self, cursor: Cursor | None) -> str | None:
        if cursor is None:
            return None
        return str(replace_query_param(self._request.build_absolute_uri(), "cursor", str(cursor)))

    def get_paginated_response(self, data: Any) -> Response:
        """``next`` and ``previous`` are null at the ends."""
        return Response({"next": self._url(self._next), "previous": self._url(self._previous), "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """As REST framework's own cursors have it."""
        return CursorPagination().get_paginated_response_schema(schema)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """``cursor`` and ``limit``."""
        of_limit: Mapping[str, Any] = {"type": "integer", "minimum": 1}
        return [
            {"name": name, "required": False, "in": "query", "description": text, "schema": schema}
            for name, text, schema in (
                ("cursor", "The page, from `next` or `previous`.", {"type": "string"}),
                ("limit", f"At most so many, {self.page_size} by default, {self.max_page_size} at most.", of_limit),
            )
        ]


def _behind(traces: QuerySet[Trace], cursor: Cursor | None) -> QuerySet[Trace]:
    if cursor is None:
        return traces
    at, pk, side = cursor.started_at, cursor.pk, "gt" if cursor.is_reverse else "lt"
    # The first condition alone is one of an index; the second leaves out those of the same time.
    return traces.filter(Q(**{f"started_at__{side}e": at}), Q(**{f"started_at__{side}": at}) | Q(**{f"pk__{side}": pk}))


def _judged(
    traces: QuerySet[Trace], size: int, request: Request, view: APIView | None
) -> tuple[list[Trace], Trace | None]:
    """As many as asked for, of a bounded number; and what was looked at last, where there may be more."""
    page: list[Trace] = []
    last: Trace | None = None
    for number, trace in enumerate(_rows(traces)):
        if len(page) == size and number < MAX_JUDGED:
            if may_watch(request, trace, view):
                return page, page[-1]
        elif number == MAX_JUDGED:
            return page, last
        elif may_watch(request, trace, view):
            page.append(trace)
        last = trace
    return page, None


def _rows(traces: QuerySet[Trace]) -> Iterator[Trace]:
    return traces[: MAX_JUDGED + 1].iterator(chunk_size=CHUNK)
