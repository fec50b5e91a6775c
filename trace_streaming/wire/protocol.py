"""What a client may say: the request of its URL, its commands, and the codes it is answered with."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson

from trace_streaming.events import CANONICAL_EVENTS, STATUSES, TRACE_ID_PATTERN, parse_json, unknown_names
from trace_streaming.exceptions import ProtocolError

SUBPROTOCOL: Final = "trace-stream.v1"
MAX_COMMAND_CHARACTERS: Final = 64 * 1024
_SEQUENCE: Final = re.compile(r"[0-9]{1,18}")


class CloseCode(IntEnum):
    """Why a socket is closed; 4000 to 4099 ask the client to come back, 4400 to 4499 not to."""

    NORMAL = 1000
    GOING_AWAY = 4001
    TOO_SLOW = 4008
    TOO_MANY = 4029
    CREDENTIALS_EXPIRED = 4031
    BAD_REQUEST = 4400
    NOT_AUTHENTICATED = 4401
    NOT_ALLOWED = 4403
    TOO_LARGE = 4413


class Ending(NamedTuple):
    """Why the server closes a socket."""

    code: CloseCode
    message: str


GOING_AWAY: Final = Ending(CloseCode.GOING_AWAY, "The server is going away; connect again")
FAILED: Final = Ending(CloseCode.GOING_AWAY, "The server failed; connect again")
DATABASE_AWAY: Final = Ending(CloseCode.GOING_AWAY, "The database does not answer; connect again")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a watcher wants; the same for replay and live."""

    events: frozenset[str] | None = None
    """Event names, or None for all."""
    statuses: frozenset[str] | None = None
    """Statuses, or None for all."""

    def matches(self, event: str, status: str) -> bool:
        """Whether an event of this name and status is wanted."""
        return (self.events is None or event in self.events) and (self.statuses is None or status in self.statuses)

    @property
    def takes_calls(self) -> bool:
        """Whether the calls of models are wanted, and so what they say while they say it."""
        return self.events is None or any(name.startswith("llm_call_") for name in self.events)


EVERYTHING: Final = EventFilter()


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a client asks for with its URL."""

    trace_id: str
    since: int | None = None
    """Replay everything after this sequence; None is live only."""
    epoch: str | None = None
    """The epoch that ``since`` belongs to, when the client knows it."""
    filter: EventFilter = EVERYTHING

    def contradicts(self, head: int, epoch: str | None) -> bool:
        """Whether this request is of another life of the trace than one that has this head and epoch."""
        return self.since is not None and (self.since > head or (self.epoch is not None and self.epoch != epoch))


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a ``trace-stream.v1`` client."""

    type: str
    id: Any = None
    """Whatever the client wants to have back with the answer."""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def parse_watch_request(trace_id: str, query_string: bytes, event_names: Collection[str] | None = None) -> WatchRequest:
    """Read a handshake's path and query; raise :exc:`ProtocolError` with a text the client is shown.

    :param trace_id: the last part of the path, decoded
    :param event_names: the names that may be filtered for; None: they are checked later, by :func:`check_events`
    """
    if not TRACE_ID_PATTERN.fullmatch(trace_id):
        raise ProtocolError(
            CloseCode.BAD_REQUEST,
            "Bad trace id: use 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : @ -, and neither . nor .. alone",
        )
    try:
        query = parse_qs(query_string.decode(), keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise ProtocolError(CloseCode.BAD_REQUEST, "Bad query: not UTF-8, or more than 32 parameters") from None
    return WatchRequest(
        trace_id,
        since=parse_since(_single(query, "since")),
        epoch=_single(query, "epoch") or None,
        filter=EventFilter(
            _parse_names("events", _split(_single(query, "events")), event_names, CANONICAL_EVENTS),
            _parse_names("status", _split(_single(query, "status")), STATUSES, STATUSES),
        ),
    )


def check_events(request: WatchRequest, event_names: Collection[str]) -> None:
    """Raise :exc:`ProtocolError` for names that are none, when it is known that whoever asks may learn of them."""
    if request.filter.events is not None:
        _parse_names("events", sorted(request.filter.events), event_names, CANONICAL_EVENTS)


def _single(query: Mapping[str, list[str]], name: str) -> str | None:
    values = query.get(name, [])
    if len(values) > 1:
        raise ProtocolError(CloseCode.BAD_REQUEST, f"Bad query: {name} is given more than once")
    return values[0] if values else None


def parse_since(text: str | None) -> int | None:
    """A place in a log, or None; raise :exc:`ProtocolError` for what is no sequence number."""
    if text is None:
        return None
    if not _SEQUENCE.fullmatch(text):
        raise ProtocolError(CloseCode.BAD_REQUEST, f"Bad since: {text[:40]!r} is not a sequence number (0, 1, 2, …)")
    return int(text)


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _parse_names(
    parameter: str, names: object, known: Collection[str] | None, told: Collection[str]
) -> frozenset[str] | None:
    """Names of a filter; None and an empty list are no filter.

    :param known: None: any text may be one
    :param told: those of the known that an error names
    """
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ProtocolError(CloseCode.BAD_REQUEST, f"Bad {parameter}: a list of names is expected")
    if known is not None and (unknown := unknown_names(names, known)):
        listed = ", ".join(name[:64] for name in unknown[:5])
        raise ProtocolError(CloseCode.BAD_REQUEST, f"Bad {parameter}: {listed} unknown. Known: {', '.join(told)}")
    return frozenset(names) or None


def parse_command(text: str | None) -> Command:
    """Read one frame of a ``trace-stream.v1`` client; raise :exc:`ProtocolError` when it is no command.

    :param text: None for a binary frame
    """
    if text is None:
        raise ProtocolError(CloseCode.BAD_REQUEST, "A command is a text frame; this one is binary")
    if len(text) > MAX_COMMAND_CHARACTERS:
        raise ProtocolError(CloseCode.TOO_LARGE, f"A command has at most {MAX_COMMAND_CHARACTERS} characters")
    try:
        message = parse_json(text)
    except orjson.JSONDecodeError:
        raise ProtocolError(CloseCode.BAD_REQUEST, "A command is a JSON object; this is not JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError(CloseCode.BAD_REQUEST, 'A command is a JSON object with a "type"')
    if not isinstance(message.get("id"), str | int | float | None):
        raise ProtocolError(CloseCode.BAD_REQUEST, "Bad id: a text or a number is expected")
    return Command(message.pop("type"), message.pop("id", None), message)


def parse_filter(arguments: Mapping[str, Any], event_names: Collection[str]) -> EventFilter:
    """The filter of a ``subscribe`` command; raise :exc:`ProtocolError` when a name is unknown."""
    return EventFilter(
        _parse_names("events", arguments.get("events"), event_names, CANONICAL_EVENTS),
        _parse_names("status", arguments.get("status"), STATUSES, STATUSES),
    )


def parse_acknowledged(arguments: Mapping[str, Any]) -> int:
    """The sequence of an ``ack`` command; raise :exc:`ProtocolError` when it is no sequence number."""
    sequence = arguments.get("sequence")
    if isinstance(sequence, bool) or not isinstance(sequence, int) or sequence < 0:
        raise ProtocolError(CloseCode.BAD_REQUEST, "Bad ack: sequence is a whole number, 0 or more")
    return sequence
