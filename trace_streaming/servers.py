"""What daphne and uvicorn do not do by themselves for a socket: they are changed where they are loaded.

daphne puts no transport into the scope, so nobody could ask it for backpressure; and when it ends, its clients see
their connections break. uvicorn ends the process by the signal that it got, so nothing runs ``atexit``. Both are asked
to close the sockets with 4001 first, and to store what was emitted.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any

from .backpressure import SCOPE_KEY
from .consumers import close_all
from .presence import presence
from .recorder import recorder


def install() -> None:
    """Change the servers whose modules are loaded, once. Called when the app is set up, before anything is served."""
    if (daphne := sys.modules.get("daphne.server")) is not None:
        _replace(daphne.Server, "create_application", _with_transport)
        _replace(daphne.Server, "kill_all_applications", _after_closing)
    if (uvicorn := sys.modules.get("uvicorn.server")) is not None:
        _replace(uvicorn.Server, "shutdown", _between_closing_and_storing)


def _replace(server: Any, name: str, change: Callable[[Any], Any]) -> None:
    method = getattr(server, name)
    if not hasattr(method, "__wrapped__"):
        setattr(server, name, change(method))


def _with_transport(create_application: Any) -> Any:
    @functools.wraps(create_application)
    def create_application_with_transport(server: Any, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope[SCOPE_KEY] = protocol.transport
        return create_application(server, protocol, scope)

    return create_application_with_transport


def _after_closing(kill_all_applications: Any) -> Any:
    @functools.wraps(kill_all_applications)
    def close_and_kill_all_applications(server: Any) -> Any:
        from twisted.internet.defer import Deferred

        closed = Deferred.fromFuture(asyncio.ensure_future(close_all()))  # what the reactor waits for before it stops
        return closed.addCallback(lambda _: kill_all_applications(server))

    return close_and_kill_all_applications


def _between_closing_and_storing(shutdown: Any) -> Any:
    @functools.wraps(shutdown)
    async def shutdown_in_order(server: Any, *args: Any, **kwargs: Any) -> None:
        await close_all()
        await shutdown(server, *args, **kwargs)
        await asyncio.to_thread(recorder.close)
        await asyncio.to_thread(presence.close)

    return shutdown_in_order
