"""The results as a page: ratios first, then what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

HEAD = """# Benchmark results

Written by `make bench` ({date}; Python {python}; {machine}; {packages}).

Each row ran three times, its peers in turn; the numbers are medians, with the lowest and the highest. Server and load
client share the machine, so a ratio within a row says more than any number alone. CPU time is the server process's,
user and system, as the operating system counts it. Ours validates, redacts, numbers and stores every event in SQLite,
unless the row says otherwise; the peers store nothing. A row with a day of its own was measured alone then, on a
machine with that load; frameworks are those of `tests/frameworks/requirements.txt`.

## Ratios

| work | ours against | ratio | goal | |
|---|---|---|---|---|
"""

HEADLINES_BEGIN: Final = "<!-- benchmark -->"
HEADLINES_END: Final = "<!-- end of benchmark -->"


def as_markdown(run: dict[str, Any]) -> str:
    """The page of a whole run."""
    packages = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
    lines = [HEAD.format(**{**run, "packages": packages})]
    for row in run["rows"]:
        for measure in row["measures"]:
            lines += map(_line, _ratios(row, measure))
    lines.append("\n## Values\n\n| work | who | median | lowest to highest | unit |\n|---|---|---|---|---|\n")
    for row in run["rows"]:
        for measure in row["measures"]:
            for peer in row["peers"]:
                middle, low, high = map(number, peer["values"][measure["value"]])
                lines.append(_line([_named(row), peer["name"], middle, f"{low} to {high}", measure["unit"]]))
    return "".join(lines)


def with_headlines(readme: str, run: dict[str, Any]) -> str:
    """The README's text with the headline ratios of a run, between their markers."""
    before, rest = readme.split(HEADLINES_BEGIN)
    _, after = rest.split(HEADLINES_END)
    lines = [
        _line(ratio[:3])
        for row in run["rows"]
        for measure in row["measures"]
        if measure["is_headline"]
        for ratio in _ratios(row, measure)
    ]
    table = "| work | ours against | ratio |\n|---|---|---|\n" + "".join(lines)
    return f"{before}{HEADLINES_BEGIN}\n\n{table}\n{HEADLINES_END}{after}"


def _ratios(row: dict[str, Any], measure: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    ours, *theirs = row["peers"]
    for peer in theirs:
        if (goal := measure["goals"].get(peer["name"])) is not None:
            ratio = ours["values"][measure["value"]][0] / peer["values"][measure["value"]][0]
            reached = ratio <= goal if measure["less_is_better"] else ratio >= goal
            sign = "≤" if measure["less_is_better"] else "≥"
            work = f"{_named(row)}: {measure['unit']}"
            yield work, peer["name"], f"{ratio:.2f}", f"{sign} {goal:g}", "✓" if reached else "✗"


def _named(row: dict[str, Any]) -> str:
    alone = row.get("alone")
    return row["name"] if alone is None else f"{row['name']} ({alone['date']}, load {alone['load']})"


def with_rows(rows: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of before, and in their places, or at the end, others."""
    by_name = {row["name"]: row for row in (*rows, *new)}
    return list(by_name.values())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def number(value: float) -> str:
    """As a person reads it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
