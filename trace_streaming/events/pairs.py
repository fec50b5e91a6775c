"""Which events belong to one span: the one rule for pairs.

- Calls of tools and models, agents and steps begin and end under one ``call_id``, whatever their events are called:
  some sources know only at its end what a span was. Approvals do the same with ``approval_id``.
- An end takes the oldest open start of its id. One whose start has not come waits for it.
- A start that says ``moved`` begins nothing: it says what the span of its id is inside of now.
- Without an id, the oldest open start of the same kind and name ends; without one, the end stands alone.

:mod:`.spans` makes a tree of them. The twin of both in JavaScript is ``static/trace_streaming/client/spans.js``; they
run one table of cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .names import APPROVAL_EVENTS

FAMILIES: Final = {"tool_call": "tool", "llm_call": "llm", "agent": "agent", "step": "step"}
"""What the names of events begin with, and the kind of span that they tell of."""
SPAN_KINDS: Final = frozenset(FAMILIES.values())
OUTCOMES: Final = frozenset({"interrupted", "cancelled", "abandoned", "triggered"})
"""``details.outcome`` of what neither succeeded nor failed."""
_SINGLE: Final = {
    "plan_created": "plan",
    "route_decision": "route",
    "budget_warning": "budget",
    "budget_exceeded": "budget",
}
_NAME: Final = ("tool", "tool_name", "name")
NAMES: Final = {
    "tool": (_NAME, ("gen_ai.tool.name",)),
    "llm": (_NAME, ("gen_ai.request.model", "gen_ai.response.model")),
    "agent": (_NAME, ("gen_ai.agent.name",)),
    "step": (_NAME,),
    "approval": (("action", "tool", "tool_name"),),
    "route": (("agent_selected",),),
    "budget": (("budget",),),
}
"""Where a span of each kind has its name; the second only where no event has the first."""
_LARGEST_FLOAT: Final = 2.0**53


class Part(NamedTuple):
    """What an event is of its span."""

    kind: str
    """``tool``, ``llm``, ``agent``, ``step``, ``approval``; ``plan``, ``route``, ``budget`` or ``event``: no span."""
    begins: bool = False
    ends: bool = False


@lru_cache(maxsize=256)
def part_of(name: str) -> Part:
    """By the event's name."""
    if name in APPROVAL_EVENTS:
        return Part("approval", name == "approval_requested", name != "approval_requested")
    family, _, what = name.rpartition("_")
    if family in FAMILIES and what in {"start", "complete", "error"}:
        return Part(FAMILIES[family], what == "start", what != "start")
    return Part(_SINGLE.get(name, "event"))


def part_in(name: str, details: Mapping[str, Any]) -> Part:
    """By its name and what it says: of one that says ``moved`` neither the start nor the end."""
    part = part_of(name)
    return Part(part.kind) if part.begins and is_move(details) else part


def is_move(details: Mapping[str, Any]) -> bool:
    """Whether a start says that its span is inside of another than was told."""
    return details.get("moved") is True


def pair_key(part: Part, details: Mapping[str, Any]) -> str:
    """What a start and its end have in common."""
    if part.kind == "approval":
        given = id_text(details.get("approval_id"))
        return f"approval tool:{first_text(details, 'tool', 'tool_name')}" if given is None else f"approval id:{given}"
    if (given := id_text(details.get("call_id"))) is not None:
        return f"id:{given}"
    names = ("tool", "tool_name") if part.kind == "tool" else ("name",)
    return f"{part.kind}:{first_text(details, *names)}"


def waits(key: str) -> bool:
    """Whether an end with this key waits for a start that has not come: it has an id."""
    return key.startswith(("id:", "approval id:"))


def id_text(value: object) -> str | None:
    """An id as text: of a text or of a whole number; None for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_FLOAT else None
    return str(value)


def outcome_of(status: str, details: Mapping[str, Any]) -> str:
    """What became of something that ended: ``ok``, ``error``, one of ``OUTCOMES``, or another status."""
    told = details.get("outcome")
    if isinstance(told, str) and told in OUTCOMES:
        return told
    return "ok" if status == "success" else status


def span_name(event: str, details: Mapping[str, Any]) -> str:
    """What one event says of the name of its span; empty where it says nothing, or is of none."""
    kind = part_of(event).kind
    groups = NAMES[kind] if kind in SPAN_KINDS else ()
    return next(filter(None, (first_text(details, *keys) for keys in groups)), "")


def first_text(details: Mapping[str, Any], *keys: str) -> str:
    """The first of these that is a text, and not empty."""
    for key in keys:  # a generator takes three times as long, for each call that ends
        if isinstance(value := details.get(key), str) and value:
            return value
    return ""
