"""The ingest API from its other side: what is sent to a server elsewhere, and what its answers mean."""

from __future__ import annotations

import encodings.idna  # noqa: F401  a process that is forked while a thread imports it, to find a host, never has it
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import accumulate
from typing import Any, Final

import httpx
import orjson

from trace_streaming.emitting.stopping import Stop
from trace_streaming.events import TraceEnd, TraceEvent, TraceStart, format_timestamp

MAX_EVENTS: Final = 1_000
"""In one request: what the server takes."""
MAX_SIZE: Final = 1024 * 1024
"""Characters of the details in one request; Django takes 2.5 MB of a request, unless a project says otherwise."""
MAX_RETRY_AFTER: Final = 300.0
BEAT_TIMEOUT: Final = 5.0
"""Seconds: what waits to be sent waits for the answer to a beat."""
MAX_OPEN: Final = 1_000
"""Traces of one beat: what the server takes."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
"""The server answers when all is stored; it waits 10 seconds for that."""
_TRANSIENT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

Sent = TraceStart | TraceEvent | TraceEnd


@dataclass(frozen=True)
class Stored:
    """The server has all of it, but for what it refuses."""

    refused: Sequence[str] = ()
    """Why, one text for each event."""
    stop: Stop | None = None
    """What somebody asks of the run."""


@dataclass(frozen=True)
class NotYet:
    """The server could not say that it is stored: the same has to be sent again, which is harmless."""

    reason: str
    retry_after: float | None = None
    """Seconds, where the server has said so."""
    is_taken: bool = False
    """Whether the server has it, and is only slow, or has no room for so much at once."""


@dataclass(frozen=True)
class TooLarge:
    """The server takes less at a time."""


@dataclass(frozen=True)
class Refused:
    """It will be the same next time."""

    reason: str


Answer = Stored | NotYet | TooLarge | Refused


@dataclass(frozen=True)
class Beat:
    """What the server has answered to a beat."""

    is_heard: bool
    """Whether it has; otherwise the same may work a moment later."""
    expires_in: float | None = None
    """Seconds until it takes the sender for dead; None: never, or it knows nothing of beats, or does not let us."""
    stops: Mapping[str, Stop] = field(default_factory=dict)
    """What somebody asks of runs, by trace id."""


class IngestClient:
    """One server, and one connection to it.

    :param base_url: as :func:`check_base_url` returns it
    :param authorization: value of the header, as :func:`check_authorization` returns it
    """

    def __init__(self, base_url: str, authorization: str) -> None:
        self._traces = f"{base_url}/api/traces"
        self._beat = f"{base_url}/api/beat"
        headers = {"Authorization": authorization, "Content-Type": "application/json", "Accept": "application/json"}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT)

    def send(self, records: Sequence[Sent]) -> Answer:
        """Send what :func:`fitting` has cut off, all of it of one trace."""
        trace = f"{self._traces}/{records[0].trace_id}"
        if isinstance(records[0], TraceEnd):
            end = {"state": records[0].state, "timestamp": format_timestamp(records[0].timestamp)}
            return self._post(f"{trace}/end", end)
        body: dict[str, Any] = {"events": [_item(record) for record in records if isinstance(record, TraceEvent)]}
        for record in records:
            if isinstance(record, TraceStart):
                if record.metadata != "{}" or "metadata" not in body:
                    body["metadata"] = orjson.Fragment(record.metadata)
                told = {"name": record.name, "conversation": record.conversation, "tags": record.tags}
                body |= {name: value for name, value in told.items() if value is not None}
        return self._post(f"{trace}/events", body)

    def beat(self, sender: str, traces: Sequence[str], *, ends: bool = False) -> Beat:
        """Say that a sender lives, or does no more, and which traces it has open, at most ``MAX_OPEN``."""
        body = orjson.dumps({"sender": sender, "traces": traces, "ends": ends})
        try:
            response = self._http.post(self._beat, content=body, timeout=BEAT_TIMEOUT)
        except Exception:  # whatever it is, the thread has to go on
            return Beat(is_heard=False)
        if not response.is_success:
            return Beat(is_heard=not is_transient(response.status_code))
        answer = answered(response)
        expires_in, told = answer.get("expires_in"), answer.get("stops")
        stops = told.items() if isinstance(told, dict) else ()
        return Beat(
            is_heard=True,
            expires_in=expires_in if isinstance(expires_in, (int, float)) else None,
            stops={trace_id: stop for trace_id, each in stops if (stop := _stop(each)) is not None},
        )

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def _post(self, url: str, body: dict[str, Any]) -> Answer:
        try:
            response = self._http.post(url, content=orjson.dumps(body))
        except httpx.TransportError as error:
            return NotYet(f"it cannot be reached ({type(error).__name__})")
        except Exception as error:  # whatever it is, the thread has to go on
            return Refused(f"sending fails ({type(error).__name__})")
        return _meaning(response)


def check_base_url(base_url: str) -> str:
    """Without its last slash; raise :exc:`ValueError` for what is no URL of HTTP."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"Bad base URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("A base URL begins with http:// or https://, and names a host")
    if url.userinfo or set(base_url) & set(" ?#"):  # the first would go in the place of the token, and into logs
        raise ValueError("A base URL has no user, no query, no fragment and no blank: https://example.com")
    return base_url.rstrip("/")


def check_authorization(scheme: str, token: str) -> str:
    """The header of a token; raise :exc:`ValueError` for what no header can carry. The token is not shown."""
    authorization = f"{scheme} {token}"
    if not token or not (authorization.isascii() and authorization.isprintable()):
        raise ValueError("A token is printable ASCII, and not empty")
    return authorization


def fitting(records: Sequence[Sent], most: int, max_size: int) -> Sequence[Sent]:
    """The first of them, at least one, that go into one request; an end is sent alone.

    :param most: records
    :param max_size: as :func:`size` has it
    """
    ends = (index or 1 for index, record in enumerate(records) if isinstance(record, TraceEnd))
    most = min(most, next(ends, most))
    sizes = accumulate(map(_size, records[:most]))
    return records[: max(1, sum(size <= max_size for size in sizes))]


def size(records: Sequence[Sent]) -> int:
    """Characters of what is not the same for all."""
    return sum(map(_size, records))


def _size(record: Sent) -> int:
    match record:
        case TraceEvent():
            return len(record.details)
        case TraceStart():
            return len(record.metadata)
        case _:
            return 0


def _item(event: TraceEvent) -> dict[str, Any]:
    return {
        "event": event.event,
        "details": orjson.Fragment(event.details),
        "status": event.status,
        "timestamp": format_timestamp(event.timestamp),
        "event_id": event.event_id,
    }


def _meaning(response: httpx.Response) -> Answer:
    status = response.status_code
    if status == HTTPStatus.ACCEPTED:
        return NotYet("it is slow to store", is_taken=True)
    if is_transient(status):
        return NotYet(f"it answers {status}", retry_after(response.headers.get("Retry-After")))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge()
    answer = answered(response)
    errors = answer.get("errors")
    if isinstance(errors, list) and (response.is_success or errors):
        refused = [str(error.get("error") if isinstance(error, dict) else error) for error in errors]
        return Stored(refused, _stop(answer.get("stop")))
    if response.is_success and answer.get("stored") is True:
        return Stored()
    return Refused(f"it answers {status} {answer.get('detail', '')}".rstrip())


def answered(response: httpx.Response) -> dict[str, Any]:
    """The object that the server answers with; an empty one of what is none."""
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:  # of something before the server
        return {}
    return answer if isinstance(answer, dict) else {}


def _stop(told: object) -> Stop | None:
    if not isinstance(told, dict):
        return None
    return Stop(str(told.get("requested_by") or ""), str(told.get("comment") or ""))


def is_transient(status: int) -> bool:
    """Whether the same request may work a moment later."""
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return failed or status in _TRANSIENT


def retry_after(text: str | None) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110, 10.2.3): a number of them, or a date."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
