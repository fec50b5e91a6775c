"""What daphne and uvicorn do not do by themselves: methods of theirs, as they have to be instead.

Neither leads from a scope to the socket's transport, which a wire needs. When daphne ends, its clients see their
connections break; uvicorn ends the process by the signal that it got. Both are asked to close the sockets with 4001
first, and to store what was emitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial, wraps
from typing import Any, Final

from trace_streaming.access.hidden_tickets import hide_ticket
from trace_streaming.conf import conf

from .gates import DaphneGate, UvicornGate
from .lines import SCOPE_KEY, DaphneLine, UvicornLine, lead_to
from .shutting_down import shutdown

CLIENT_WINDOW_BITS: Final = 10
"""Of what a client says, compressed: its commands are small. uvicorn's is 12, and not to be set."""

CLOSE_SECONDS: Final = 10
"""How long daphne waits for the answer to its close; after a second, as by itself, a slow client loses the code."""

TELL_AGAIN_SECONDS: Final = 0.5
"""While uvicorn waits for its connections: between looks whether another has begun to watch."""


def with_daphne_wire(create_application: Any) -> Any:
    """Of daphne's ``Server``: scopes of sockets and of requests lead to their transports."""

    @wraps(create_application)
    def create_application_with_wire(server: Any, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            lead_to(protocol, scope, DaphneLine)
        else:
            scope[SCOPE_KEY] = partial(DaphneGate, protocol)
        return create_application(server, protocol, scope)

    return create_application_with_wire


def with_uvicorn_wire(run_asgi: Any) -> Any:
    """Of uvicorn's protocol of sockets: their scopes lead to their transports."""

    @wraps(run_asgi)
    async def run_asgi_with_wire(protocol: Any) -> None:
        lead_to(protocol, protocol.scope, UvicornLine)
        await run_asgi(protocol)

    return run_asgi_with_wire


def with_uvicorn_gate(run_asgi: Any) -> Any:
    """Of uvicorn's cycle of a request: its scope leads to its transport."""

    @wraps(run_asgi)
    async def run_asgi_with_gate(cycle: Any, app: Any) -> None:
        cycle.scope[SCOPE_KEY] = partial(UvicornGate, cycle)
        await run_asgi(cycle, app)

    return run_asgi_with_gate


def without_ticket(run_asgi: Any) -> Any:
    """Of uvicorn's other protocols of sockets, which have no wire, and log the URL."""

    @wraps(run_asgi)
    async def run_asgi_without_ticket(protocol: Any) -> None:
        hide_ticket(protocol.scope)
        await run_asgi(protocol)

    return run_asgi_without_ticket


def with_options(init: Any) -> Any:
    """Of daphne's factory of sockets: they compress, and wait for slow clients to take their close."""

    @wraps(init)
    def init_with_options(factory: Any, *args: Any, **kwargs: Any) -> None:
        init(factory, *args, **kwargs)
        factory.setProtocolOptions(**FACTORY_OPTIONS)

    return init_with_options


def after_closing(kill_all_applications: Any) -> Any:
    """Of daphne's ``Server``: its clients would see their connections break."""

    @wraps(kill_all_applications)
    def close_and_kill_all_applications(server: Any) -> Any:
        from twisted.internet.defer import Deferred

        # What the reactor waits for before it stops.
        closed = Deferred.fromFuture(asyncio.ensure_future(shutdown.close_connections()))
        return closed.addCallback(lambda _: kill_all_applications(server))

    return close_and_kill_all_applications


def between_closing_and_ending(shut_down: Any) -> Any:
    """Of uvicorn's ``Server``, which ends the process by the signal that it got: nothing runs ``atexit``."""

    @wraps(shut_down)
    async def shut_down_in_order(server: Any, *args: Any, **kwargs: Any) -> None:
        await shutdown.close_connections()
        telling = asyncio.create_task(_tell_whoever_comes())
        try:
            await shut_down(server, *args, **kwargs)
        finally:
            telling.cancel()
        await asyncio.to_thread(shutdown.end_process)

    return shut_down_in_order


async def _tell_whoever_comes() -> None:
    """Uvicorn tells those who are connected when it stops to listen; whom it has just accepted it only waits for."""
    while True:
        await asyncio.sleep(TELL_AGAIN_SECONDS)
        await shutdown.close_connections()


def _accept_compression(offers: Sequence[Any]) -> Any:
    """Answer a client's offers of extensions, which daphne has no option for. None: nothing is compressed.

    Each message is compressed by itself, as :meth:`.Packet.deflated` does; the client is asked for the least memory
    that it offers. daphne's limit of a message's size holds for what is decompressed.
    """
    from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

    for offer in offers if conf.COMPRESSION else ():
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(  # type: ignore[no-untyped-call]
                offer,
                request_no_context_takeover=offer.accept_no_context_takeover,
                request_max_window_bits=CLIENT_WINDOW_BITS if offer.accept_max_window_bits else 0,
                no_context_takeover=True,
            )
    return None


FACTORY_OPTIONS: Final = {"perMessageCompressionAccept": _accept_compression, "closeHandshakeTimeout": CLOSE_SECONDS}
"""Of daphne's sockets."""
