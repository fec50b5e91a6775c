"""The results as a page: ratios first, then what was measured."""

from __future__ import annotations

from typing import Any

HEAD = """# Benchmark results

Written by `make bench` ({date}; Python {python}; {machine}; {packages}).

Each row ran three times, its peers in turn; the numbers are medians, with the lowest and the highest. Server and load
client share the machine, so a ratio within a row says more than any number alone. CPU time is the server process's,
user and system, as the operating system counts it. Ours validates, redacts, numbers and stores every event in SQLite,
unless the row says otherwise; the peers store nothing.

## Ratios

| work | ours against | ratio | goal | |
|---|---|---|---|---|
"""


def as_markdown(run: dict[str, Any]) -> str:
    """The page of a whole run."""
    packages = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
    lines = [HEAD.format(**{**run, "packages": packages})]
    for row in run["rows"]:
        ours = next(iter(row["peers"].values()))["value"]
        for name, goal in row["goals"].items():
            theirs = row["peers"][name]["value"]
            ratio = ours[0] / theirs[0]
            reached = ratio <= goal if row["less_is_better"] else ratio >= goal
            sign = "≤" if row["less_is_better"] else "≥"
            lines.append(f"| {row['name']} | {name} | {ratio:.2f} | {sign} {goal:g} | {'✓' if reached else '✗'} |\n")
    lines.append("\n## Values\n\n| work | who | median | lowest to highest | unit |\n|---|---|---|---|---|\n")
    for row in run["rows"]:
        for name, peer in row["peers"].items():
            middle, low, high = map(_number, peer["value"])
            lines.append(f"| {row['name']} | {name} | {middle} | {low} to {high} | {row['unit']} |\n")
    return "".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
