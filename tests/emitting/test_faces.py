"""What a trace is called."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.models import Trace, TraceTag

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _inline(settings: Settings) -> None:
    settings.TRACE_STREAMING_RECORDER = "inline"


def told() -> dict[str, Any]:
    trace = Trace.objects.get()
    return {"name": trace.name, "conversation": trace.conversation, "tags": trace.tags}


def test_a_trace_has_a_name_a_conversation_and_tags(settings: Settings) -> None:
    """Said when its emitter is made, and told by its agents and models."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    emitter = TraceEmitter("t", name="Tides", conversation="c-1", tags=["prod", "eu", "prod"])
    with emitter.agent("solo"), emitter.llm_call("m"):
        pass
    assert told() == {"name": "Tides", "conversation": "c-1", "tags": ["prod", "eu"]}
    assert sorted(TraceTag.objects.values_list("tag", flat=True)) == ["eu", "prod"]
    agent, call = emitter.events[0]["details"], emitter.events[1]["details"]
    assert (agent["gen_ai.conversation.id"], call["gen_ai.conversation.id"]) == ("c-1", "c-1")
    assert call["gen_ai.agent.name"] == "solo"


def test_it_may_be_called_otherwise_until_its_end(django_user_model: type[User]) -> None:
    """By any of its emitters; what is not said anew stays, and so does its owner."""
    ada = django_user_model.objects.create_user("ada")
    first = TraceEmitter("t", owner=ada, name="First", tags=["a"], metadata={"k": 1})
    first.emit("plan_created")
    first.name = "Second"
    TraceEmitter("t", conversation="c-2")
    first.tags = ["b", "c"]
    first.end()
    assert told() == {"name": "Second", "conversation": "c-2", "tags": ["b", "c"]}
    assert (first.name, first.tags) == ("Second", ("b", "c"))
    assert (Trace.objects.get().owner, Trace.objects.get().metadata) == (ada, {"k": 1})
    first.tags = []
    assert not TraceTag.objects.exists()


def test_what_it_is_called_is_redacted_and_cut() -> None:
    """Invariant 4; and a conversation's random id is nobody's card."""
    TraceEmitter(
        name="for ada@example.com " + "x" * 300,
        conversation="4111111111111111",
        tags=["password=hunter2-xyz", "y" * 300],
    )
    found = told()
    assert found["name"].startswith("for [redacted:email] xxx")
    assert found["conversation"] == "4111111111111111"
    assert "hunter2" not in str(found)
    assert (len(found["name"]), [len(tag) for tag in found["tags"]][1]) == (200, 100)


def test_a_conversation_that_is_named_after_a_telephone_is_hidden() -> None:
    """As bots of messengers do. Invariant 4."""
    TraceEmitter(conversation="+14155552671")
    assert told()["conversation"] == "[redacted:phone]"


@pytest.mark.parametrize(
    "bad", [{"name": 1}, {"conversation": b"x"}, {"tags": "abc"}, {"tags": [""]}, {"tags": [1]}, {"tags": ["x"] * 51}]
)
def test_what_is_no_name_is_the_callers_mistake(bad: dict[str, Any]) -> None:
    """At the line that has it."""
    with pytest.raises(ValueError, match="trace's"):
        TraceEmitter(**bad)
    assert not Trace.objects.exists()
