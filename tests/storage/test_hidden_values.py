"""A process that goes on with a trace hides what others have hidden in it, and is told no value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rest_framework.test import APIClient

from trace_streaming import TraceEmitter
from trace_streaming.models import Event, HiddenValue
from trace_streaming.redaction.known import digests, memory

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "kJ8fxQ2z9Lm4"


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    memory.forget_traces()
    yield
    memory.forget_traces()


def another_process() -> None:
    """What is in memory is not there."""
    TraceEmitter("t").flush()
    memory.forget_traces()


def stored(trace_id: str) -> list[str]:
    TraceEmitter(trace_id).flush()
    return [event.details for event in Event.objects.filter(trace__trace_id=trace_id).order_by("sequence")]


def test_what_another_process_has_hidden_is_hidden_in_the_first_event_already() -> None:
    """It knows no more than digests; from then on it hides the value however it is written. Invariant 12."""
    TraceEmitter("t").emit("tool_call_start", {"tool": "a", "password": SECRET})
    TraceEmitter("t").flush()
    assert [SECRET in row.digest for row in HiddenValue.objects.all()] == [False]
    another_process()
    emitter = TraceEmitter("t")
    emitter.emit("tool_call_complete", {"tool": "a", "result": f"used {SECRET} here"})
    emitter.emit("tool_call_complete", {"tool": "a", "result": f"{SECRET[:4]}\n{SECRET[4:]}"})
    assert all(SECRET not in details.replace("\\n", "") for details in stored("t"))
    assert "used [redacted:known value] here" in stored("t")[1]


@pytest.mark.parametrize(
    "text",
    [SECRET, f"key={SECRET}.", f"https://h/{SECRET}/x?a={SECRET}", "a0o4ZnhRMno5TG00", "see a0o4ZnhRMno5TG00, there"],
)
def test_it_is_found_as_a_word_and_in_base64(text: str) -> None:
    """Where it stands between signs that no value has. Invariant 12."""
    TraceEmitter("t").emit("plan_created", {"token": SECRET})
    another_process()
    TraceEmitter("t").emit("plan_created", {"text": text})
    assert "[redacted:known value]" in stored("t")[1]


def test_metadata_tell_of_theirs_too() -> None:
    """What was hidden before the first event is told with it. Invariant 12."""
    emitter = TraceEmitter("t", metadata={"api_key": SECRET})
    emitter.emit("plan_created", {})
    another_process()
    TraceEmitter("t").emit("plan_created", {"text": SECRET})
    assert SECRET not in stored("t")[1]


def test_events_that_are_sent_are_looked_through_before_anybody_sees_them(admin_client: APIClient) -> None:
    """The API asks the database first: not even a receiver in this process sees the value. Invariant 12."""
    TraceEmitter("t").emit("plan_created", {"token": SECRET})
    another_process()
    answer = admin_client.post(
        "/api/traces/t/events", {"event": "plan_created", "details": {"text": SECRET}}, content_type="application/json"
    )
    assert answer.status_code == 200
    assert SECRET not in stored("t")[1]


def test_another_key_opens_nothing() -> None:
    """Digests are keyed with SECRET_KEY: who reads the table cannot try passwords."""
    key, other = digests.key_of("one"), digests.key_of("another")
    assert digests.digest(SECRET, key) != digests.digest(SECRET, other)
    assert list(digests.found(f"a {SECRET} b", [digests.digest(SECRET, key)], [other])) == []
    assert list(digests.found(f"a {SECRET} b", [digests.digest(SECRET, key)], [other, key])) == [SECRET]


def test_digests_go_with_their_trace() -> None:
    """Nothing is left of a trace that was pruned."""
    TraceEmitter("t").emit("plan_created", {"token": SECRET})
    TraceEmitter("t").flush()
    assert HiddenValue.objects.count() == 1
    trace = HiddenValue.objects.get().trace
    trace.events.all().delete()
    trace.delete()
    assert not HiddenValue.objects.exists()
