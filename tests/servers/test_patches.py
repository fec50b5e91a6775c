"""The servers are changed where they are loaded, once."""

from __future__ import annotations

import sys
import warnings
from types import SimpleNamespace
from typing import Any

import daphne.server
import pytest
import uvicorn.server
from pytest_django import Settings
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from trace_streaming.servers import changes, lines, patches


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
    patches.install()
    changed = getattr(server, name)
    assert hasattr(changed, "__wrapped__")
    patches.install()
    assert getattr(server, name) is changed


class Old:
    """A server as it was: its factory, and itself."""

    def __init__(self) -> None:
        """Nothing is set."""

    def create_application(self) -> None: ...
    def kill_all_applications(self) -> None: ...


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> type[Old]:
    """The only server that is loaded."""
    server = type("Server", (), dict(vars(Old)))
    monkeypatch.setitem(sys.modules, "daphne.server", SimpleNamespace(WebSocketFactory=server, Server=server))
    monkeypatch.delitem(sys.modules, "uvicorn.server")
    return server


def test_a_server_is_left_as_it_is_where_the_project_wants_that(old: type[Old], settings: Settings) -> None:
    """By a setting."""
    before = old.create_application
    settings.TRACE_STREAMING_PATCH_SERVERS = False
    patches.install()
    assert old.create_application is before
    settings.TRACE_STREAMING_PATCH_SERVERS = True
    patches.install()
    assert old.create_application is not before


def test_a_server_that_lacks_something_is_left_as_it_is(old: type[Old], caplog: pytest.LogCaptureFixture) -> None:
    """All of it, with one warning: half of the changes would be worse than none."""
    before = old.create_application
    del old.kill_all_applications
    patches.install()
    assert old.create_application is before
    (warning,) = caplog.messages
    assert "daphne is served by itself" in warning
    assert "kill_all_applications" in warning


@pytest.mark.parametrize("line", [lines.DaphneLine, lines.UvicornLine])
def test_a_socket_that_lacks_something_is_served_through_asgi(
    line: type[lines.DaphneLine | lines.UvicornLine], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one warning for all of them."""
    monkeypatch.setattr(lines, "_warned", set())
    whole = SimpleNamespace(**dict.fromkeys(line.NEEDS))
    scope: dict[str, Any] = {}
    lines.lead_to(whole, scope, line)
    assert isinstance(scope.pop(lines.SCOPE_KEY), line)
    for name in line.NEEDS:
        lacking = SimpleNamespace(**vars(whole))
        delattr(lacking, name)
        lines.lead_to(lacking, scope, line)
    assert scope == {}
    assert len(caplog.messages) == 1


async def test_uvicorns_other_protocols_do_not_log_tickets_either() -> None:
    """``--ws websockets`` and ``--ws wsproto`` log the URL, too: by then the ticket is out of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are deprecated
        from uvicorn.protocols.websockets.websockets_impl import WebSocketProtocol
    patches.install()
    assert hasattr(WebSocketProtocol.run_asgi, "__wrapped__")
    seen: list[bytes] = []

    async def run_asgi(protocol: Any) -> None:
        seen.append(protocol.scope["query_string"])

    await changes.without_ticket(run_asgi)(SimpleNamespace(scope={"query_string": b"since=0&ticket=abc"}))
    assert seen == [b"since=0"]


def test_daphne_waits_for_the_answer_to_its_close() -> None:
    """After a second, as autobahn does by itself, a busy browser would lose the code that it was closed with."""
    patches.install()
    factory: Any = daphne.server.WebSocketFactory(SimpleNamespace(), server="")
    factory.setProtocolOptions(autoPingTimeout=30, allowNullOrigin=True, openHandshakeTimeout=5)  # as daphne, behind it
    assert factory.closeHandshakeTimeout == changes.CLOSE_SECONDS
