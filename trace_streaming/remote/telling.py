"""Pieces of texts to a server elsewhere: at once, and lost where that fails."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Final
from weakref import finalize

import httpx
import orjson

from trace_streaming.events.deltas import TextDelta

TIMEOUT_SECONDS: Final = 2.0
"""News that come later are none: the result follows as an event."""


class DeltaClient:
    """One server, and one connection to it, for the thread that tells; closed when nobody has it any more.

    :param base_url: as :func:`.check_base_url` returns it
    :param authorization: as :func:`.check_authorization` returns it
    """

    def __init__(self, base_url: str, authorization: str) -> None:
        self._traces = f"{base_url}/api/traces"
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}

    def tell(self, delta: TextDelta) -> None:
        """Send one; raises what httpx raises, and where the server takes none: then the call's stream ends."""
        body = {"call_id": delta.call_id, "offset": delta.offset, "text": delta.text}
        response = self._http.post(f"{self._traces}/{delta.trace_id}/deltas", content=orjson.dumps(body))
        response.raise_for_status()

    @cached_property
    def _http(self) -> httpx.Client:
        client = httpx.Client(headers=self._headers, timeout=TIMEOUT_SECONDS)
        finalize(self, _close, client, os.getpid())
        return client


def _close(client: httpx.Client, process_id: int) -> None:
    if os.getpid() == process_id:  # a fork's child may have come while a thread of its parent held the client's lock
        client.close()
