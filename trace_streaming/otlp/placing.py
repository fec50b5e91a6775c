"""Inside of what a span is here: the nearest that is kept, through those that are left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from trace_streaming.conventions.telling import Told, moved
from trace_streaming.storage import left_out
from trace_streaming.storage.left_out import Place


class Places:
    """What is known of spans that are left out.

    :param left: what each is inside of
    """

    def __init__(self, left: Mapping[Place, str]) -> None:
        self._left = dict(left)

    def learn(self, alias: str, asked: Iterable[Place]) -> None:
        """Look up which of these were left out, and what they are inside of."""
        tops = {(trace, self.above(trace, span)) for trace, span in asked if span}
        self._left |= left_out.parents(alias, {place for place in tops if place[1]})

    def above(self, trace_id: str, span_id: str) -> str:
        """The span, if it is not left out; else the nearest around it that is not. Empty: there is none."""
        seen: set[str] = set()
        while (parent := self._left.get((trace_id, span_id))) is not None:
            if span_id in seen:
                return ""
            seen.add(span_id)
            span_id = parent
        return span_id


def moves(alias: str, places: Places, trace_id: str, spans: Collection[str]) -> list[Told]:
    """What is to be told of what is stored, and was told to be inside of these, which are left out."""
    inside = left_out.children(alias, trace_id, left_out.below(alias, trace_id, spans))
    places.learn(alias, {(trace_id, child.parent_id) for child in inside})
    return [
        moved(child.event, child.span_id, child.name, above, child.timestamp)
        for child in inside
        if (above := places.above(trace_id, child.parent_id)) and above != child.told_parent
    ]
