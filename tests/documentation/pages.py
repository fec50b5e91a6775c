"""The Markdown that users read, as its headings, links and blocks of code.

A comment right before a block, which no reader sees, says what becomes of the block in tests:

``<!-- with: … -->``
    Python that is run before it, for names that the page leaves to the reader.
``<!-- then: … -->``, right behind it
    Python that is run behind it, and looks whether it did what the page says.
``<!-- run by tests/live/test_howto.py -->``
    Another test runs it; ``all run by``, below a page's title, is said of each of its blocks.
``<!-- not run: … -->``
    It cannot be run, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        ROOT / "packages" / "client" / "README.md",
        *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "project"),
    ]
)
"""All but those that only include another."""

_NOTE = re.compile(r"<!-- (with|then|run by|all run by|not run):?\s(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code."""

    page: Path
    line: int
    language: str
    code: str
    before: str = ""
    """Python that is run before it."""
    then: str = ""
    """Python that is run behind it."""
    run_by: str = ""
    reason: str = ""
    """Why it cannot be run."""

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """As it is found in the repository."""
    return str(page.relative_to(ROOT))


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text())


def blocks(page: Path) -> Iterator[Block]:
    """In their order; one without a language has the language ``""``."""
    of_page = tokens(page)
    of_all = _notes(of_page, 3, 1).get("all run by", "")
    for index, token in enumerate(of_page):
        if token.type != "fence" or token.info.startswith("{"):
            continue
        notes = _notes(of_page, index - 1, -1)
        assert token.map is not None
        yield Block(
            page,
            token.map[0] + 1,
            token.info.strip(),
            token.content,
            before=notes.get("with", ""),
            then=_notes(of_page, index + 1, 1).get("then", ""),
            run_by=notes.get("run by", of_all),
            reason=notes.get("not run", ""),
        )


def _notes(of_page: list[Token], index: int, step: int) -> dict[str, str]:
    """Of the comments that touch a block."""
    notes: dict[str, str] = {}
    while 0 <= index < len(of_page) and of_page[index].type == "html_block":
        notes.update(_NOTE.findall(of_page[index].content))
        index += step
    return notes


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, by GitHub's rule."""
    found: dict[str, int] = {}
    of_page = tokens(page)
    for index, token in enumerate(of_page):
        if token.type == "heading_open":
            parts = of_page[index + 1].children or []
            text = "".join(part.content for part in parts if part.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[anchor] = found.get(anchor, -1) + 1
    return {f"{anchor}-{number}" if number else anchor for anchor, last in found.items() for number in range(last + 1)}


def links(page: Path) -> Iterator[str]:
    """Where links and images lead to, inside the repository."""
    for token in tokens(page):
        for part in token.children or []:
            target = part.attrGet("href") or part.attrGet("src")
            if isinstance(target, str) and not re.match(r"[a-z]+:", target):
                yield target
