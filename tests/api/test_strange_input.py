"""Whatever is asked for, it is answered: no parameter of any door makes one fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from pytest_django import Settings

from tests.access.handshakes import basic
from trace_streaming.models import Trace

pytestmark = pytest.mark.django_db(transaction=True)

STRANGE: Final = (
    *("%00", "a%00", "%FF", "%ED%A0%80", "%F0%9F%98%80", "%E2%80%AE", "9" * 400, "9" * 19, "-1", "0", "1e400", "NaN"),
    *("Infinity", "0x10", "1_0", "%201", "%D9%A1", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "me"),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00", "2026-02-30", "2026-01-05T25:00Z", "1970-01-01"),
    *("cD1nYXJiYWdl", "%27%20OR%201=1--", "a" * 5000, "[]", "%7B%7D", ",", "%25", "$.a%22", "a__b", "..", "%2E"),
)


@pytest.fixture(autouse=True)
def _root(settings: Settings) -> None:
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["rest_framework.authentication.BasicAuthentication"]
    settings.TRACE_STREAMING_LIMITS = {"tickets_per_user": None}
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    User.objects.create_superuser("root", password="pass")
    now = timezone.now()
    Trace.objects.create(trace_id="t-1", started_at=now, last_event_at=now, metadata={"a": 1})


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Path, method, and the query's parameters, of all that the schema says."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            yield path, method, names


def answers(client: Client, method: str, path: str) -> int:
    headers = {"authorization": basic("root", "pass")}
    status: int = client.generic(method.upper(), path, b"{}", "application/json", headers=headers).status_code
    return status


def test_no_parameter_makes_a_door_fail(client: Client) -> None:
    """501 says that a stream needs ASGI."""
    client.raise_request_exception = False
    failed: list[tuple[str, str, int]] = []
    for path, method, names in operations():
        place = path.format(trace_id="t-1", approval_id="a")
        asked = [
            f"{place}?{name}={text}" for name in (*names, "metadata.a", "metadata.", "format", "x") for text in STRANGE
        ]
        asked += [f"{place}?{text}=1" for text in STRANGE] + [f"{place}?metadata.{text}=1" for text in STRANGE]
        asked += [path.format(trace_id=text, approval_id="a") for text in STRANGE if "{trace_id}" in path]
        asked += [path.format(trace_id="t-1", approval_id=text) for text in STRANGE if "{approval_id}" in path]
        for url in asked:
            status = answers(client, method, url)
            if status >= 500 and status != 501:
                failed.append((method, url[:100], status))
    assert failed == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("traces/?cursor=cD1nYXJiYWdl", "cursor"),
        ("traces/?started_after=0001-01-01T00:00:00%2B14:00", "started_after"),
        ("signals/?to=0001-01-01T00:00:00Z", "to"),
        ("signals/series?from=9999-12-31T23:59:59Z", "from"),
        ("signals/?tool=%00", "tool"),
        (f"signals/?owner={'9' * 400}", "owner"),
        ("traces/%00/approvals", "trace_id"),
        ("traces/t-1/events/?limit=0", "limit"),
    ],
)
def test_what_is_wrong_is_said(client: Client, path: str, field: str) -> None:
    """400, and which."""
    answer = client.get(f"/api/{path}", headers={"authorization": basic("root", "pass")})
    assert (answer.status_code, list(answer.json())) == (400, [field])


@pytest.mark.thorough
@pytest.mark.takes(seconds=60)
def test_what_the_schema_allows_and_what_it_does_not_is_answered() -> None:
    """By schemathesis, in this process: it makes requests of the schema, good ones and bad ones."""
    pytest.importorskip("schemathesis", exc_type=ImportError)
    from hypothesis import HealthCheck, given, settings
    from schemathesis import openapi

    schema = openapi.from_wsgi("/api/schema/", get_wsgi_application())
    headers = {"Authorization": basic("root", "pass")}
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path.endswith("/stream/"):
            continue  # of ASGI alone

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            response = case.call(headers={**(case.headers or {}), **headers})
            assert response.status_code < 500, (case.method, case.formatted_path, case.query, case.body)

        asked()
