"""What LangGraph's interrupts say, read without LangGraph."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from trace_streaming.integrations.interrupts import (
    interrupts_of,
    is_handed_over,
    is_interrupt,
    is_resuming,
    questions,
    resumes,
)


class GraphBubbleUp(Exception): ...


class GraphInterrupt(GraphBubbleUp): ...


class ParentCommand(GraphBubbleUp): ...


class Command(SimpleNamespace): ...


ID = "0123456789abcdef" * 2


def test_an_interrupt_is_told_from_a_handoff_and_from_an_error() -> None:
    """All of the first two come as errors."""
    errors = [GraphInterrupt(()), ParentCommand("b"), ValueError("no")]
    assert [(is_interrupt(error), is_handed_over(error)) for error in errors] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_interrupts_are_found_in_their_exception() -> None:
    """Whatever else it may hold."""
    interrupt = SimpleNamespace(value="sure?", id=ID)
    assert interrupts_of(GraphInterrupt((interrupt, "odd"))) == [interrupt]
    assert interrupts_of(GraphInterrupt()) == interrupts_of(GraphInterrupt("odd")) == []


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("sure?", [("mail", "sure?")]),
        ({"action": "send", "to": "bob"}, [("send", {"to": "bob"})]),
        ({"text": "sure?"}, [("mail", {"text": "sure?"})]),
        ({"type": "tool_approval", "name": "send", "args": {"to": "bob"}}, [("send", {"to": "bob"})]),
        (
            {"action_requests": [{"name": "a", "args": {"x": 1}}, {"action": "b"}]},
            [("a", {"x": 1}), ("b", None)],
        ),
    ],
)
def test_what_an_interrupt_asks_for(value: object, asked: list[tuple[str, object]]) -> None:
    """An action of its own, several of the middleware, or what the tool is called."""
    assert list(questions(value, "mail")) == asked


def test_a_command_answers_what_it_names_or_the_only_question() -> None:
    """By ids, or by a value, which may be a mapping, too."""
    assert is_resuming(Command(resume="yes"))
    assert not is_resuming(Command(resume=None))
    assert not is_resuming({"messages": []})
    assert resumes(Command(resume={"decisions": []}), ID)
    assert resumes(Command(resume={ID: "yes"}), ID)
    assert not resumes(Command(resume={ID: "yes"}), ID[::-1])
