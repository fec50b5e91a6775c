"""The page about redaction shows what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trace_streaming.redaction import redact, redact_text
from trace_streaming.redaction.formats.shapes import ALNUM, Shape
from trace_streaming.redaction.wordings.commands import Command
from trace_streaming.redaction.wordings.phrases import Looks, Phrase

PAGE = (Path(__file__).parent.parent.parent / "docs" / "redaction.md").read_text(encoding="utf-8")


def lines(title: str) -> list[str]:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```text\n(.*?)\n```", section, re.DOTALL)
    return str(block).splitlines()


def shown(line: str) -> Any:
    return redact(json.loads(line)) if line.startswith("{") else redact_text(line)


@pytest.mark.parametrize("line", lines("What goes"))
def test_what_goes(line: str) -> None:
    """As it is shown behind the arrow; an object is one event's details."""
    before, after = line.split(" → ")
    assert shown(before) == (json.loads(after) if after.startswith("{") else after)


@pytest.mark.parametrize("line", lines("What stays"))
def test_what_stays(line: str) -> None:
    """Byte for byte."""
    assert shown(line) == (json.loads(line) if line.startswith("{") else line)


def test_the_lines_of_new_rules_are_such_lines() -> None:
    """Whoever copies one has a rule, whose example is found by its pattern."""
    section = PAGE.split("\n## Add a rule\n")[1].split("\n### ")[0]
    found = re.findall(r"`((?:Command|Phrase)\(.+?\)),` \|", section)
    names = {"Command": Command, "Phrase": Phrase, "Looks": Looks}
    command, phrase = (eval(line, names) for line in found)  # our own page
    assert command.names == "acmectl"
    (secret,) = re.findall(phrase.pattern, phrase.example)
    assert (secret, phrase.example.startswith(phrase.begins[0])) == ("s3cr3tPw99x", True)
    (shape,) = re.findall(r"`(Shape\(.+?\))", section)
    assert len(eval(shape, {"Shape": Shape, "ALNUM": ALNUM}).example) == 42
    cases = re.findall(r"\| `([\[{].+?),` \| itself \|", section)
    assert [type(json.loads(case)) for case in cases] == [list, dict]
