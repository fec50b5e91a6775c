"""What speaks ASGI: a thin adapter between one WebSocket and one subscription."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from .access.authentication import Credentials, Handshake
from .access.connection_limits import Place
from .access.doorkeeper import let_in
from .access.revocation import revocation_checker
from .access.token_buckets import TokenBucket
from .conf import conf
from .connections.commands import reply_to
from .connections.open_sockets import CLOSE_SECONDS, open_sockets
from .connections.opening import Opening
from .connections.transport import SocketTransport
from .events import event_names
from .exceptions import ProtocolError, StorageUnavailableError
from .servers.presence import presence
from .storage.store import with_fresh_connection
from .telemetry import metrics
from .telemetry.logs import connection_name, describe
from .watching.hub import Hub
from .watching.hubs import current_hub
from .watching.subscription import GONE, Subscription, run_pump
from .wire.profiles import PLAIN, V1, Profile
from .wire.protocol import (
    DATABASE_AWAY,
    FAILED,
    SUBPROTOCOL,
    CloseCode,
    Ending,
    check_events,
    parse_watch_request,
)

logger = logging.getLogger(__name__)

MAX_BAD_COMMANDS: Final = 32
"""So many malformed commands in a row close the socket."""


class TraceConsumer(AsyncWebsocketConsumer):
    """Watches the trace that the URL names, in the profile that the client offers.

    The trace's group is joined by the process's hub, once for all sockets that watch it.
    """

    channel_layer = None  # Channels would open a channel of its own for every socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ignored_frames = 0
        self.trace_id = ""
        self.opened_at = asyncio.get_running_loop().time()
        self._profile: Profile = PLAIN
        self.user_key: object = None
        self._place = Place()
        rate = conf.limits.commands_per_socket
        self._commands = TokenBucket(rate) if rate else None
        self._hub: Hub | None = None
        self._subscription: Subscription | None = None
        self._pump: asyncio.Task[None] | None = None
        self._bad_commands = 0
        self._closed_with = "client"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Whatever ends the connection, its place is freed: ``disconnect`` is not called for every end."""
        task = asyncio.current_task()
        open_sockets[task] = self
        self.scope, self.base_send = scope, send
        self._profile = (
            V1 if SUBPROTOCOL in scope.get("subprotocols", ()) else PLAIN
        )  # it may be opened before `connect`
        self._transport = SocketTransport(scope, send)
        # Without a call in between: nothing is done as often.
        self.send_now, self.send_packet = self._transport.send_now, self._transport.send_packet
        self.encode = self._transport.encode
        self._opening = Opening(self._accept)
        self.credentials: Credentials = Handshake(scope)
        try:
            # Channels would read the client in a task of its own, beside a channel of the layer.
            with suppress(StopConsumer):
                while True:
                    await self.dispatch(await receive())
        finally:
            del open_sockets[task]
            self._free()
            metrics.closes.labels(self._closed_with).inc()
            self._place.give_back()
            self._transport.release()
            self._opening.end()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Messages go straight to their handler: Channels would hop to a thread for each.

        That is the one of all synchronous views: one of them that waits for the database would keep handshakes waiting.
        """
        try:
            match message["type"]:
                case "websocket.receive":
                    await self.websocket_receive(message)
                case "websocket.connect":
                    await self.connect()
                case "websocket.disconnect":
                    await self.websocket_disconnect(message)
                case _:
                    await super().dispatch(message)
        except (StopConsumer, OSError):
            raise
        except Exception as error:  # such as that of an authentication class
            logger.error("A socket failed: %s", describe(error), extra=self._log_fields())
            await self._refuse(*FAILED)

    async def connect(self) -> None:
        """Let the client watch, and accept then: an open socket watches. Who is refused is accepted to be told why.

        Only where that is not known soon, as while the database is away, is the client let wait behind an open door.
        """
        self.trace_id = self.scope["url_route"]["kwargs"]["trace_id"]
        try:
            subscription = await self._let_in()
        except ProtocolError as error:
            self._count(str(int(error.code)))
            await self._refuse(error.code, error.message)
        except StorageUnavailableError:
            self._count(str(int(CloseCode.GOING_AWAY)))
            await self._refuse(*DATABASE_AWAY)
        else:
            self._count("watching")
            revocation_checker().add(self)
            await self._opening.done()
            await self._transport.send_text(subscription.connected(conf.HEARTBEAT_SECONDS))
            self.pump()

    async def _let_in(self) -> Subscription:
        """Give the client its place; raises what it is told instead."""
        self._place.enter((self.scope.get("client") or ("unknown",))[0])
        request = parse_watch_request(self.trace_id, self.scope.get("query_string", b""))
        with self.unheard():
            try:
                self.credentials, user = await let_in(self.scope, self.trace_id)
            except DatabaseError:
                raise ProtocolError(*DATABASE_AWAY) from None
            check_events(request, event_names(conf.EXTRA_EVENTS))  # a stranger learns of no name by asking
            self.user_key = getattr(user, "pk", None)
            self._place.watch(self.trace_id, self.user_key)
            self._hub = current_hub()
            self._subscription = await self._hub.subscribe(request, self._profile, self)
        return self._subscription

    async def _accept(self) -> None:
        await self.accept(SUBPROTOCOL if self._profile is V1 else None)
        if "server" in self.scope:  # a real one
            presence.start()
        self._transport.open()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A frame from the client."""
        if self._subscription is None:
            return  # it was refused, and is being closed
        if self._commands is not None and self._commands.take():
            await self._refuse(CloseCode.TOO_MANY, "Too many commands; connect again more slowly")
        elif self._profile is V1:
            await self._receive_command(text_data, self._subscription)
        elif text_data == "ping":
            await self._transport.send_text("pong")
        elif text_data == "close":
            await self._close()
        else:
            self.ignored_frames += 1

    def end(self, ending: Ending) -> None:
        """Close the socket soon; nothing is awaited here."""
        if self._subscription is not None:
            self._subscription.end(ending)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """As Channels', without its hop to a thread."""
        await self.disconnect(message["code"])
        raise StopConsumer

    async def disconnect(self, code: int) -> None:
        """The client has gone, or the close is done."""
        self._free()

    def pump(self) -> None:
        """There is something to send that may have to be waited for."""
        if self._subscription is not None:
            self._pump = asyncio.create_task(self._run_pump(self._subscription))

    async def ask(self, who: Callable[..., tuple[Credentials, Any]], *arguments: str) -> tuple[Credentials, Any]:
        """Run ``renew`` in a thread."""
        try:
            return await asyncio.to_thread(with_fresh_connection, who, self.scope, self.trace_id, *arguments)
        except DatabaseError:
            raise ProtocolError(*DATABASE_AWAY) from None

    def unheard(self) -> AbstractContextManager[None]:
        """While the database is asked, nothing is read of what the client says."""
        return self._transport.unheard()

    async def _receive_command(self, text: str | None, subscription: Subscription) -> None:
        reply = await reply_to(text, self, subscription)
        if reply.text is not None:
            await self._transport.send_text(reply.text)
        self._bad_commands = self._bad_commands + 1 if reply.is_refusal else 0
        if reply.closes:
            await self._close()
        elif self._bad_commands >= MAX_BAD_COMMANDS:
            await self._refuse(CloseCode.TOO_MANY, "Too many malformed commands")

    async def _run_pump(self, subscription: Subscription) -> None:
        ending = await run_pump(subscription, self.scope)
        if ending is None:
            self._pump = None
        elif ending is not GONE:  # otherwise the server's disconnect message follows
            await self._end(ending)

    def _log_fields(self) -> dict[str, object]:
        fields: dict[str, object] = {"trace_id": self.trace_id[:128], "connection": connection_name(self.scope)}
        return fields if self._subscription is None else {**fields, "sequence": self._subscription.position}

    async def _refuse(self, code: int, message: str) -> None:
        """Say why, and close."""
        self._free()
        await self._opening.done()
        await self._transport.send_text(self._profile.error(self.trace_id[:128], code, message))
        await self._close(code)

    async def _end(self, ending: Ending) -> None:
        """Close a socket whose time is over; its place is free whether the client takes the close or not."""
        wire = self._transport.release()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._refuse(*ending)
        except TimeoutError:
            if wire is not None:
                wire.abort()  # otherwise the client could come back to a socket that nobody serves
        except OSError:
            pass

    async def _close(self, code: int = CloseCode.NORMAL) -> None:
        """Free the place before the close: nothing may be sent behind it."""
        self._free()
        if not self._transport.is_closed:
            self._transport.is_closed = True
            self._closed_with = str(int(code))
            await self.close(int(code))  # daphne refuses an IntEnum

    def _count(self, outcome: str) -> None:
        metrics.connections.labels("v1" if self._profile is V1 else "plain", outcome).inc()

    def watches_in(self, profile: Profile) -> bool:
        """Whether it has its place, in this profile."""
        return self._subscription is not None and self._profile is profile

    def _free(self) -> None:
        """Give the place back; nothing is awaited, so a cancelled connection does it too."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._hub is not None:
            self._hub.unsubscribe(subscription)
            revocation_checker().discard(self)
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
