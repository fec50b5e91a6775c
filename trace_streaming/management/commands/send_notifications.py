"""``manage.py send_notifications``: tell what is due, for a project that has no serving process to do it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from trace_streaming.notifying.telling import tell_due


class Command(BaseCommand):
    """Once; for a timer."""

    help = "Send the notifications that are due: approvals that wait, and traces that failed (TRACE_STREAMING_NOTIFY)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell, and say how many."""
        self.stdout.write(f"Sent {tell_due()} notifications.")
