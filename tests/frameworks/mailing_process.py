"""An agent of a real framework in a process of its own: ``python -m tests.frameworks.mailing_process WAY TRACE_ID``.

It asks whether it may mail somebody, and writes as JSON to whom it has, and what its model was told.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from tests.frameworks import mailers  # noqa: E402
from trace_streaming import TraceEmitter  # noqa: E402

if __name__ == "__main__":
    way, trace_id = sys.argv[1:]
    with TraceEmitter(trace_id) as emitter:
        outcome = getattr(mailers, way)(is_async=True)
    assert emitter.flush(60)
    sys.stdout.write(json.dumps(outcome))
