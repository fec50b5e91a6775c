"""``python -m bench.redaction_peers``: what others miss and spoil on the corpora, into a table of docs/redaction.md.

A secret is missed when it can still be read somewhere; an innocent is spoiled when it is changed. Of detect-secrets,
which changes nothing, a secret is missed when no hit covers it, and an innocent is spoiled when anything is flagged.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.scripts.scrub import texts
from tests.security.corpora import NAMES, Corpus, corpus
from trace_streaming import __version__
from trace_streaming.emitting.event_factory import safe_details

ROOT: Final = Path(__file__).parent.parent
PYTHON: Final = ROOT / ".venv" / "peers" / "bin" / "python"
PINS: Final = ROOT / "bench" / "requirements-peers.txt"
PAGE: Final = ROOT / "docs" / "redaction.md"
BEGIN: Final = "<!-- redaction peers -->"
END: Final = "<!-- end of redaction peers -->"
PEERS: Final = {"Logfire": "logfire", "Sentry": "sentry-sdk", "detect-secrets": "detect-secrets"}
"""What they are called, and their packages."""

Left = dict[str, Any]
"""What is left of details, as ``bench.scripts.scrub`` tells it."""


class Score(NamedTuple):
    """Of one corpus."""

    missed: int
    secrets: int
    spoiled: int
    innocents: int

    def __str__(self) -> str:
        return f"{self.missed} / {self.spoiled}"


def score(cases: Corpus, scrub: Callable[[Sequence[Any]], Sequence[Left]]) -> Score:
    """Let all cases of a corpus be scrubbed, each by itself."""
    left = scrub([*(details for details, _ in cases.secrets), *cases.innocents])
    of_secrets, of_innocents = left[: len(cases.secrets)], left[len(cases.secrets) :]
    missed = sum(is_missed(secret, each) for (_, secret), each in zip(cases.secrets, of_secrets, strict=True))
    spoiled = sum(each["is_changed"] for each in of_innocents)
    return Score(missed, len(cases.secrets), spoiled, len(cases.innocents))


def is_missed(secret: str, left: Left) -> bool:
    if "covered" in left:
        return not any(secret in hit for hit in left["covered"])
    return any(secret in text for text in left["readable"])


def ours(many: Sequence[Any]) -> list[Left]:
    """As ``emit`` does it, each in a trace of its own."""
    shown = [safe_details(details, trace_id=uuid.uuid4().hex)[0] for details in many]
    return [
        {"readable": [*texts(after)], "is_changed": after != before} for before, after in zip(many, shown, strict=True)
    ]


def theirs(name: str, many: Sequence[Any]) -> list[Left]:
    """In their own environment."""
    done = subprocess.run(
        [PYTHON, ROOT / "bench" / "scripts" / "scrub.py", name],
        input="\n".join(map(json.dumps, many)),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(rows: dict[str, list[Score]], versions: dict[str, str], day: str) -> str:
    """Missed secrets and spoiled innocents, in numbers, and of all in percent."""
    ((_, first), *_) = rows.items()
    sizes = [
        f"{name.replace('_', ' ')}: {each.secrets} + {each.innocents}" for name, each in zip(NAMES, first, strict=True)
    ]
    lines = [["missed / spoiled", *sizes, "all"], ["---"] * (len(sizes) + 2)]
    for name, scores in rows.items():
        whole = Score(*(sum(numbers) for numbers in zip(*scores, strict=True)))
        percent = f"{whole.missed / whole.secrets:.1%} / {whole.spoiled / whole.innocents:.1%}".replace("%", " %")
        lines.append([f"{name} {versions[name]}", *map(str, scores), percent])
    return f"Measured on {day}.\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def with_table(page: str, text: str) -> str:
    """A page with the table between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def pinned(text: str) -> dict[str, str]:
    """The versions of packages, by their names."""
    return dict(line.split("==") for line in text.splitlines() if "==" in line)


def main() -> None:
    """Measure all, and write the table."""
    corpora = [corpus(name) for name in NAMES]
    rows = {"ours": [score(each, ours) for each in corpora]}
    for name in PEERS:
        rows[name] = [score(each, lambda many, name=name: theirs(name, many)) for each in corpora]  # type: ignore[misc]
        print(name, *rows[name], sep=", ", flush=True)
    pins = pinned(PINS.read_text())
    versions = {"ours": __version__, **{name: pins[package] for name, package in PEERS.items()}}
    PAGE.write_text(with_table(PAGE.read_text(), table(rows, versions, datetime.now(UTC).date().isoformat())))


if __name__ == "__main__":
    main()
