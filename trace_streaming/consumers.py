"""What speaks ASGI: a thin adapter between one WebSocket and one subscription."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from .access.admission import admit
from .access.authentication import Credentials, Handshake
from .access.connection_limits import Place
from .access.revocation import current_guard
from .access.token_buckets import TokenBucket
from .conf import conf
from .events import event_names
from .exceptions import ProtocolError, StorageUnavailableError
from .servers.presence import presence
from .servers.wires import SCOPE_KEY, Wire
from .sockets.commands import obey
from .storage.store import with_fresh_connection
from .telemetry import metrics
from .telemetry.logs import connection_name, describe
from .watching.hub import Hub, current_hub
from .watching.pump import GONE, run_pump
from .watching.subscription import Subscription
from .wire.frames import Frame, Packet
from .wire.profiles import PLAIN, V1, Profile
from .wire.protocol import (
    FAILED,
    GOING_AWAY,
    SUBPROTOCOL,
    CloseCode,
    Command,
    Ending,
    parse_command,
    parse_watch_request,
)

logger = logging.getLogger(__name__)

MAX_BAD_COMMANDS: Final = 32
"""So many malformed commands in a row close the socket."""
CLOSE_SECONDS: Final = 1.0
"""How long a client that takes nothing is asked to take its close."""
_DATABASE_AWAY: Final = Ending(CloseCode.GOING_AWAY, "The database does not answer; connect again")


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
        self._wire: Wire | None = None
        self._bad_commands = 0
        self._is_closed = False
        self._closed_with = "client"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Whatever ends the connection, its place is freed: ``disconnect`` is not called for every end."""
        task = asyncio.current_task()
        _open[task] = self
        self.scope, self.base_send = scope, send
        self.credentials: Credentials = Handshake(scope)
        try:
            # Channels would read the client in a task of its own, beside a channel of the layer.
            with suppress(StopConsumer):
                while True:
                    await self.dispatch(await receive())
        finally:
            del _open[task]
            self._free()
            metrics.closes.labels(self._closed_with).inc()
            self._place.give_back()
            if self._wire is not None:
                self._wire.close()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Frames go straight to their handler: Channels would hop to a thread for each."""
        try:
            if message["type"] == "websocket.receive":
                await self.websocket_receive(message)
            else:
                await super().dispatch(message)
        except (StopConsumer, OSError):
            raise
        except Exception as error:  # such as that of an authentication class
            logger.error("A socket failed: %s", describe(error), extra=self._log_fields())
            await self._refuse(*FAILED)

    async def connect(self) -> None:
        """Accept, so that a browser can read what follows; then let the client watch, or say why not."""
        self.trace_id = self.scope["url_route"]["kwargs"]["trace_id"]
        offered = SUBPROTOCOL in self.scope.get("subprotocols", ())
        self._profile = V1 if offered else PLAIN
        await self.accept(SUBPROTOCOL if offered else None)
        if "server" in self.scope:  # a real one
            presence.start()
        if (new_wire := self.scope.pop(SCOPE_KEY, None)) is not None:
            self._wire = new_wire()
        try:
            self._place.enter((self.scope.get("client") or ("unknown",))[0])
            request = parse_watch_request(
                self.trace_id, self.scope.get("query_string", b""), event_names(conf.EXTRA_EVENTS)
            )
            with self.unheard():
                self.credentials, user = await self.ask(admit)
                self.user_key = getattr(user, "pk", None)
                self._place.watch(self.trace_id, self.user_key)
                self._hub = current_hub()
                self._subscription = await self._hub.subscribe(request, self._profile, self)
        except ProtocolError as error:
            self._count(str(int(error.code)))
            await self._refuse(error.code, error.message)
        except StorageUnavailableError:
            self._count(str(int(CloseCode.GOING_AWAY)))
            await self._refuse(*_DATABASE_AWAY)
        else:
            self._count("watching")
            current_guard().add(self)
            await self._send_text(self._subscription.connected(conf.HEARTBEAT_SECONDS))
            self.pump()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A frame from the client."""
        if self._subscription is None:
            return  # it was refused, and is being closed
        if self._commands is not None and self._commands.take():
            await self._refuse(CloseCode.TOO_MANY, "Too many commands; connect again more slowly")
        elif self._profile is V1:
            await self._receive_command(text_data, self._subscription)
        elif text_data == "ping":
            await self._send_text("pong")
        elif text_data == "close":
            await self._close()
        else:
            self.ignored_frames += 1

    def end(self, ending: Ending) -> None:
        """Close the socket soon; nothing is awaited here."""
        if self._subscription is not None:
            self._subscription.end(ending)

    async def disconnect(self, code: int) -> None:
        """The client has gone, or the close is done."""
        self._free()

    def send_now(self, packet: Packet) -> bool:
        """Events for the client, at once, if it takes them."""
        return self._wire is not None and self._wire.write(packet)

    async def send_packet(self, packet: Packet) -> None:
        """Events and notices for the client, as soon as it takes them."""
        if self._wire is None:
            for frame in packet.frames:
                await self._send_text(frame.text)
            return
        while not self._wire.write(packet):
            await self._wire.wait()

    def pump(self) -> None:
        """There is something to send that may have to be waited for."""
        if self._subscription is not None:
            self._pump = asyncio.create_task(self._run_pump(self._subscription))

    async def ask(self, who: Callable[..., tuple[Credentials, Any]], *arguments: str) -> tuple[Credentials, Any]:
        """Run ``admit`` or ``renew`` in a thread."""
        try:
            return await asyncio.to_thread(with_fresh_connection, who, self.scope, self.trace_id, *arguments)
        except DatabaseError:
            raise ProtocolError(*_DATABASE_AWAY) from None

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """While the database is asked, nothing is read of what the client says: it would gather."""
        if self._wire is not None:
            self._wire.stop_reading()
        try:
            yield
        finally:
            if self._wire is not None:
                self._wire.read_on()

    async def _receive_command(self, text: str | None, subscription: Subscription) -> None:
        command: Command | None = None
        try:
            command = parse_command(text)
            if command.type == "close":
                await self._close()
            elif (answer := await obey(command, self, subscription)) is not None:
                await self._send_text(answer)
        except ProtocolError as error:
            await self._send_text(
                self._profile.error(self.trace_id, error.code, error.message, command.id if command else None)
            )
            self._bad_commands += 1
            if self._bad_commands >= MAX_BAD_COMMANDS:
                await self._refuse(CloseCode.TOO_MANY, "Too many malformed commands")
        except (DatabaseError, StorageUnavailableError):
            away = (CloseCode.GOING_AWAY, "The database does not answer; try again", command.id if command else None)
            await self._send_text(self._profile.error(self.trace_id, *away))
        else:
            self._bad_commands = 0

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
        await self._send_text(self._profile.error(self.trace_id[:128], code, message))
        await self._close(code)

    async def _end(self, ending: Ending) -> None:
        """Close a socket whose time is over; its place is free whether the client takes the close or not."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
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
        if not self._is_closed:
            self._is_closed = True
            self._closed_with = str(int(code))
            await self.close(int(code))  # daphne refuses an IntEnum

    def _count(self, outcome: str) -> None:
        metrics.connections.labels("v1" if self._profile is V1 else "plain", outcome).inc()

    def watches_in(self, profile: Profile) -> bool:
        """Whether it has its place, in this profile."""
        return self._subscription is not None and self._profile is profile

    async def _send_text(self, text: str) -> None:
        if self._is_closed:
            pass  # by the guard, while a command of the client was carried out
        elif self._wire is None:
            await self.base_send({"type": "websocket.send", "text": text})
        else:
            with suppress(ConnectionError):  # it has gone; the server's disconnect message follows
                await self.send_packet(Packet([Frame(text)]))

    def _free(self) -> None:
        """Give the place back; nothing is awaited, so a cancelled connection does it too."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._hub is not None:
            self._hub.unsubscribe(subscription)
            current_guard().discard(self)
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()


_open: dict[asyncio.Task[Any] | None, TraceConsumer] = {}
metrics.sources["open_connections_plain"] = lambda: sum(each.watches_in(PLAIN) for each in list(_open.values()))
metrics.sources["open_connections_v1"] = lambda: sum(each.watches_in(V1) for each in list(_open.values()))


async def close_all() -> None:
    """The server is ending: tell all clients of the running loop to connect again, and give them a second to go."""
    loop = asyncio.get_running_loop()
    here = {task: consumer for task, consumer in _open.items() if task is not None and task.get_loop() is loop}
    for consumer in here.values():
        consumer.end(GOING_AWAY)
    if here:
        await asyncio.wait(here, timeout=CLOSE_SECONDS)
