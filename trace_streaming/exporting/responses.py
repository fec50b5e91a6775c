"""Long answers, made as they are taken: neither the trace nor what a slow client has not read is held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from trace_streaming.servers.gates import gate_of

NOT_COMPRESSED: Final = {"Content-Encoding": "identity"}
"""Django's ``GZipMiddleware`` makes each part of an asynchronous answer a file of gzip's: browsers read the first."""


def streamed(request: Request, parts: Iterator[bytes], content_type: str) -> HttpResponseBase:
    """An answer from synchronous parts; each is made in the request's own thread, when the one before is taken."""
    if request.method == "HEAD":
        return HttpResponse(content_type=content_type)
    scope: dict[str, Any] | None = getattr(request._request, "scope", None)
    taken: Any = parts if scope is None else _paced(parts, scope)
    return StreamingHttpResponse(taken, content_type=content_type, headers=NOT_COMPRESSED)


async def _paced(parts: Iterator[bytes], scope: dict[str, Any]) -> AsyncIterator[bytes]:
    take: Any = sync_to_async(next)
    gate = gate_of(scope)
    try:
        while (part := await take(parts, None)) is not None:
            yield part
            if gate is not None:
                await gate.wait()
    finally:
        if gate is not None:
            gate.close()
