"""A trace on a server elsewhere, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

import httpx

from trace_streaming.events import check_trace_id

from .ingest import is_transient, retry_after
from .resuming import AwayError, NotLetInError, Place, Source

TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
"""The server says something every ``TRACE_STREAMING_HEARTBEAT_SECONDS``."""


def remote_source(base_url: str, authorization: str | None, trace_id: str, query: Mapping[str, str]) -> Source:
    """For :func:`.follow`.

    :param base_url: as :func:`.check_base_url` returns it
    :param authorization: as :func:`.check_authorization` returns it; None for a trace that everybody may watch
    :param query: ``events`` and ``status``
    :raises InvalidTraceIdError: it would be another path
    """
    check_trace_id(trace_id)
    headers = {"Accept": "text/event-stream"} | ({"Authorization": authorization} if authorization else {})

    async def source(place: Place) -> AsyncGenerator[bytes, None]:
        asked = {**query, "since": place.since, "epoch": place.epoch}
        params = {name: str(value) for name, value in asked.items() if value is not None}
        try:
            async with (
                httpx.AsyncClient(headers=headers, timeout=TIMEOUT) as client,
                client.stream("GET", f"{base_url}/api/traces/{trace_id}/stream", params=params) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise _why_not(response)
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise NotLetInError(f"{base_url} answers with something else than a stream: another site is there")
                async for part in response.aiter_bytes():
                    yield part
        except httpx.TransportError as error:
            raise AwayError(f"{base_url} cannot be reached ({type(error).__name__})") from None

    return source


def _why_not(response: httpx.Response) -> Exception:
    said = f"{response.request.url.copy_with(query=None)} answers {response.status_code}"
    if is_transient(response.status_code):
        return AwayError(said, retry_after(response.headers.get("Retry-After")))
    return NotLetInError(f"{said}: {response.text:.200}")
