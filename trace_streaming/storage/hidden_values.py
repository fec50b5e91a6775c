"""What was hidden in a trace is hidden by the process that goes on with it, which knows no more than keyed digests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
from django.conf import settings

from trace_streaming.models import HiddenValue
from trace_streaming.redaction.known import digests, memory

from .missing import insert_missing

if TYPE_CHECKING:
    from .appended import Appended
    from .store import Head


def digest_keys() -> list[bytes]:
    """Of this project: the first is the one to write with."""
    return [digests.key_of(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def say(alias: str, hidden: Mapping[int, Collection[str]]) -> None:
    """Keep digests, by the primary key of their trace; within a transaction."""
    rows = [HiddenValue(trace_id=pk, digest=digest) for pk, found in hidden.items() for digest in found]
    insert_missing(alias, rows, "digest")


def learn(alias: str, trace_ids: Collection[str]) -> None:
    """Look up what other processes have hidden in traces, once for each, in one query; may raise a database's error."""
    asked = [trace_id for trace_id in trace_ids if not memory.is_looked_up(trace_id)]
    if not asked:
        return
    found: defaultdict[str, list[str]] = defaultdict(list)
    rows = HiddenValue.objects.using(alias).filter(trace__trace_id__in=asked)
    for trace_id, digest in rows.values_list("trace__trace_id", "digest"):
        found[trace_id].append(digest)
    for trace_id in asked:
        memory.look_up(trace_id, found[trace_id], digest_keys() if trace_id in found else [])


def hide(alias: str, appended: Mapping[str, Appended], heads: Mapping[str, Head]) -> None:
    """Of traces that others have begun, what was emitted here before this process knew what they had hidden."""
    begun = [trace_id for trace_id, new in appended.items() if heads[trace_id].sequence == len(new.events)]
    for trace_id in begun:
        memory.look_up(trace_id, [], [])
    learn(alias, [trace_id for trace_id, new in appended.items() if new.events])
    for trace_id, new in appended.items():
        if memory.has_digests(trace_id):
            new.events = [
                event
                if (details := memory.without_digested(orjson.loads(event.details), trace_id)) is None
                else replace(event, details=orjson.dumps(details).decode())
                for event in new.events
            ]
