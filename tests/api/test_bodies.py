"""What a request brings: whether its length is said before or not, whatever its characters are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from cuga_site.asgi import application
from tests.access.handshakes import basic
from trace_streaming.api.events import EventsView
from trace_streaming.models import Approval, Event, Trace

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _root(settings: Settings) -> None:
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["rest_framework.authentication.BasicAuthentication"]
    User.objects.create_superuser("root", password="pass")


async def post(path: str, chunks: Sequence[bytes], *headers: tuple[bytes, bytes]) -> tuple[int, Any]:
    """As a server hands over a body that came in chunks, over HTTP/1.1 or 2."""
    app = ApplicationCommunicator(
        application,
        {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [
                (b"host", b"testserver"),
                (b"content-type", b"application/json"),
                (b"authorization", basic("root", "pass").encode()),
                *headers,
            ],
        },
    )
    for number, chunk in enumerate(chunks, 1):
        await app.send_input({"type": "http.request", "body": chunk, "more_body": number < len(chunks)})
    status = (await app.receive_output(timeout=60))["status"]
    body = await app.receive_output(timeout=60)
    await app.wait(timeout=60)
    return status, orjson.loads(body["body"])


CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize("headers", [(), (CHUNKED,)])
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("events", b'{"event":"plan_created"}', 200),
        ("end", b'{"state":"error"}', 200),
        ("approvals/a", b'{"decision":"approved"}', 200),
        ("ticket", b"", 201),
    ],
)
async def test_a_body_without_a_length_is_read(path: str, body: bytes, status: int, headers: Any) -> None:
    """At each door that takes one."""
    now = timezone.now()
    await Approval.objects.acreate(
        approval_id="a",
        trace_id="t",
        action="send",
        risk_level="low",
        allowed=["approved"],
        arguments={},
        requested_at=now,
        expires_at=now + timedelta(minutes=1),
    )
    assert (await post(f"/api/traces/t/{path}", [body[:5], body[5:], b""], *headers))[0] == status
    if path == "end":
        assert (await Trace.objects.aget()).state == "error"


@pytest.mark.parametrize("path", ["events", "end", "approvals/a"])
async def test_a_body_without_a_length_is_bounded(settings: Settings, path: str) -> None:
    """As one that says how long it is."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    await Trace.objects.acreate(trace_id="t", started_at=timezone.now(), last_event_at=timezone.now())
    body = [b'{"event":"plan_created","x":"', b"x" * 100, b'"}']
    assert (await post(f"/api/traces/t/{path}", body, CHUNKED))[0] == 413
    length = (b"content-length", str(sum(map(len, body))).encode())
    assert (await post(f"/api/traces/t/{path}", body, length))[0] == 413


def test_under_wsgi_a_length_is_needed() -> None:
    """Django reads no other body there: it is said, and not taken for an empty one."""
    request = RequestFactory().post("/", headers={"transfer-encoding": "chunked"})
    request.META["CONTENT_LENGTH"] = ""
    assert EventsView.as_view()(request, trace_id="t").status_code == 411


def test_half_of_a_character_spoils_nothing(client: Client) -> None:
    """It becomes U+FFFD where it is kept, as in what is emitted; where it is no name, that event alone is bad."""
    body = (
        '{"events": [{"event": "plan_created", "details": {"a\\ud800": ["\\udc00!", "\\ud83d\\ude00", "\\\\ud800"]}},'
        ' {"event": "dance\\ud800"}, {"event": "plan_created", "event_id": "\\ud800"}, {"event": "plan_created"}]}'
    )
    headers = {"authorization": basic("root", "pass")}
    answer = client.post("/api/traces/t/events/", body, content_type="application/json", headers=headers)
    assert answer.status_code == 207
    assert [error["index"] for error in answer.json()["errors"]] == [1, 2]
    details = [orjson.loads(event.details) for event in Event.objects.order_by("sequence")]
    assert details == [{"a\ufffd": ["\ufffd!", "😀", "\\ud800"]}, {}]


@pytest.mark.parametrize(
    "body", ['{"a": "\\ud800"', '{"a": NaN, "b": "\\ud800"}', '"\\ud800"', "[" * 100_000 + '"\\ud800"']
)
def test_what_is_no_object_is_400_with_half_a_character_too(client: Client, body: str) -> None:
    """However deep it is."""
    headers = {"authorization": basic("root", "pass")}
    answer = client.post("/api/traces/t/events/", body, content_type="application/json", headers=headers)
    assert answer.status_code == 400
