"""``.`` and ``..`` are no traces: clients fold them away in paths, and would ask for something else."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from trace_streaming import TraceEmitter
from trace_streaming.exceptions import InvalidTraceIdError, ProtocolError
from trace_streaming.remote import RemoteTraceEmitter
from trace_streaming.wire.protocol import parse_watch_request

DOTS = pytest.mark.parametrize("trace_id", [".", ".."])


@DOTS
def test_no_emitter_takes_one(trace_id: str) -> None:
    """Here, or elsewhere; and says why."""
    with pytest.raises(InvalidTraceIdError, match=r"neither \. nor \.\."):
        TraceEmitter(trace_id)
    with pytest.raises(InvalidTraceIdError):
        RemoteTraceEmitter("http://127.0.0.1:9", "t", trace_id)


@DOTS
def test_no_socket_takes_one(trace_id: str) -> None:
    """4400."""
    with pytest.raises(ProtocolError, match=r"neither \. nor \.\.") as refused:
        parse_watch_request(trace_id, b"", ())
    assert refused.value.code == 4400


@DOTS
@pytest.mark.parametrize("url", [(), ("--url", "http://127.0.0.1:9")])
def test_no_command_takes_one(trace_id: str, url: tuple[str, ...]) -> None:
    """Not even to be waited for."""
    with pytest.raises(CommandError, match="trace id"):
        call_command("tail_trace", trace_id, *url)
    with pytest.raises(CommandError, match="trace id"):
        call_command("emit_trace_event", trace_id, "plan_created")


@pytest.mark.django_db
@DOTS
@pytest.mark.parametrize("path", ["", "events", "export", "stream", "signals", "approvals"])
def test_no_door_takes_one(client: Client, trace_id: str, path: str) -> None:
    """400, where a client has sent it as it is."""
    assert client.get(f"/api/traces/{trace_id}/{path}").status_code == 400
    assert client.post(f"/api/traces/{trace_id}/ticket").status_code == 400
