"""Texts of calls of agents elsewhere, passed on to who watches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from trace_streaming.events.deltas import TextDelta
from trace_streaming.models import Event
from trace_streaming.signals import text_streamed

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Iterator[list[TextDelta]]:
    found: list[TextDelta] = []

    def receive(delta: TextDelta, **kwargs: object) -> None:
        found.append(delta)

    text_streamed.connect(receive)
    yield found
    text_streamed.disconnect(receive)


def test_a_piece_is_told_and_not_stored(admin_client: APIClient, told: list[TextDelta]) -> None:
    """Redacted again: whoever sends it may not have."""
    piece = {"call_id": "c1", "offset": 7, "text": " and password: hunter2-Tr0ub4dor "}
    answer = admin_client.post("/api/traces/t/deltas", piece, content_type="application/json")
    assert answer.status_code == 204
    assert told == [TextDelta("t", "c1", 7, " and password: [redacted:key] ")]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"call_id": "c1", "offset": -1, "text": "x"},
        {"call_id": "c1", "offset": 0, "text": "x" * 70_000},
        {"call_id": "a b", "offset": 0, "text": "x"},
        {"call_id": "c1", "offset": "one", "text": "x"},
        [],
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(admin_client: APIClient, told: list[TextDelta], body: Any) -> None:
    """And nothing is told."""
    answer = admin_client.post("/api/traces/t/deltas", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()
    assert told == []
