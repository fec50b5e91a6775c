"""Whatever the pages link to is there, headings included."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import PAGES, ROOT, anchors, links, name_of

README = ROOT / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file, and in it to a heading."""
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_the_readme_lists_every_page() -> None:
    """What is not in its list, nobody finds."""
    listed = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    ours = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "reference"}
    assert ours - listed == {ROOT / "docs" / "index.md"}
