"""What the README claims of speed is what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path

from bench.report import as_markdown, with_headlines, with_rows

ROOT = Path(__file__).parents[1]
RUN = json.loads((ROOT / "bench" / "results.json").read_text())


def test_the_readme_shows_the_ratios_of_the_committed_run() -> None:
    readme = (ROOT / "README.md").read_text()
    assert with_headlines(readme, RUN) == readme


def test_the_page_shows_the_committed_run() -> None:
    assert as_markdown(RUN) == (ROOT / "bench" / "RESULTS.md").read_text()


def test_a_row_that_was_measured_alone_says_so_in_its_place() -> None:
    """What is new is behind the others."""
    first, *others = RUN["rows"]
    alone = {"alone": {"date": "2030-01-02", "load": 7}}
    rows = with_rows(RUN["rows"], [first | alone, first | alone | {"name": "new"}])
    assert [row["name"] for row in rows] == [first["name"], *(row["name"] for row in others), "new"]
    page = as_markdown(RUN | {"rows": rows})
    assert f"| {first['name']} (2030-01-02, load 7) |" in page
    assert f"| {first['name']} |" not in page
    assert "| new (2030-01-02, load 7) |" in page
