"""Texts are told apart to the letter, and are what they were, whatever a database makes of texts by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import IntegrityError, connection

from tests.storage.test_store import event, stored
from trace_streaming.events import TraceStart
from trace_streaming.models import Approval, Event, LeftOutSpan, ModelCall, Trace, TraceTag, stored_now
from trace_streaming.storage import left_out, store

pytestmark = pytest.mark.django_db
DEEP: Any = 1
for _ in range(60):
    DEEP = {"in": [DEEP]} if _ % 2 else [DEEP]
ALIKE = ["Trace-1", "trace-1", "TRACE-1"]


def test_ids_that_differ_in_case_are_two_traces() -> None:
    """Or one user would watch what another's agent does."""
    for trace_id in ALIKE:
        store.append([event(trace_id)])
    store.append([event(trace_id) for trace_id in ALIKE])
    heads = store.read_heads(ALIKE)
    assert {trace_id: head.sequence for trace_id, head in heads.items()} == dict.fromkeys(ALIKE, 2)
    assert [orjson.loads(stored(trace_id)[0].text)["trace_id"] for trace_id in ALIKE] == ALIKE


def test_names_that_differ_in_case_are_other_ones() -> None:
    """Tools, models, spans, tags, conversations."""
    store.append([event("t", tool="Bash"), event("t", tool="bash")])
    assert Event.objects.filter(tool_name="bash").count() == 1
    trace = Trace.objects.get()
    for number, name in enumerate(("GPT", "gpt", "gpt ")):
        ModelCall.objects.create(trace=trace, sequence=number, timestamp=stored_now(), model=name)
        TraceTag.objects.create(trace=trace, tag=name)
    assert ModelCall.objects.values("model").distinct().count() == 3
    assert TraceTag.objects.filter(tag="gpt").count() == 1
    left_out.leave_out("default", {("t", "aa"): "", ("t", "AA"): "", ("T", "aa"): ""})
    assert LeftOutSpan.objects.count() == 3


def test_an_event_id_is_there_once_whoever_inserts_it() -> None:
    """A repeat that two processes store at the same time is refused to the second; ids in another case are others."""
    store.append([event("t") for _ in range(3)])
    first, second, third = Event.objects.order_by("sequence")
    Event.objects.filter(pk=first.pk).update(event_id="a")
    Event.objects.filter(pk=third.pk).update(event_id="A")
    with pytest.raises(IntegrityError):
        Event.objects.filter(pk=second.pk).update(event_id="a")


def test_whatever_people_write_is_kept() -> None:
    """Letters beyond the first 65,536, deeply nested values, what is longer than 64 KiB."""
    text = "sök \U0001f50d \u200d\U0001f9d1"
    metadata = {"deep": DEEP, "long": "é" * 70_000, "text": text}
    told: dict[str, Any] = {
        "metadata": orjson.dumps(metadata).decode(),
        "name": text,
        "conversation": text,
        "tags": (text,),
    }
    start = TraceStart("t", datetime.now(UTC), **told)
    store.append([start, event("t", tool=text, result="é" * 70_000)])
    trace = Trace.objects.get()
    assert (trace.metadata, trace.name, trace.tags) == (metadata, text, [text])
    assert Event.objects.get().tool_name == text
    now = stored_now()
    Approval.objects.create(approval_id="a", trace_id="t", arguments=DEEP, requested_at=now, expires_at=now)
    assert Approval.objects.get().arguments == DEEP
    connection.check_constraints()
