"""A trace's events as a tree of spans, read by rules of its own: it shares nothing with the product's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

Node: TypeAlias = tuple[str, str, str, list["Node"]]
"""Kind, name, outcome, and what is inside."""

_FAMILIES = {"tool_call": "tool", "llm_call": "llm", "agent": "agent", "step": "step"}


def tree(events: Iterable[dict[str, Any]]) -> list[Node]:
    """Siblings in the order of their starts. Approvals have what was decided, routes nothing, as their outcome."""
    rows: dict[str, dict[str, Any]] = {}
    for number, event in enumerate(events):
        name, details = event["event"], event["details"]
        family, _, what = name.rpartition("_")
        if family in _FAMILIES:
            row = rows.setdefault(details["call_id"], {"at": number, "outcome": "open"})
            row["kind"] = _FAMILIES[family]
            row["name"] = details.get("tool") or details.get("name") or row.get("name")
            if what != "start":
                assert row["outcome"] == "open", f"{row} ends twice"
                told = {"success": "ok", "error": "error"}.get(event["status"], event["status"])
                row["outcome"] = details.get("outcome") or told
        elif family == "approval":
            row = rows.setdefault(f" {details['approval_id']}", {"at": number, "outcome": "open", "kind": "approval"})
            row["name"] = details["action"]
            row["outcome"] = details.get("decision", row["outcome"])
        else:
            row = rows[f" {number}"] = {"at": number, "outcome": "", "kind": "route", "name": details["agent_selected"]}
        row["parent"] = details.get("parent_call_id") or row.get("parent")
        row["time"] = min(row.get("time", event["timestamp"]), event["timestamp"])

    def inside(parent: str | None) -> list[Node]:
        found = [(row["time"], row["at"], key) for key, row in rows.items() if _place(row, rows) == parent]
        return [(rows[k]["kind"], rows[k]["name"], rows[k]["outcome"], inside(k)) for *_, k in sorted(found)]

    return inside(None)


def _place(row: dict[str, Any], rows: dict[str, Any]) -> str | None:
    parent: str | None = row["parent"]
    return parent if parent in rows else None


def parsed(text: str) -> list[Node]:
    """A tree that is written down, its rows parted by "|" or by ends of lines."""
    roots: list[Node] = []
    above: list[tuple[int, list[Node]]] = [(-1, roots)]
    for line in filter(str.strip, text.replace("|", "\n").splitlines()):
        indent = len(line) - len(line.lstrip())
        kind, name, *outcome = line.split()
        node: Node = (kind, name, " ".join(outcome), [])
        while above[-1][0] >= indent:
            above.pop()
        above[-1][1].append(node)
        above.append((indent, node[3]))
    return roots


def unordered(nodes: list[Node]) -> list[Node]:
    """For those that run at the same time."""
    return sorted(((kind, name, outcome, unordered(below)) for kind, name, outcome, below in nodes), key=repr)


def shown(nodes: list[Node], depth: int = 0) -> str:
    """As it is written down, to read a failure by."""
    return "\n".join(
        "  " * depth + " ".join(filter(None, node[:3])) + (f"\n{shown(node[3], depth + 1)}" if node[3] else "")
        for node in nodes
    )
