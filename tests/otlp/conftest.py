"""Somebody whose spans are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from tests.otlp.spans import PROTOBUF, TRACE, Sent, encoded
from trace_streaming.events.spans import Span, Spans
from trace_streaming.recording.recorder import recorder
from trace_streaming.storage import store

Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def _all_is_stored(transactional_db: None) -> Iterator[None]:
    """What a test leaves to be stored is its own, and none of the next one's."""
    yield
    assert recorder.flush(60)


@pytest.fixture
def writer() -> User:
    """Somebody who may add events to any trace, and so begin one."""
    user = User.objects.create_user("writer")
    user.user_permissions.add(Permission.objects.get(codename="add_event"))
    return user


@pytest.fixture
def send(writer: User) -> Send:
    """Send spans as that user; returns the answer."""
    client: Any = APIClient()
    client.force_authenticate(writer)

    def post(spans: Iterable[Sent] = (), kind: str = PROTOBUF, body: bytes | None = None, **headers: str) -> Any:
        body = encoded(spans, kind) if body is None else body
        return client.generic("POST", "/v1/traces", body, kind, headers=headers)

    return post


def events_of(trace_id: str = TRACE) -> list[dict[str, Any]]:
    """As they are stored."""
    head = store.read_heads([trace_id]).get(trace_id)
    if head is None:
        return []
    events: list[dict[str, Any]] = []
    while page := store.read_page(head.pk, len(events)):
        events += [orjson.loads(event.text) for event in page]
    return events


def tree_of(trace_id: str = TRACE) -> list[Any]:
    """Kind, name, outcome and what is inside, of all that is stored."""
    return nodes(Spans(events_of(trace_id)).roots())


def nodes(spans: Iterable[Span]) -> list[Any]:
    return [(span.kind, span.name, span.outcome, nodes(span.children)) for span in spans]
