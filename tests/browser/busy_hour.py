"""An hour of agents at work, and three that wait: emitted at once, under the times at which it would have been."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402

from trace_streaming.emitting.project_events import make_event  # noqa: E402
from trace_streaming.models import Approval  # noqa: E402
from trace_streaming.storage import store  # noqa: E402

TOOLS = {
    "web_search": (420, 0.02),
    "read_file": (35, 0.004),
    "run_tests": (9_500, 0.14),
    "edit_file": (60, 0.03),
    "query_database": (240, 0.01),
    "summarise_document": (3_100, 0.05),
}
"""What a call takes, in ms, and how many fail."""
WAITING = [
    ("send_email", "mail", "high", "invoices-2026-11", 34, 180),
    ("delete_branch", "git", "medium", "tidy-repository", 12, 900),
    ("publish_post", "cms", "low", "weekly-digest", 5, 3000),
]
"""Action, tool, risk, trace, for how many seconds it waits, and how many are left."""

now = datetime.now(UTC)
chance = random.Random(7)
for minute in range(59, 0, -1):
    at = now - timedelta(minutes=minute)
    trace = f"run-{minute // 6}"
    # In the middle of the hour a service was slow.
    slow = 3.0 if 22 < minute < 30 else 1.0
    events = []
    for _ in range(chance.randint(8, 22) + (10 if minute < 20 else 0)):
        tool, (usual, failing) = chance.choice(list(TOOLS.items()))
        ms = usual * chance.lognormvariate(0, 0.45) * slow
        fails = chance.random() < failing * slow
        name, status = ("tool_call_error", "error") if fails else ("tool_call_complete", "success")
        moment = at + timedelta(seconds=chance.uniform(0, 55))
        details = {"tool": tool, "duration_ms": round(ms, 1)}
        events.append(make_event(trace, name, details, status, timestamp=moment)[0])
    if minute % 4 == 0:
        waited = {"approval_id": f"a-{minute}", "waited_ms": round(chance.lognormvariate(10, 0.6))}
        events.append(make_event(trace, "approval_received", waited, "success", timestamp=at)[0])
    if minute % 9 == 0:
        spent = {"total": 100, "used": chance.randint(40, 95)}
        events.append(make_event(trace, "budget_warning", spent, "warning", timestamp=at)[0])
    if minute % 6 == 0:
        events += [make_event(trace, "plan_created", {}, "success", timestamp=at)[0] for _ in range(9)]
    store.append(events)
for action, tool, risk, trace, waits, left in WAITING:
    details = {"approval_id": f"open-{action}", "action": action, "tool_name": tool, "risk_level": risk}
    store.append([make_event(trace, "approval_requested", details, "pending")[0]])
    Approval.objects.create(
        **{**details, "trace_id": trace, "allowed": ["approved", "rejected"]},
        requested_at=timezone.now() - timedelta(seconds=waits),
        expires_at=timezone.now() + timedelta(seconds=left),
    )
