"""The functions that existing code imports."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from pytest_django import Settings

import trace_streaming
from cuga_site.asgi import application
from trace_streaming import (
    TraceEmitter,
    broadcast_trace_events,
    emit_trace_event,
    get_active_trace_streams,
    is_trace_streaming,
)
from trace_streaming.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

EVENT = {
    "event": "tool_call_start",
    "trace_id": "t",
    "timestamp": "2026-01-05T12:00:00Z",
    "details": {"tool": "test_tool", "password": "hunter2"},
    "status": "pending",
}


@asynccontextmanager
async def watching(trace_id: str = "t") -> AsyncIterator[WebsocketCommunicator]:
    socket = WebsocketCommunicator(application, f"/ws/traces/{trace_id}")
    await socket.connect(timeout=60)
    await socket.receive_from(timeout=60)
    yield socket
    await socket.disconnect(timeout=60)


async def test_a_watched_event_is_emitted_and_true() -> None:
    """Recorded, redacted, numbered and sent, with its own time in UTC with six digits."""
    async with watching() as socket:
        assert await emit_trace_event("t", EVENT) is True
        assert orjson.loads(await socket.receive_from(timeout=60)) == {
            **EVENT,
            "timestamp": "2026-01-05T12:00:00.000000+00:00",
            "details": {"tool": "test_tool", "password": "[redacted:key]"},
            "sequence": 1,
            "tool_name": "test_tool",
        }


async def test_an_unwatched_event_is_recorded_and_false() -> None:
    """Nobody watches: the log has it all the same."""
    assert await emit_trace_event("t", EVENT) is False
    assert await Event.objects.acount() == 1


@pytest.mark.parametrize(
    ("trace_id", "event"),
    [
        ("nonexistent-trace", {"event": "test", "trace_id": "nonexistent-trace"}),
        ("t", {}),
        ("t", {"event": None}),
        ("t", {"event": "plan_created", "status": "dead"}),
        ("t", {"event": "plan_created", "timestamp": "yesterday"}),
        ("t", {"event": "plan_created", "timestamp": 12}),
        ("t", {"event": "password=hunter2"}),
        ("t", {"event": "plan_created", "status": "token: hunter2"}),
        ("t", {"event": "plan_created", "timestamp": "password=hunter2"}),
        ("t", {"event": "plan_created", "timestamp": "0001-01-01T00:00:00+05:00"}),
        ("bad id", EVENT),
        ("t\nERROR of nobody", EVENT),
        ("t", {"event": "plan\r\nERROR of nobody \u2028\x1b[31m"}),
        ("t", {"event": "plan_created", "status": "done\nERROR of nobody"}),
        ("t", {"event": "plan\ntoken:\thunter2x9Q"}),
        (None, EVENT),
        ("t", "no event"),
    ],
)
async def test_a_bad_event_is_false_and_logged(
    trace_id: str, event: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Existing callers expect no exception; the mistake is in the log, without the details."""
    with caplog.at_level(logging.WARNING):
        assert await emit_trace_event(trace_id, event) is False
    assert "not emitted" in caplog.text
    assert "hunter2" not in caplog.text
    (line,) = caplog.records
    assert f"{line.getMessage()}{vars(line)['trace_id']}".isprintable()  # and nobody writes lines of his own
    assert await Event.objects.acount() == 0


async def test_several_events_arrive_in_order() -> None:
    """A bad one between them does not stop the others."""
    async with watching() as socket:
        await broadcast_trace_events("t", [{"event": "plan_created", "status": "success"}, {"event": "dance"}, EVENT])
        received = [orjson.loads(await socket.receive_from(timeout=60)) for _ in range(2)]
    assert [(event["sequence"], event["event"]) for event in received] == [(1, "plan_created"), (2, "tool_call_start")]


async def test_who_is_watched() -> None:
    """By trace, while a socket is open, from async and sync code."""
    assert not is_trace_streaming("t")
    async with watching("t"), watching("t"), watching("u"):
        assert is_trace_streaming("t")
        assert sorted(await sync_to_async(get_active_trace_streams)()) == ["t", "u"]
    assert not is_trace_streaming("t")
    assert get_active_trace_streams() == []


async def test_inline_recording_serves_them_too(settings: Settings) -> None:
    """A project's own tests may use them."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    async with watching():
        assert await emit_trace_event("t", EVENT) is True


@pytest.mark.parametrize("name", trace_streaming.__all__)
def test_everything_public_can_be_imported(name: str) -> None:
    """What the package lists, it has."""
    assert getattr(trace_streaming, name) is not None


def test_nothing_else_is_imported_by_accident() -> None:
    """A misspelt name is an AttributeError, as in every module."""
    with pytest.raises(AttributeError, match="emit_trace_evnt"):
        _ = trace_streaming.emit_trace_evnt
    assert TraceEmitter.__module__ == "trace_streaming.emitting.emitter"
