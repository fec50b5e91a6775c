"""Health: true, quick and quiet, whatever hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from channels.layers import InMemoryChannelLayer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.cache import cache
from django.test import AsyncClient, Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings
from rest_framework.settings import api_settings

from cuga_site.asgi import application
from tests.access.handshakes import basic
from trace_streaming.models import Ticket, Trace
from trace_streaming.monitoring import health
from trace_streaming.servers.presence import alone

HEALTHY = {"status": "healthy", "service": "trace-streaming", "active_connections": 0, "active_traces": []}


@pytest.mark.django_db(transaction=True)
def test_a_process_that_can_serve_is_healthy(client: Client) -> None:
    """The answer that monitors read, exactly."""
    response = client.get("/ws/health", HTTP_ACCEPT="text/html")
    assert (response.status_code, response.json()) == (200, HEALTHY)
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db(transaction=True)
async def test_connections_are_counted_and_at_most_ten_traces_named() -> None:
    """N counts connections, not traces; both are zero when all have gone."""
    sockets = [WebsocketCommunicator(application, f"/ws/traces/trace-{n % 12:02}") for n in range(24)]
    for socket in sockets:
        await socket.connect(timeout=60)
        await socket.receive_from(timeout=60)
    client = AsyncClient()
    health = (await client.get("/ws/health")).json()
    assert health["active_connections"] == 24
    assert health["active_traces"] == [f"trace-{n:02}" for n in range(10)]
    for socket in sockets:
        await socket.disconnect(timeout=60)
    assert (await client.get("/ws/health")).json() == HEALTHY


@pytest.mark.parametrize("probe", ["_fleet_probe", "_layer_probe"])
def test_what_does_not_answer_is_unhealthy_in_time(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    """A check that hangs gives 503 after the timeout, and further requests wait for the same one."""
    release, started = threading.Event(), []

    def hang() -> None:
        started.append(probe)
        release.wait()

    settings.TRACE_STREAMING_HEALTH_TIMEOUT_SECONDS = 0.05
    monkeypatch.setattr(health, "_fleet_probe", health._Probe(alone))
    monkeypatch.setattr(health, "_layer_probe", health._Probe(lambda_ok))
    monkeypatch.setattr(health, probe, health._Probe(hang))
    try:
        for _ in range(3):
            response = client.get("/ws/health")
            assert (response.status_code, response.json()["status"]) == (503, "unhealthy")
    finally:
        release.set()
    assert started == [probe]


def lambda_ok() -> None:
    """A check that succeeds."""


class DeafLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no annotations
    """Takes messages and gives none: a ping would call it healthy."""

    async def receive(self, channel: str) -> Any:
        await asyncio.Event().wait()


@pytest.mark.django_db(transaction=True)
def test_a_layer_that_takes_messages_and_gives_none_is_unhealthy(client: Client, settings: Settings) -> None:
    """The round trip counts, not the ping."""
    settings.TRACE_STREAMING_HEALTH_TIMEOUT_SECONDS = 0.2
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.DeafLayer"}}
    assert client.get("/ws/health").status_code == 503


def test_a_database_that_refuses_is_unhealthy_and_says_no_more(client: Client) -> None:
    """Without pytest-django's mark the database refuses everybody; nothing of the error is shown."""
    response = client.get("/ws/health")
    assert response.status_code == 503
    assert response.json() == {**HEALTHY, "status": "unhealthy"}


@pytest.mark.django_db(transaction=True)
class TestTicket:
    """Asked for over HTTP, by those who may watch."""

    @pytest.fixture(autouse=True)
    def _closed(self, settings: Settings) -> Iterator[None]:
        del settings.TRACE_STREAMING_PERMISSION_CLASSES
        cache.clear()
        yield
        cache.clear()

    @pytest.fixture
    def ada(self, django_user_model: type[User]) -> User:
        ada = django_user_model.objects.create_user("ada", password="pass")
        Trace.objects.create(trace_id="t", owner=ada, started_at=timezone.now(), last_event_at=timezone.now())
        return ada

    def test_its_owner_gets_one(self, client: Client, ada: User) -> None:
        client.force_login(ada)
        response = client.post("/api/traces/t/ticket")
        assert (response.status_code, response["Cache-Control"]) == (201, "no-store")
        answer = response.json()
        assert answer == {"ticket": answer["ticket"], "expires_in": 30}
        ticket = Ticket.objects.get()
        assert (ticket.user, ticket.trace_id, ticket.session_key) == (ada, "t", client.session.session_key)

    @pytest.mark.parametrize("trace_id", ["t", "no-such-trace"])
    @pytest.mark.parametrize("nobody", [None, AnonymousUser])
    def test_strangers_do_not_and_learn_nothing(
        self, client: Client, ada: User, monkeypatch: pytest.MonkeyPatch, nobody: object, trace_id: str
    ) -> None:
        """Whatever REST framework calls nobody."""
        monkeypatch.setattr(api_settings, "UNAUTHENTICATED_USER", nobody)
        response = client.post(f"/api/traces/{trace_id}/ticket")
        assert (response.status_code, response.json()) == (
            403,
            {"detail": "Authentication credentials were not provided."},
        )

    def test_another_user_does_not(self, client: Client, ada: User, django_user_model: type[User]) -> None:
        client.force_login(django_user_model.objects.create_user("eve"))
        assert client.post("/api/traces/t/ticket").status_code == 403
        assert not Ticket.objects.exists()

    def test_another_page_does_not(self, ada: User) -> None:
        """A form elsewhere would send the cookie, but knows no CSRF token."""
        client = Client(enforce_csrf_checks=True)
        client.force_login(ada)
        assert client.post("/api/traces/t/ticket").status_code == 403

    def test_bad_credentials_are_told(self, client: Client, settings: Settings) -> None:
        settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["rest_framework.authentication.BasicAuthentication"]
        response = client.post("/api/traces/t/ticket", headers={"Authorization": basic("ada", "guess")})
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Basic realm="api"')

    @pytest.mark.parametrize("trace_id", ["a b", "<script>", "x" * 129])
    def test_a_bad_trace_id_is_told(self, client: Client, ada: User, trace_id: str) -> None:
        client.force_login(ada)
        response = client.post(f"/api/traces/{quote(trace_id)}/ticket")
        assert (response.status_code, list(response.json())) == (400, ["detail"])

    def test_only_a_post_gives_one(self, client: Client, ada: User) -> None:
        """Anything else is what links and images do."""
        client.force_login(ada)
        assert client.get("/api/traces/t/ticket").status_code == 405

    def test_too_many_are_told_when_to_retry(self, client: Client, ada: User, settings: Settings) -> None:
        settings.TRACE_STREAMING_LIMITS = {"tickets_per_user": "2/min"}
        client.force_login(ada)
        answers = [client.post("/api/traces/t/ticket") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert 0 < int(answers[-1]["Retry-After"]) <= 60
        settings.TRACE_STREAMING_LIMITS = {"tickets_per_user": None}
        assert client.post("/api/traces/t/ticket").status_code == 201

    def test_whoever_everybody_may_watch_has_tickets_too(
        self, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api_settings, "UNAUTHENTICATED_USER", None)
        settings.TRACE_STREAMING_PERMISSION_CLASSES = ["rest_framework.permissions.AllowAny"]
        assert client.post("/api/traces/t/ticket").status_code == 201
        assert Ticket.objects.get().user is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("who", "sees"), [("nobody", False), ("staff", False), ("viewer", True)])
def test_health_names_traces_to_those_who_may_view_them_alone(
    settings: Settings, django_user_model: type[User], who: str, sees: bool
) -> None:
    """By default; everybody is told the number of connections."""
    del settings.TRACE_STREAMING_HEALTH_PERMISSION_CLASSES
    view = health.HealthView()
    request = view.initialize_request(RequestFactory().get("/ws/health"))
    request._request.user = AnonymousUser()
    if who != "nobody":
        request._request.user = user = django_user_model.objects.create_user("ops", is_staff=True)
        if who == "viewer":
            user.user_permissions.add(Permission.objects.get(codename="view_trace"))
    assert view._may_see_traces(request) is sees
