r"""uvicorn with all that the app wants of it, by its own options, where its classes are to stay as they are.

::

    uvicorn --ws trace_streaming.servers.uvicorn:WebSocketProtocol \
        --http trace_streaming.servers.uvicorn:HttpProtocol mysite.asgi:application

What was emitted a moment before its end is stored by the application's ``lifespan``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from . import changes
from .gates import UvicornGate
from .lines import SCOPE_KEY
from .shutting_down import shutdown

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """For ``--ws``: leads from a socket's scope to its transport."""

    run_asgi = changes.with_uvicorn_wire(WebSocketsSansIOProtocol.run_asgi)

    def shutdown(self) -> None:
        """The server ends: the client is told to come back, or that the service restarts, if it is not one of ours."""
        shut_down = super().shutdown
        shutdown.begin().add_done_callback(lambda _: shut_down() if self in self.connections else None)


class HttpProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """For ``--http``: leads from a request's scope to its transport."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app: Application = _with_gate(self.app)

    def shutdown(self) -> None:
        """The server ends: streams end, and their clients come back; nobody begins to watch on an idle connection."""
        shutdown.begin()
        super().shutdown()


def _with_gate(app: Application) -> Application:
    async def app_with_gate(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope[SCOPE_KEY] = partial(UvicornGate, send.__self__)  # the cycle of this request
        await app(scope, receive, send)

    return app_with_gate
