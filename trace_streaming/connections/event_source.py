"""One stream of server-sent events, and its one watcher: the same subscription as a socket's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final
from weakref import WeakSet

from trace_streaming.access.authentication import Credentials
from trace_streaming.access.connection_limits import Place
from trace_streaming.access.revocation import revocation_checker
from trace_streaming.conf import conf
from trace_streaming.exceptions import ProtocolError, StorageUnavailableError
from trace_streaming.servers.gates import Gate, gate_of
from trace_streaming.watching.hub import Hub
from trace_streaming.watching.hubs import current_hub
from trace_streaming.watching.subscription import STALLED, Subscription, run_pump
from trace_streaming.wire.frames import Packet
from trace_streaming.wire.protocol import FAILED, GOING_AWAY, CloseCode, Ending, WatchRequest
from trace_streaming.wire.server_sent_events import EVENT_STREAM, EventStreamProfile

CLOSE_SECONDS: Final = 1.0
"""How long streams are given to end with the server."""


class EventSource:
    """One open stream: the client of a subscription, and the parts of a response.

    Two packets are held at most: the one that the server is sending, and the next.

    :param scope: of the request
    :param credentials: what was shown with it, and is asked again
    :param user: whom they were found to be of
    :param profile: with the texts of calls while they stream, or without
    """

    def __init__(
        self,
        request: WatchRequest,
        scope: dict[str, Any],
        credentials: Credentials,
        user: Any,
        profile: EventStreamProfile = EVENT_STREAM,
    ) -> None:
        self._request = request
        self._scope = scope
        self.trace_id = request.trace_id
        self.credentials = credentials
        self._user = user
        self._profile = profile
        self.opened_at = 0.0
        self._place = Place()
        self._hub: Hub | None = None
        self._gate: Gate | None = None
        self._subscription: Subscription | None = None
        self._pump: asyncio.Task[None] | None = None
        self._response: asyncio.Task[Any] | None = None
        self._packet: Packet | None = None
        self._ending: Ending | None = None
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The response, until the trace ends, the server goes, or the client does."""
        if asyncio.get_running_loop() in _ending:
            yield EVENT_STREAM.error(self._request.trace_id, *GOING_AWAY).encode()
            return
        self._response = asyncio.current_task()
        assert self._response is not None  # noqa: S101  # nosec B101  an ASGI server runs this in one
        self._hub, self._gate = current_hub(), gate_of(self._scope)
        _open[self] = self._response
        # Whatever ends the response: a generator inside of others is closed by the garbage collector alone.
        self._response.add_done_callback(self._free)
        try:
            self._admit()
            self._subscription = await self._hub.subscribe(self._request, self._profile, self)
            self._have_checked()
            greeting = self._greeting(self._subscription)
            self.pump()  # before anything is waited for: from here on a client that takes nothing is noticed
            yield greeting.encode()
            while (packet := await self._next()) is not None:
                yield packet.body
                if self._gate is not None:
                    await self._gate.wait()
                if EVENT_STREAM.is_end(packet):
                    return
            yield EVENT_STREAM.error(self._request.trace_id, *self._ending or FAILED).encode()
        except ProtocolError as error:  # there is no place
            yield EVENT_STREAM.error(self.trace_id, error.code, error.message).encode()
        except StorageUnavailableError as error:
            yield EVENT_STREAM.error(self._request.trace_id, CloseCode.GOING_AWAY, f"{error}; connect again").encode()
        finally:
            self._free()
            if self._gate is not None:
                self._gate.close()

    def send_now(self, packet: Packet) -> bool:
        """Hand over, if nothing waits to be sent."""
        if self._packet is not None:
            return False
        self._packet = packet
        self._changed.set()
        return True

    async def send_packet(self, packet: Packet) -> None:
        """Hand over, as soon as what is before it is being sent."""
        while not self.send_now(packet):
            self._taken.clear()
            await self._taken.wait()

    def encode(self, packet: Packet) -> None:
        """Its part of the response."""
        _ = packet.body  # kept there

    def pump(self) -> None:
        """There is something to send that may have to be waited for."""
        if self._subscription is not None:
            self._pump = asyncio.create_task(self._run_pump(self._subscription))

    def end(self, ending: Ending) -> None:
        """End the stream, as soon as the client has taken what it is being sent; nothing is awaited here."""
        self._ending = ending
        self._changed.set()

    def abort(self) -> None:
        """End the connection of a client that takes nothing."""
        if self._gate is not None:
            self._gate.abort()
        if self._response is not None:
            self._response.cancel()

    def _admit(self) -> None:
        """Take a place; raise :exc:`ProtocolError` where there is none."""
        self._place.enter((self._scope.get("client") or ("unknown",))[0])
        self._place.watch(self.trace_id, getattr(self._user, "pk", None))

    def _have_checked(self) -> None:
        """Have it end when its user may not watch any more."""
        self.opened_at = asyncio.get_running_loop().time()
        revocation_checker().add(self)

    def _greeting(self, subscription: Subscription) -> str:
        greeting = subscription.connected(conf.HEARTBEAT_SECONDS)
        return greeting if self._request.since is not None else EVENT_STREAM.place(subscription.position) + greeting

    async def _next(self) -> Packet | None:
        """What is to be sent next; None at the end."""
        while self._packet is None and self._ending is None:
            self._changed.clear()
            await self._changed.wait()
        packet, self._packet = self._packet, None
        self._taken.set()
        return packet if self._ending is None else None

    async def _run_pump(self, subscription: Subscription) -> None:
        ending = await run_pump(subscription, self._scope)
        if ending is None:
            self._pump = None
            return
        self.end(ending)
        if ending is STALLED:
            self.abort()

    def _free(self, response: asyncio.Task[Any] | None = None) -> None:
        """Give the place back, at once."""
        _open.pop(self, None)
        self._place.give_back()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._hub is not None:
            self._hub.unsubscribe(subscription)
            revocation_checker().discard(self)
        if self._pump is not None:
            self._pump.cancel()


_open: dict[EventSource, asyncio.Task[Any]] = {}
_ending: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
"""Whose servers take no stream any more: uvicorn would wait for one that began behind the others' end."""


async def end_all() -> None:
    """The server is ending: have all streams of the running loop end, so that their clients come back."""
    loop = asyncio.get_running_loop()
    _ending.add(loop)
    here = {source: task for source, task in _open.items() if task.get_loop() is loop}
    for source in here:
        source.end(GOING_AWAY)
    if here:
        await asyncio.wait(here.values(), timeout=CLOSE_SECONDS)
    for source, task in here.items():
        if not task.done():
            source.abort()
