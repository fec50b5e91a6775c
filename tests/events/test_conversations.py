"""What a model was sent, put together of what each call holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from trace_streaming.events.conversations import Conversations

CASES: list[dict[str, Any]] = orjson.loads((Path(__file__).parent / "conversation_cases.json").read_bytes())
"""Details of events, and the messages of calls; the viewer's twin runs them, too (``conversations.test.mjs``)."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_messages_are_put_together(case: dict[str, Any]) -> None:
    """Each line of the table."""
    conversations = Conversations({"details": details} for details in case["details"])
    assert {call_id: conversations.messages(call_id) for call_id in case["messages"]} == case["messages"]
