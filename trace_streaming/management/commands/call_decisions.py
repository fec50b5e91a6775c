"""``manage.py call_decisions``: call what decisions wait for, where no serving process has come to it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from trace_streaming.approvals.calling import call_due
from trace_streaming.approvals.decisions import expire_overdue


class Command(BaseCommand):
    """Calls, in this process, and ends."""

    help = "Call the on_decision of approvals that were decided, or have timed out, where that was not done yet."

    def handle(self, *args: Any, **options: Any) -> None:
        """Expire what is overdue, and call."""
        expire_overdue()
        self.stdout.write(f"Called for {call_due()} approvals.")
