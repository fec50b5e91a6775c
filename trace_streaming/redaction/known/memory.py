"""What was hidden once in a trace is hidden everywhere in it from then on; what the project knows, in all traces.

Kept in the memory of this process alone, bounded; other processes are told keyed digests.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from threading import RLock
from typing import Final

import orjson

from trace_streaming.events.kinds import JSON

from . import digests
from .encodings import SHORTEST
from .learning import Hidden, learnt
from .values import KnownValues, masked

MOST_TRACES: Final = 4_096
"""Whose values are kept; those of the trace in which something was hidden longest ago go first."""

project: Final = KnownValues(most=4_096)
"""What is hidden in all traces."""
_traces: Final[OrderedDict[str, KnownValues]] = OrderedDict()
_lock = RLock()


def _renew_locks() -> None:
    """In a forked child: a thread that is not here may have held one."""
    global _lock  # noqa: PLW0603  of this process
    _lock = RLock()
    for known in (project, *_traces.values()):
        known.renew_lock()


os.register_at_fork(after_in_child=_renew_locks)


def of_trace(trace_id: str) -> KnownValues | None:
    """What was hidden in a trace; None while there is nothing."""
    return _traces.get(trace_id)


def remember(trace_id: str, values: Iterable[str]) -> list[str]:
    """Hide values in a trace from now on; returns those that are new."""
    with _lock:
        known = _traces.get(trace_id)
        if known is None:
            known = _traces.setdefault(
                trace_id, KnownValues()
            )  # what emits meanwhile in this thread may have been first
        _traces.move_to_end(trace_id)
        while len(_traces) > MOST_TRACES:
            _untold.pop(_traces.popitem(last=False)[0], None)
    return known.add(values)


def register_secret(value: str) -> None:
    """Hide a value in all traces of this process from now on, wherever it stands and however it is encoded.

    :raises ValueError: for one of less than 6 characters, which would be found in too much else
    """
    if len(value) < SHORTEST:
        raise ValueError(f"A secret that is hidden everywhere has at least {SHORTEST} characters")
    project.add([value])


def without_known(details: dict[str, JSON], trace_id: str | None, hidden: list[Hidden]) -> dict[str, JSON]:
    """Details without what was hidden in their trace before, or now, and what the project knows to be secret.

    :param hidden: what was hidden now; it is remembered
    """
    values = list(learnt(hidden)) if hidden and trace_id is not None else []
    if trace_id is not None and values and (new := remember(trace_id, values)):
        _untold.setdefault(trace_id, []).extend(new)
    if trace_id is not None and trace_id in _looked_up:
        details = without_digested(details, trace_id) or details
    text = orjson.dumps(details).decode()
    here = None if trace_id is None else of_trace(trace_id)
    if project.is_in(text) or (here is not None and here.is_in(text)):
        return masked(details, (project,) if here is None else (project, here))
    return details


_looked_up: Final[OrderedDict[str, tuple[list[str], list[bytes]]]] = OrderedDict()
"""Traces of which is known what other processes have hidden in them: digests, and the keys to try."""
_untold: Final[dict[str, list[str]]] = {}
"""Values that are hidden, and that no event has told other processes of yet, by trace."""


def take_untold(trace_id: str) -> list[str]:
    """The values of a trace that other processes are to be told of, once each."""
    return _untold.pop(trace_id, []) if _untold else []


def is_looked_up(trace_id: str) -> bool:
    """Whether is known what other processes have hidden in a trace."""
    return trace_id in _looked_up


def has_digests(trace_id: str) -> bool:
    """Whether other processes have hidden something in a trace."""
    return bool(_looked_up.get(trace_id, ([], []))[0])


def look_up(trace_id: str, digested: list[str], keys: list[bytes]) -> None:
    """Know what other processes have hidden in a trace, as digests with one of the keys."""
    with _lock:
        _looked_up[trace_id] = digested, keys
        while len(_looked_up) > MOST_TRACES:
            _looked_up.popitem(last=False)


def without_digested(details: dict[str, JSON], trace_id: str) -> dict[str, JSON] | None:
    """Details without values that other processes have hidden; None where they hold none."""
    digested, keys = _looked_up.get(trace_id, ([], []))
    values = [value for text in _texts(details) for value in digests.found(text, digested, keys)] if digested else []
    if values:
        remember(trace_id, values)
    known = of_trace(trace_id)
    if known is None or not known.is_in(orjson.dumps(details).decode()):
        return None
    return masked(details, (known,))


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from _texts(inside)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def forget_traces() -> None:
    """Forget what was hidden in every trace."""
    with _lock:
        _traces.clear()
        _looked_up.clear()
        _untold.clear()
