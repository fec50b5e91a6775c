"""Decides approvals: ``deciding (approved|rejected|expire) TRACE``; told when to begin, it prints its wins."""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime

import django

django.setup()

from trace_streaming.approvals import decisions  # noqa: E402
from trace_streaming.exceptions import ApprovalConflictError  # noqa: E402


def main(what: str, trace_id: str) -> None:
    rows = {row.approval_id: row for row in decisions.approvals().filter(trace_id=trace_id)}
    print("ready", flush=True)  # noqa: T201
    start, spacing = map(float, sys.stdin.readline().split())
    wins = 0
    for number, row in enumerate(rows[f"a-{n}"] for n in range(len(rows))):
        row.expires_at = datetime.fromtimestamp(start + spacing * number, UTC)
        early = 0 if what == "expire" else random.uniform(-spacing, 3 * spacing)
        time.sleep(max(row.expires_at.timestamp() - early - time.time(), 0))  # until it is about due
        if what == "expire":
            wins += decisions.expire(row)
            continue
        try:
            wins += decisions.decide(row, what, user=None, channel=what).decision == what
        except ApprovalConflictError:
            pass
    print(wins)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
