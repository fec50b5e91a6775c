"""Stores a long trace, as if somebody had emitted it: ``python -m tests.live.filling TRACE COUNT``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import django

if __name__ == "__main__":
    django.setup()
    from trace_streaming.events import TraceEvent
    from trace_streaming.storage import store

    trace_id, count = sys.argv[1], int(sys.argv[2])
    for first in range(1, count + 1, 5000):
        store.append(
            [
                TraceEvent(
                    "plan_created", trace_id, datetime.now(UTC), f'{{"by":"filling","number":{number}}}', "success"
                )
                for number in range(first, min(first + 5000, count + 1))
            ]
        )
