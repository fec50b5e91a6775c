"""Pieces of texts to a server elsewhere: at once, and lost where that fails."""

from __future__ import annotations

from typing import Final

import httpx
import orjson

from trace_streaming.events.deltas import TextDelta

TIMEOUT_SECONDS: Final = 2.0
"""News that come later are none: the result follows as an event."""


class DeltaClient:
    """One server, and one connection to it, for the thread that tells.

    :param base_url: as :func:`.check_base_url` returns it
    :param authorization: as :func:`.check_authorization` returns it
    """

    def __init__(self, base_url: str, authorization: str) -> None:
        self._traces = f"{base_url}/api/traces"
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS)

    def tell(self, delta: TextDelta) -> None:
        """Send one; raises what httpx raises, and where the server takes none: then the call's stream ends."""
        body = {"call_id": delta.call_id, "offset": delta.offset, "text": delta.text}
        response = self._http.post(f"{self._traces}/{delta.trace_id}/deltas", content=orjson.dumps(body))
        response.raise_for_status()
