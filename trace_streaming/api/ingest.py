"""Events from programs that do not run inside Django: the same emitter, queue, redaction and limits as inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from trace_streaming.access.bodies import TooLargeError
from trace_streaming.conf import conf
from trace_streaming.emitting.emitter import TraceEmitter, announce
from trace_streaming.emitting.faces import Face
from trace_streaming.emitting.project_events import event_from
from trace_streaming.emitting.stopping import Stop
from trace_streaming.events import APPROVAL_EVENTS, TraceEvent, TraceRecord, TraceStart
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.record_queue import is_informational
from trace_streaming.recording.recorder import SYNC_SECONDS, recorder
from trace_streaming.stopping.listening import as_told
from trace_streaming.stopping.requests import stop_requests
from trace_streaming.storage import hidden_values
from trace_streaming.storage.store import database

MAX_EVENTS: Final = 1_000
"""In one request."""
REFUSED: Final = "The database refuses it"
TOLD: Final = "What becomes of an approval that is stored here, and who asks to stop, is told by the server alone"
NO_FACE: Final = Face()
FULL: Final = "The trace has as many events as it may have; errors and approvals are still taken"


@dataclass(frozen=True)
class Bad:
    """An item of a batch that holds no event, or one that is refused: by the database, or by a full trace."""

    index: int | None
    """None for the trace itself, where it begins: its metadata."""
    error: str


class Taken(NamedTuple):
    """What became of a batch."""

    accepted: int
    errors: list[Bad]
    is_stored: bool
    stop: Stop | None = None
    """What somebody asks of the run."""

    @property
    def status_code(self) -> int:
        """400: no event among them; 202: not known to be stored yet; 207: some bad ones; 200."""
        if self.errors and not self.accepted:
            return status.HTTP_400_BAD_REQUEST
        if not self.is_stored:
            return status.HTTP_202_ACCEPTED
        return status.HTTP_207_MULTI_STATUS if self.errors else status.HTTP_200_OK

    def as_data(self) -> dict[str, Any]:
        """As the client reads it."""
        return {
            "accepted": self.accepted,
            "stored": self.is_stored,
            "errors": [asdict(error) for error in self.errors],
            **({} if self.stop is None else {"stop": self.stop._asdict()}),
        }


def body_of(request: Request) -> dict[str, Any]:
    """The body, if it is an object."""
    if not isinstance(request.data, Mapping):
        raise ValidationError({"detail": "An object is expected"})
    return dict(request.data)


def take(trace: Trace, user: Any, body: Mapping[str, Any]) -> Taken:
    """Emit what the body holds, and wait until it is stored.

    :param trace: unsaved when it has not begun: then it will be the user's
    :param body: an event, or ``{"events": [...], "metadata": {...}, "name": ..., "conversation": ..., "tags": [...]}``
    """
    metadata, items = body.get("metadata"), body.get("events", [body])
    if not isinstance(items, list):
        raise ValidationError({"events": ["A list is expected"]})
    if len(items) > MAX_EVENTS:
        raise TooLargeError(f"A request has at most {MAX_EVENTS} events")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ValidationError({"metadata": ["An object is expected"]})
    face = _face_of(body)
    events: dict[int, TraceEvent] = {}
    errors: list[Bad] = []
    if trace.pk is not None:
        hidden_values.learn(database(), [trace.trace_id])
    for index, item in enumerate(items):
        try:
            events[index] = event_from(trace.trace_id, item)
        except ValueError as error:
            errors.append(Bad(index, str(error)))
    for index in told_by_the_server(events):
        del events[index]
        errors.append(Bad(index, TOLD))
    with recording(trace.trace_id) as receipt:
        if events or ((metadata is not None or face != NO_FACE) and not errors):
            begin(trace, user, metadata, face)
        full = {index for index, event in events.items() if not announced(event)}
        receipt.shed += len(full)
    refused = {index for index, event in events.items() if event in receipt.refused}
    errors += [Bad(index, FULL if index in full else REFUSED) for index in full | refused]
    errors.sort(key=attrgetter("index"))
    if receipt.refuses(TraceStart):
        errors.append(Bad(None, REFUSED))
    return Taken(len(events) - len(full | refused), errors, receipt.is_stored, asked_to_stop(trace))


def asked_to_stop(trace: Trace) -> Stop | None:
    """What its run is asked: for who has it open elsewhere."""
    asked = None if trace.pk is None else stop_requests().filter(trace_id=trace.trace_id, is_standing=True).first()
    return None if asked is None else as_told(asked)


def told_by_the_server(events: Mapping[int, TraceEvent]) -> list[int]:
    """Which say that somebody asks the run to stop, or speak of an approval that is stored here.

    A sender would show deciders what nobody has asked.
    """
    stops = [index for index, event in events.items() if event.event == "stop_requested"]
    named = {
        index: str(orjson.loads(event.details).get("approval_id"))
        for index, event in events.items()
        if event.event in APPROVAL_EVENTS
    }
    if not named:
        return stops
    approvals = Approval.objects.using(database()).filter(approval_id__in=set(named.values()))
    stored = set(approvals.values_list("approval_id", flat=True))
    return stops + [index for index, approval_id in named.items() if approval_id in stored]


def announced(event: TraceEvent) -> bool:
    """Announce it; False when its trace has all its events: asked again, it will be shed again."""
    is_shed = is_informational(event) and not recorder.has_room(event.trace_id)
    announce(event)
    return not is_shed


class SendersEmitter(TraceEmitter):
    """What it says of owner and metadata is the sender's word, and not the project's; its trace is not open here."""

    _is_by_sender = True
    holds = False


def begin(trace: Trace, user: Any, metadata: Mapping[str, Any] | None = None, face: Face = NO_FACE) -> TraceEmitter:
    """An emitter for the trace; one that has not begun becomes the user's.

    :param metadata: left out, where another has begun the trace: whether it may be watched may be judged by that
    """
    owner = user if trace.pk is None else None
    is_own = trace.pk is None or (trace.owned_by_sender and trace.owner_id == user.pk)
    return SendersEmitter(trace.trace_id, owner=owner, metadata=metadata if is_own else None, **face._asdict())


def _face_of(body: Mapping[str, Any]) -> Face:
    """What is said beside ``events``; the keys of an event alone are its own."""
    if "events" not in body:
        return NO_FACE
    try:
        return Face.of(body.get("name"), body.get("conversation"), body.get("tags"))
    except ValueError as error:
        raise ValidationError({"detail": str(error)}) from None


@dataclass
class Receipt:
    """What became of what was recorded for a trace."""

    trace_id: str
    refused: Sequence[TraceRecord]
    """What the database will never take, of any trace."""
    shed: int = 0
    """How many events were beyond what the trace may have."""
    is_stored: bool = False
    """Whether it has all else."""

    def refuses(self, kind: type[TraceRecord]) -> bool:
        """Whether it will never take such a record of this trace."""
        return any(isinstance(record, kind) and record.trace_id == self.trace_id for record in self.refused)


@contextmanager
def recording(trace_id: str) -> Iterator[Receipt]:
    """Behind what is emitted within, wait for the store as long as ``TRACE_STREAMING_DURABILITY = "sync"`` would."""
    shed = recorder.shed
    with recorder.refusals() as refused:
        receipt = Receipt(trace_id, refused)
        yield receipt
        is_flushed = conf.RECORDER == "inline" or TraceEmitter(trace_id).flush(SYNC_SECONDS)
        receipt.is_stored = is_flushed and recorder.shed == shed + receipt.shed
