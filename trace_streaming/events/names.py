"""What an event may be called: the canonical names, statuses and end states, and the form of ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from trace_streaming.exceptions import (
    InvalidEventIdError,
    InvalidTraceIdError,
    NonCanonicalEventError,
    NonCanonicalStatusError,
)

from .interruptions import is_for_the_process

CANONICAL_EVENTS: Final = (
    "plan_created",
    "route_decision",
    "tool_call_start",
    "tool_call_complete",
    "tool_call_error",
    "budget_warning",
    "budget_exceeded",
    "approval_requested",
    "approval_received",
    "approval_timeout",
)
AGENT_EVENTS: Final = (
    "agent_start",
    "agent_complete",
    "agent_error",
    "llm_call_start",
    "llm_call_complete",
    "llm_call_error",
    "step_start",
    "step_complete",
    "step_error",
    "stop_requested",
    "stop_received",
)
"""What agents, models and steps do, and what stops them.

A project takes them with ``TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS``.
"""
APPROVAL_EVENTS: Final = frozenset({"approval_requested", "approval_received", "approval_timeout"})
STATUSES: Final = ("pending", "running", "success", "warning", "error")
END_STATES: Final = ("success", "error", "incomplete")

EVENT_NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
TRACE_ID_PATTERN: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:@-]{1,128}")
"""Neither ``.`` nor ``..``: whoever makes a URL of them is led elsewhere (RFC 3986, 5.2.4)."""
EVENT_ID_PATTERN: Final = re.compile(r"[!-~]{1,64}")
CALL_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._~:@/+=|$-]{1,128}")
"""The form of ``CALL_ID_KEYS``: what is another text may be a number of a person."""
RANDOM_ID_PATTERN: Final = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What most ids are: random bits, of which no rule of a redactor makes anything but that of numbers."""
CALL_ID_KEYS: Final = frozenset({"call_id", "parent_call_id", "approval_id", "history_call_id"})
"""Of an event's details: what pairs it with others."""


@lru_cache(maxsize=8)
def event_names(extra: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The names that may be emitted, each mapped to itself as a plain ``str`` (a ``StrEnum`` member finds its own)."""
    return {name: name for name in (*CANONICAL_EVENTS, *extra)}


_STATUS_NAMES: Final = {name: name for name in STATUSES}


def _shown(value: object, text: Callable[[object], str] = str) -> str:
    """A caller's mistake as text for an error message; its own ``__str__`` may be one, too."""
    try:
        return text(value)
    except BaseException as error:
        if is_for_the_process(error):
            raise
        return f"[unprintable {type(value).__name__}]"


def check_event_name(event: object, names: Mapping[str, str]) -> str:
    """Return the plain name, or raise :exc:`NonCanonicalEventError`."""
    if isinstance(event, str) and (name := names.get(str.__str__(event))) is not None:
        return name
    raise NonCanonicalEventError(
        f"Non-canonical event: {_shown(event)}. Must be one of {', '.join(names)}. A project names others in "
        "TRACE_STREAMING_EXTRA_EVENTS: trace_streaming.AGENT_EVENTS has those of agents, models and steps"
    )


def check_status(status: object) -> str:
    """Return the plain status, or raise :exc:`NonCanonicalStatusError`."""
    if isinstance(status, str) and (name := _STATUS_NAMES.get(str.__str__(status))) is not None:
        return name
    raise NonCanonicalStatusError(f"Non-canonical status: {_shown(status)}. Must be one of {', '.join(STATUSES)}")


def check_trace_id(trace_id: object) -> str:
    """Return the id as a plain ``str``, or raise :exc:`InvalidTraceIdError`."""
    if isinstance(trace_id, str) and TRACE_ID_PATTERN.fullmatch(trace_id):
        return str.__str__(trace_id)
    raise InvalidTraceIdError(
        f"Invalid trace id: {_shown(trace_id, repr):.150}. Use 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : @ -, and "
        "neither . nor .. alone"
    )


def check_event_id(event_id: object) -> str:
    """Return the id as a plain ``str``, or raise :exc:`InvalidEventIdError`."""
    if isinstance(event_id, str) and EVENT_ID_PATTERN.fullmatch(event_id):
        return str.__str__(event_id)
    raise InvalidEventIdError(
        f"Invalid event id: {_shown(event_id, repr):.80}. Use 1 to 64 printable ASCII characters without a space"
    )


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names that are not among the known ones, sorted."""
    return sorted(set(names) - set(known))
