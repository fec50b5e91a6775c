"""The servers are changed where they are loaded, once."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import daphne.server
import pytest
import uvicorn.server
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from trace_streaming.servers import patches


@pytest.mark.parametrize(
    ("server", "name"),
    [
        (daphne.server.WebSocketFactory, "__init__"),
        (daphne.server.Server, "create_application"),
        (daphne.server.Server, "kill_all_applications"),
        (uvicorn.server.Server, "shutdown"),
        (WebSocketsSansIOProtocol, "run_asgi"),
        (h11_impl.RequestResponseCycle, "run_asgi"),
    ],
)
def test_a_server_is_changed_once(server: type, name: str) -> None:
    """However often the app is set up; a method that is gone would be an error at start, not a silent loss."""
    patches.install(close, stop)
    changed = getattr(server, name)
    assert hasattr(changed, "__wrapped__")
    patches.install(close, stop)
    assert getattr(server, name) is changed


async def close() -> None:
    """Nothing is open."""


def stop() -> None:
    """Nothing is to be stored."""


async def test_uvicorns_other_protocols_do_not_log_tickets_either() -> None:
    """``--ws websockets`` and ``--ws wsproto`` log the URL, too: by then the ticket is out of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are deprecated
        from uvicorn.protocols.websockets.websockets_impl import WebSocketProtocol
    patches.install(close, stop)
    assert hasattr(WebSocketProtocol.run_asgi, "__wrapped__")
    seen: list[bytes] = []

    async def run_asgi(protocol: Any) -> None:
        seen.append(protocol.scope["query_string"])

    await patches._without_ticket(run_asgi)(SimpleNamespace(scope={"query_string": b"since=0&ticket=abc"}))
    assert seen == [b"since=0"]


def test_daphne_waits_for_the_answer_to_its_close() -> None:
    """After a second, as autobahn does by itself, a busy browser would lose the code that it was closed with."""
    patches.install(close, stop)
    factory: Any = daphne.server.WebSocketFactory(SimpleNamespace(), server="")
    factory.setProtocolOptions(autoPingTimeout=30, allowNullOrigin=True, openHandshakeTimeout=5)  # as daphne, behind it
    assert factory.closeHandshakeTimeout == patches.CLOSE_SECONDS
