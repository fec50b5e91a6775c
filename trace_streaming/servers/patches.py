"""What daphne and uvicorn do not do by themselves for a socket: they are changed where they are loaded.

Neither leads from a scope to the socket's transport, which a wire needs. When daphne ends, its clients see their
connections break; uvicorn ends the process by the signal that it got, so nothing runs ``atexit``. Both are asked to
close the sockets with 4001 first, and to store what was emitted.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial, wraps
from typing import Any, Final

from trace_streaming.access.authentication import hide_ticket
from trace_streaming.conf import conf

from .gates import DaphneGate, UvicornGate
from .wires import SCOPE_KEY, DaphneLine, UvicornLine

logger = logging.getLogger(__name__)

CloseConnections = Callable[[], Awaitable[None]]

CLIENT_WINDOW_BITS: Final = 10
"""Of what a client says, compressed: its commands are small. uvicorn's is 12, and not to be set."""

CLOSE_SECONDS: Final = 10
"""How long daphne waits for the answer to its close; after a second, as by itself, a slow client loses the code."""

_OTHER_UVICORN_PROTOCOLS: Final = (("websockets_impl", "WebSocketProtocol"), ("wsproto_impl", "WSProtocol"))
"""``--ws websockets`` and ``--ws wsproto``: they have no wire, and log the URL."""


def install(close_connections: CloseConnections, end_process: Callable[[], None]) -> None:
    """Change the servers whose modules are loaded, once. Called when the app is set up, before anything is served.

    A server that has no longer what is changed is left as it is, with a warning; so are all of them, where
    ``TRACE_STREAMING_PATCH_SERVERS`` is False.

    :param close_connections: awaited before the server ends: its clients are told to come back
    :param end_process: called behind that, in a thread, where the server ends the process without ``atexit``
    """
    if not conf.PATCH_SERVERS:
        return
    servers = {"daphne": _of_daphne(close_connections), "uvicorn": _of_uvicorn(close_connections, end_process)}
    for name, changes in servers.items():
        try:
            changed = [(owner, method, change(getattr(owner, method))) for owner, method, change in changes]
        except AttributeError as error:
            logger.warning("%s is served by itself: it is not as it was (%s)", name, error)
            continue
        for owner, method, new in changed:
            if not hasattr(getattr(owner, method), "__wrapped__"):
                setattr(owner, method, new)


Change = tuple[Any, str, Callable[[Any], Any]]
"""A class, the name of its method, and what makes another of it."""


def _of_daphne(close_connections: CloseConnections) -> Iterator[Change]:
    if (daphne := sys.modules.get("daphne.server")) is None:
        return
    yield daphne.WebSocketFactory, "__init__", _with_options
    yield daphne.Server, "create_application", _with_daphne_wire
    yield daphne.Server, "kill_all_applications", partial(_after_closing, close_connections)


def _of_uvicorn(close_connections: CloseConnections, end_process: Callable[[], None]) -> Iterator[Change]:
    if (uvicorn := sys.modules.get("uvicorn.server")) is None:
        return
    yield uvicorn.Server, "shutdown", partial(_between_closing_and_ending, close_connections, end_process)
    for name in ("h11_impl", "httptools_impl"):
        with suppress(ImportError):
            protocol = importlib.import_module(f"uvicorn.protocols.http.{name}")
            yield protocol.RequestResponseCycle, "run_asgi", _with_uvicorn_gate
    with suppress(ImportError):  # without websockets: uvicorn serves none, or with another library
        protocol = importlib.import_module("uvicorn.protocols.websockets.websockets_sansio_impl")
        yield protocol.WebSocketsSansIOProtocol, "run_asgi", _with_uvicorn_wire
    for module, name in _OTHER_UVICORN_PROTOCOLS:
        if (protocols := sys.modules.get(f"uvicorn.protocols.websockets.{module}")) is not None:
            yield getattr(protocols, name), "run_asgi", _without_ticket


def _with_daphne_wire(create_application: Any) -> Any:
    @wraps(create_application)
    def create_application_with_wire(server: Any, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            hide_ticket(scope)  # daphne does not log it; what is around the application may
            _lead_to(protocol, scope, DaphneLine)
        else:
            scope[SCOPE_KEY] = partial(DaphneGate, protocol)
        return create_application(server, protocol, scope)

    return create_application_with_wire


def _with_uvicorn_wire(run_asgi: Any) -> Any:
    @wraps(run_asgi)
    async def run_asgi_with_wire(protocol: Any) -> None:
        hide_ticket(protocol.scope)  # uvicorn logs the URL when the socket is accepted
        _lead_to(protocol, protocol.scope, UvicornLine)
        await run_asgi(protocol)

    return run_asgi_with_wire


def _lead_to(protocol: Any, scope: dict[str, Any], line: type[DaphneLine | UvicornLine]) -> None:
    """Give a socket's scope its line, where the protocol has all that it needs."""
    missing = [name for name in line.NEEDS if not hasattr(protocol, name)]
    if not missing:
        scope[SCOPE_KEY] = line(protocol)
    elif line not in _warned:
        _warned.add(line)
        logger.warning("Sockets are served through ASGI, frame by frame: %s has no %s", type(protocol), missing[0])


_warned: Final[set[type]] = set()


def _with_uvicorn_gate(run_asgi: Any) -> Any:
    @wraps(run_asgi)
    async def run_asgi_with_gate(cycle: Any, app: Any) -> None:
        cycle.scope[SCOPE_KEY] = partial(UvicornGate, cycle)
        await run_asgi(cycle, app)

    return run_asgi_with_gate


def _without_ticket(run_asgi: Any) -> Any:
    @wraps(run_asgi)
    async def run_asgi_without_ticket(protocol: Any) -> None:
        hide_ticket(protocol.scope)
        await run_asgi(protocol)

    return run_asgi_without_ticket


def _with_options(init: Any) -> Any:
    @wraps(init)
    def init_with_options(factory: Any, *args: Any, **kwargs: Any) -> None:
        init(factory, *args, **kwargs)
        options = {"perMessageCompressionAccept": _accept_compression, "closeHandshakeTimeout": CLOSE_SECONDS}
        factory.setProtocolOptions(**options)

    return init_with_options


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


def _after_closing(close_connections: CloseConnections, kill_all_applications: Any) -> Any:
    @wraps(kill_all_applications)
    def close_and_kill_all_applications(server: Any) -> Any:
        from twisted.internet.defer import Deferred

        # What the reactor waits for before it stops.
        closed = Deferred.fromFuture(asyncio.ensure_future(close_connections()))
        return closed.addCallback(lambda _: kill_all_applications(server))

    return close_and_kill_all_applications


def _between_closing_and_ending(
    close_connections: CloseConnections, end_process: Callable[[], None], shutdown: Any
) -> Any:
    @wraps(shutdown)
    async def shutdown_in_order(server: Any, *args: Any, **kwargs: Any) -> None:
        await close_connections()
        await shutdown(server, *args, **kwargs)
        await asyncio.to_thread(end_process)

    return shutdown_in_order
