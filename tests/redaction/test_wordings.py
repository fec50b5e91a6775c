"""Each line of the tables of commands and of phrases is tested by itself: whoever adds one has written its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trace_streaming.redaction import redact_text
from trace_streaming.redaction.wordings.commands import COMMANDS_TABLE, Command
from trace_streaming.redaction.wordings.phrases import PHRASES, Phrase

SECRET = "s3cr3tPw99x"
CODE = "493817"


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.example[:50])
def test_the_example_of_a_phrase_goes(phrase: Phrase) -> None:
    """And nothing behind it does."""
    secret = next(each for each in (SECRET * 2, SECRET, CODE) if each in phrase.example)
    text = redact_text(phrase.example)
    assert secret not in text
    assert text.endswith(f"]{phrase.example.split(secret)[1]}")


def lines(command: Command) -> Iterator[str]:
    """A command line for each way in which a line of the table says that a secret goes."""
    begin = f"{command.names.split()[0]} {command.needs}".strip()
    yield from (f"{begin} {option} {SECRET} rest" for option in command.value.split())
    yield from (f"{begin} {option}{SECRET} rest" for option in command.attached.split())
    for options, sign in ((command.user, ":"), (command.percent, "%"), (command.cookie, "=")):
        yield from (f"{begin} {option} ada{sign}{SECRET} rest" for option in options.split())
    if command.positional is not None:
        others = ["one", "two", "three", "four"][: command.positional_least - 1]
        yield " ".join([begin, *others, SECRET] if command.positional else [begin, SECRET, *others])


@pytest.mark.parametrize("command", COMMANDS_TABLE, ids=lambda command: f"{command.names} {command.needs}"[:50])
def test_what_a_line_says_of_a_command_goes(command: Command) -> None:
    """And its other arguments do not."""
    found = [(line, redact_text(line)) for line in lines(command)]
    assert found
    assert [
        line for line, text in found if SECRET in text or text[-5:] != line[-5:].replace(SECRET[-5:], "word]")
    ] == []
