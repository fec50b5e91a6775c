"""How an event is made, wherever it goes: validated, frozen and redacted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import orjson

from trace_streaming.events import (
    TraceEvent,
    check_event_id,
    check_event_name,
    check_status,
    check_timestamp,
    event_names,
    lifted_duration_ms,
    lifted_tool_name,
)
from trace_streaming.events.fitting import encode_details
from trace_streaming.events.freezing import freeze_details
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.kinds import JSON
from trace_streaming.redaction import REDACTION_FAILED, Redactor, redact
from trace_streaming.redaction.known.learning import Hidden, noting
from trace_streaming.redaction.known.memory import take_untold, without_known

logger = logging.getLogger(__name__)


def make_event(
    trace_id: str,
    event: str,
    details: object,
    status: str,
    *,
    extra_events: tuple[str, ...] = (),
    redactor: Redactor = redact,
    timestamp: datetime | None = None,
    event_id: str | None = None,
    digest: Callable[[str], str] | None = None,
) -> tuple[TraceEvent, dict[str, JSON]]:
    """The only way to an event. Returns it, and its details as they were frozen.

    :param extra_events: names that are taken beside the canonical ones
    :param timestamp: aware, from 1970 to 9998; None is now
    :param event_id: the sender's own name for it; with one, a repeat is not stored again
    :param digest: of values that are hidden, for other processes; None where there are none
    :raises InvalidEventIdError: a ``ValueError``
    :raises NonCanonicalEventError: a ``ValueError``
    :raises NonCanonicalStatusError: a ``ValueError``
    :raises ValueError: for a timestamp that not every time zone can show
    """
    name = check_event_name(event, event_names(extra_events))
    checked_status = check_status(status)
    checked_id = None if event_id is None else check_event_id(event_id)
    frozen, text = safe_details(details, redactor, trace_id)
    return TraceEvent(
        name,
        trace_id,
        datetime.now(UTC) if timestamp is None else check_timestamp(timestamp.astimezone(UTC)),
        text,
        checked_status,
        lifted_tool_name(frozen),
        lifted_duration_ms(frozen),
        checked_id,
        tuple(map(digest, take_untold(trace_id))) if digest is not None else (),
    ), frozen


def earlier_part(
    event: TraceEvent,
    shown: Mapping[str, JSON],
    keys: Iterable[str],
    name: str,
    *,
    extra_events: tuple[str, ...] = (),
    timestamp: datetime,
    event_id: str,
) -> TraceEvent:
    """What came before an event, and says a part of what that says: what is safe there is safe here.

    :param shown: the event's details, as :func:`make_event` has returned them
    :raises NonCanonicalEventError: a ``ValueError``, for another name
    :raises ValueError: for a timestamp that not every time zone can show
    """
    details = {key: shown[key] for key in keys if key in shown}
    return TraceEvent(
        check_event_name(name, event_names(extra_events)),
        event.trace_id,
        check_timestamp(timestamp),
        orjson.dumps(details).decode(),
        "pending",
        lifted_tool_name(details),
        None,
        check_event_id(event_id),
    )


def safe_details(
    details: object, redactor: Redactor = redact, trace_id: str | None = None
) -> tuple[dict[str, JSON], str]:
    """Details frozen, redacted and short enough, and their JSON text.

    :param trace_id: what is hidden here is hidden in this trace from now on
    """
    hidden: list[Hidden] = []
    try:
        before, noting.hidden = noting.hidden, hidden  # noting_what_is_hidden takes 3 us, a twentieth of an event
        try:
            redacted = redactor(freeze_details(details))
        finally:
            noting.hidden = before
        if redactor is not redact:  # a project's own may return what JSON cannot carry, or forget to return
            redacted = freeze_details(dict(redacted))
        return encode_details(without_known(redacted, trace_id, hidden))
    except BaseException as error:  # what a redactor failed on must not be seen
        if is_for_the_process(error):
            raise
        extra = None if trace_id is None else {"trace_id": trace_id}
        logger.error("The redactor fails (%s); details are replaced", type(error).__name__, extra=extra)
        return encode_details({"redacted": REDACTION_FAILED})


def shown_text(shown: Mapping[str, JSON], key: str, given: str) -> str:
    """A text behind the redactor: one that it has lost, or made something else of, says so.

    :param shown: what :func:`safe_details` has made of details in which ``given`` stood under ``key``
    """
    text = shown.get(key, given and REDACTION_FAILED)
    return text if isinstance(text, str) else REDACTION_FAILED
