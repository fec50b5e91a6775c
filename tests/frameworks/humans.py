"""A human who decides what is asked, over REST, as soon as it is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client

from trace_streaming import events_recorded
from trace_streaming.models import Approval
from trace_streaming.wire.batches import Batch


class Human:
    """Says of each action what he is told to say: a decision, and with it a comment or edited arguments."""

    def __init__(self, says: dict[str, dict[str, Any]]) -> None:
        self._says = says
        self.asked: list[dict[str, Any]] = []
        """Details of what was asked, oldest first."""
        self.replies: list[int] = []
        self._threads: list[threading.Thread] = []
        user, _ = User.objects.get_or_create(username="ada", is_superuser=False)
        user.user_permissions.set(Permission.objects.filter(codename__in=["decide_approval", "view_trace"]))
        self._client = Client()
        self._client.force_login(user)

    def hear(self, batches: list[Batch], **kwargs: Any) -> None:
        """Receiver of ``events_recorded``."""
        for event in [event for batch in batches for event in batch.events]:
            told = orjson.loads(event.text)
            if told["event"] == "approval_requested":
                self.asked.append(told["details"])
                thread = threading.Thread(target=self._decide, args=[told["trace_id"], told["details"]])
                self._threads.append(thread)
                thread.start()

    def _decide(self, trace_id: str, asked: dict[str, Any]) -> None:
        if (said := self._says.get(asked["action"])) is not None:
            reply = self.say(trace_id, asked["approval_id"], {**said, "arguments_hash": asked["arguments_hash"]})
            self.replies.append(reply)
        connections.close_all()

    def say(self, trace_id: str, approval_id: str, said: dict[str, Any]) -> int:
        """Decide; the reply's status."""
        url = f"/api/traces/{trace_id}/approvals/{approval_id}"
        return self._client.post(url, orjson.dumps(said), content_type="application/json").status_code

    def decide_all(self, **said: Any) -> None:
        """What is open."""
        for row in Approval.objects.filter(decision=""):
            assert self.say(row.trace_id, row.approval_id, said) == 200

    def leave(self) -> None:
        for thread in self._threads:
            thread.join(60)


@contextmanager
def human(**says: dict[str, Any]) -> Iterator[Human]:
    """He decides what is asked inside of the block."""
    someone = Human(says)
    events_recorded.connect(someone.hear)
    try:
        yield someone
    finally:
        events_recorded.disconnect(someone.hear)
        someone.leave()
