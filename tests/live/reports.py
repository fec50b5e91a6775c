"""Tables of what the tests measured: printed at the end of a run, and kept in a document between markers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Row = Mapping[str, object]

TABLES: dict[str, list[Row]] = {}
"""Rows by name of the table; the keys of its first row are its columns."""


def report(table: str, row: Row) -> None:
    """Add a row to a table."""
    TABLES.setdefault(table, []).append(row)


def markdown(rows: list[Row]) -> str:
    lines = [
        " | ".join(map(str, cells)) for cells in [rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)]
    ]
    return "".join(f"| {line} |\n" for line in lines)


def write_between_markers(document: Path) -> None:
    """Replace each table that the document has between ``<!-- NAME -->`` and ``<!-- end of NAME -->``."""
    text = document.read_text()
    for name, rows in TABLES.items():
        if f"<!-- {name} -->" not in text:
            continue
        before, rest = text.split(f"<!-- {name} -->")
        _, after = rest.split(f"<!-- end of {name} -->")
        text = f"{before}<!-- {name} -->\n\n{markdown(rows)}\n<!-- end of {name} -->{after}"
    document.write_text(text)
