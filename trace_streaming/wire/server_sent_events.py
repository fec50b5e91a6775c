"""What the server says to those who read server-sent events (WHATWG HTML, 9.2): the third profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from trace_streaming.events import EncodedEvent
from trace_streaming.events.deltas import TextDelta

from .frames import Packet
from .profiles import Connected, Gap

RETRY_MILLISECONDS: Final = 2000
"""How long an ``EventSource`` waits before it comes back."""
_ENDED: Final = "event: ended\n"


class EventStreamProfile:
    """A trace's event is a message without a name, its ``id`` the sequence; everything else has a name.

    ``id`` moves the place that an ``EventSource`` resumes from. Texts are JSON without a line break.
    """

    acknowledges = False

    def connected(self, connected: Connected) -> str:
        """The first message."""
        fields = {
            "trace_id": connected.trace_id,
            "epoch": connected.epoch,
            "sequence": connected.sequence,
            "state": connected.state,
            "heartbeat_seconds": connected.heartbeat_seconds,
        }
        return f"retry: {RETRY_MILLISECONDS}\n\n{_message('connected', fields)}"

    @staticmethod
    def place(sequence: int) -> str:
        """Where to resume, for a client that has had no event yet: it shows nothing."""
        return f"id: {sequence}\n\n"

    def events(self, events: Sequence[EncodedEvent]) -> list[str]:
        """One message per event."""
        return [f"id: {event.sequence}\ndata: {event.text}\n\n" for event in events]

    def joined(self, texts: str, first: int) -> list[str]:
        """The same of events whose texts stand in lines."""
        return [f"id: {sequence}\ndata: {text}\n\n" for sequence, text in enumerate(texts.split("\n"), first)]

    def gap(self, trace_id: str, gap: Gap) -> str:
        """Numbers that no longer exist; after those of another life, begun again or not, the place is the beginning."""
        place = "id: 0\n" if gap.reason == "epoch" else ""
        return place + _message("gap", gap.fields())

    def error(self, trace_id: str, code: int, message: str, id: object = None) -> str:  # noqa: A002
        """Why the stream ends; ``error`` itself is what an ``EventSource`` calls a connection that broke."""
        return _message("refused", {"code": int(code), "message": message})

    def live(self, sequence: int) -> str:
        """The replay is done."""
        return _message("live", {"sequence": sequence})

    def heartbeat(self, sequence: int) -> str:
        """A comment, so that proxies do not take the connection for dead."""
        return f": {sequence}\n\n"

    def ended(self, state: str, sequence: int) -> str:
        """The trace is finished, and all of it was sent; the place is its end, whatever the filter left out."""
        return f"{_ENDED}id: {sequence}\ndata: {_json({'state': state, 'sequence': sequence})}\n\n"

    def delta(self, delta: TextDelta) -> str | None:
        """Only for those who ask for them."""
        return None

    @staticmethod
    def is_end(packet: Packet) -> bool:
        """Whether nothing comes behind it."""
        return any(text.startswith(_ENDED) for text in packet.texts)


class EventStreamWithDeltasProfile(EventStreamProfile):
    """The same, and the texts of calls while they stream: messages without an ``id``, which move no place."""

    def delta(self, delta: TextDelta) -> str:
        """A call's text while it streams."""
        return _message("delta", {"call_id": delta.call_id, "offset": delta.offset, "text": delta.text})


EVENT_STREAM: Final = EventStreamProfile()
EVENT_STREAM_WITH_DELTAS: Final = EventStreamWithDeltasProfile()


def _message(name: str, fields: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {_json(fields)}\n\n"


def _json(fields: Mapping[str, Any]) -> str:
    return orjson.dumps(fields).decode()
