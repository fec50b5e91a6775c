"""The reference has what the pages import, and the protocol's codes are those of the code."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import trace_streaming
from trace_streaming import exceptions
from trace_streaming.connections.commands import CONFLICT, NOT_FOUND
from trace_streaming.wire.protocol import CloseCode

from .pages import PAGES, ROOT, blocks

REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text()


def is_there(module: str, name: str) -> bool:
    """By itself, with its module's members, or as the module."""
    if module == exceptions.__name__ or hasattr(exceptions, name):
        return ".. automodule:: trace_streaming.exceptions\n   :members:\n" in REFERENCE
    if re.search(rf"^\.\. auto(?:class|function|data):: (?:{module}\.)?{name}$", REFERENCE, re.MULTILINE):
        return True
    members = re.findall(rf"automodule:: {module}\n   :members:(.*)$", REFERENCE, re.MULTILINE)
    return any(name in re.findall(r"\w+", of_module) for of_module in members)


def test_all_that_is_public_is_there() -> None:
    """Signals are described together, by their module."""
    signals = {"approval_decided", "event_emitted", "events_recorded", "trace_ended", "trace_started"}
    names = set(trace_streaming.__all__) - signals
    assert {name for name in names if not is_there("trace_streaming", name)} == set()
    assert ".. automodule:: trace_streaming.signals\n" in REFERENCE


def test_what_the_pages_import_is_there() -> None:
    """Whoever copies a block imports nothing that may go."""
    missing = set()
    for page in PAGES:
        for block in blocks(page):
            tree = ast.parse(block.code) if block.language == "python" else ast.Module([], [])
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trace_streaming"):
                    names = {(str(node.module), alias.name) for alias in node.names}
                    missing |= {each for each in names if not is_there(*each) and not is_route_or_signal(*each)}
    assert missing == set()


def is_route_or_signal(module: str, name: str) -> bool:
    """What is described elsewhere, or is a module that is described."""
    from django.dispatch import Signal

    found = getattr(import_module(module), name, None)
    return isinstance(found, Signal) or name == "websocket_urlpatterns" or f"{module}.{name}" in REFERENCE


def test_the_protocol_has_every_close_code() -> None:
    """And those with which commands are answered."""
    section = (ROOT / "docs" / "protocol.md").read_text().split("\n## Close codes\n")[1].split("\n## ")[0]
    answers = {NOT_FOUND, CONFLICT}
    told = set(re.findall(r"^\| (\d{4}) |\b(44\d\d) \(", section, re.MULTILINE))
    assert {int(one or other) for one, other in told} == {*map(int, CloseCode), *answers}
