"""``python -m bench [--quick] [--keep] [ROWS …]``: measure all rows, or those that are named.

All of them write ``bench/RESULTS.md``, ``results.json`` and the README's table. Those that are named write nothing,
but with ``--keep``: they replace those of before then, with the day and the load that they had. ``--quick`` does a
little of everything, once, to see that it works and that ours loses nothing; it writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.report import as_markdown, number, with_headlines, with_rows
from bench.row import Row, Scale, compared
from bench.rows import GROUPS

HERE = Path(__file__).parent
PACKAGES = (
    "django",
    "channels",
    "daphne",
    "uvicorn",
    "websockets",
    "fastapi",
    "django-eventstream",
    "channels-redis",
    "psycopg",
    "picows",
)


def measure(row: Row, runs: int) -> dict[str, Any]:
    """All peers in turn, so many times over: the machine's moods fall on all of them."""
    values: dict[str, list[Any]] = {peer.name: [] for peer in row.peers}
    for _ in range(runs):
        for peer in row.peers:
            values[peer.name].append(dict(peer.measure()))
    for name, peer_values in values.items():
        shown = ", ".join(
            f"{number(compared(peer_values, measure.value)[0])} {measure.unit}" for measure in row.measures
        )
        print(f"  {name}: {shown}", flush=True)
        if name.startswith("ours") and any(each.get("lost_percent") or each.get("lost") for each in peer_values):
            sys.exit(f"{row.name}: {name} loses events: {peer_values}")
    return {
        "name": row.name,
        "measures": [asdict(measure) for measure in row.measures],
        "peers": [
            {
                "name": name,
                "runs": peer_values,
                "values": {measure.value: compared(peer_values, measure.value) for measure in row.measures},
            }
            for name, peer_values in values.items()
        ],
    }


def main() -> None:
    """Run the groups that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="ROWS", help=f"of {', '.join(GROUPS)}; all, if none is named")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", action="store_true", help="write rows that are named into the results of before")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    load, results = os.getloadavg()[0], []
    for name in options.groups or GROUPS:
        with GROUPS[name](Scale(options.quick)) as rows:
            for row in rows:
                print(row.name, flush=True)
                began = time.monotonic()
                results.append(measure(row, runs=1 if options.quick else 3))
                print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    if options.quick or (options.groups and not options.keep):
        return
    today, kept = datetime.now(UTC).date().isoformat(), HERE / "results.json"
    if options.groups:
        run = json.loads(kept.read_text())
        alone = {"date": today, "load": round(load)}
        run["rows"] = with_rows(run["rows"], [each | {"alone": alone} for each in results])
    else:
        run = {
            "date": today,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "packages": {name: version(name) for name in PACKAGES},
            "rows": results,
        }
    kept.write_text(json.dumps(run, indent=1) + "\n")
    (HERE / "RESULTS.md").write_text(as_markdown(run))
    readme = HERE.parent / "README.md"
    readme.write_text(with_headlines(readme.read_text(), run))


if __name__ == "__main__":
    main()
