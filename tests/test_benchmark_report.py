"""What the README claims of speed is what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path

from bench.report import as_markdown, with_headlines

ROOT = Path(__file__).parents[1]
RUN = json.loads((ROOT / "bench" / "results.json").read_text())


def test_the_readme_shows_the_ratios_of_the_committed_run() -> None:
    readme = (ROOT / "README.md").read_text()
    assert with_headlines(readme, RUN) == readme


def test_the_page_shows_the_committed_run() -> None:
    assert as_markdown(RUN) == (ROOT / "bench" / "RESULTS.md").read_text()
