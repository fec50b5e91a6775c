"""Health: true, quick and quiet, whatever hangs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from channels.testing import WebsocketCommunicator
from django.test import AsyncClient, Client
from pytest_django import Settings

from cuga_site.asgi import application
from trace_streaming import views
from trace_streaming.presence import alone

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
        await socket.connect(timeout=5)
        await socket.receive_from(timeout=5)
    client = AsyncClient()
    health = (await client.get("/ws/health")).json()
    assert health["active_connections"] == 24
    assert health["active_traces"] == [f"trace-{n:02}" for n in range(10)]
    for socket in sockets:
        await socket.disconnect(timeout=5)
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
    monkeypatch.setattr(views, "_fleet_probe", views._Probe(alone))
    monkeypatch.setattr(views, "_layer_probe", views._Probe(lambda_ok))
    monkeypatch.setattr(views, probe, views._Probe(hang))
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
