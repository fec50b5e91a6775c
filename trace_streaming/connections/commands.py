"""What a ``trace-stream.v1`` client may ask of its socket, beside a close: each command, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError

from trace_streaming.access.admission import renew
from trace_streaming.access.authentication import Credentials, as_posted
from trace_streaming.approvals.decisions import decide_as
from trace_streaming.conf import conf
from trace_streaming.events import event_names
from trace_streaming.exceptions import (
    ApprovalConflictError,
    ApprovalNotFoundError,
    InvalidDecisionError,
    NotStoppableError,
    ProtocolError,
    StorageUnavailableError,
)
from trace_streaming.stopping.requests import request_stop_as
from trace_streaming.storage.store import with_fresh_connection
from trace_streaming.watching.subscription import Subscription
from trace_streaming.wire.profiles import V1
from trace_streaming.wire.protocol import CloseCode, Command, parse_acknowledged, parse_command, parse_filter

NOT_FOUND: Final = 4404
CONFLICT: Final = 4409
"""Answers to commands, which close nothing."""


class Commanded(Protocol):
    """The socket of the client."""

    trace_id: str
    user_key: object
    """Of whom it has let in."""
    credentials: Credentials
    opened_at: float
    """When it last showed credentials, by the loop's clock."""

    async def ask(self, who: Callable[..., tuple[Credentials, Any]], *arguments: str) -> tuple[Credentials, Any]:
        """Run a function of :mod:`trace_streaming.access.admission` in a thread."""

    def unheard(self) -> AbstractContextManager[None]:
        """Within, nothing is read of what the client says."""


class Reply(NamedTuple):
    """What becomes of a command."""

    text: str | None = None
    """The frame that answers it, where one does."""
    is_refusal: bool = False
    """Whether it was malformed, or not to be done."""
    closes: bool = False
    """Whether the client asks for the end."""


async def reply_to(text: str | None, socket: Commanded, subscription: Subscription) -> Reply:
    """Read a command and carry it out.

    :param text: of its frame; None for a binary one
    """
    command: Command | None = None
    try:
        command = parse_command(text)
        if command.type == "close":
            return Reply(closes=True)
        return Reply(await _obey(command, socket, subscription))
    except ProtocolError as error:
        error_id = command.id if command else None
        return Reply(V1.error(socket.trace_id, error.code, error.message, error_id), is_refusal=True)
    except (DatabaseError, StorageUnavailableError):
        away = "The database does not answer; try again"
        return Reply(V1.error(socket.trace_id, CloseCode.GOING_AWAY, away, command.id if command else None))


async def _obey(command: Command, socket: Commanded, subscription: Subscription) -> str | None:
    """Carry a command out; the frame that answers it, where one does.

    :raises ProtocolError: what the client is told instead
    :raises django.db.Error: the database does not answer
    """
    match command.type:
        case "ping":
            return V1.pong()
        case "ack":
            subscription.acknowledge(parse_acknowledged(command.arguments))
            return None
        case "subscribe":
            subscription.filter = parse_filter(command.arguments, event_names(conf.EXTRA_EVENTS))
        case "renew":
            await _renew(socket, command.arguments.get("ticket"))
        case "decide":
            await _decide(socket, command.arguments)
        case "stop":
            await _stop(socket, command.arguments.get("comment"))
        case _:
            raise ProtocolError(CloseCode.BAD_REQUEST, f"Unknown command: {command.type[:64]}")
    return V1.result(command.id)


async def _renew(socket: Commanded, ticket: object) -> None:
    if not isinstance(ticket, str):
        raise ProtocolError(CloseCode.BAD_REQUEST, "Bad renew: ticket is a text")
    with socket.unheard():
        credentials, user = await socket.ask(renew, ticket)
    if getattr(user, "pk", None) != socket.user_key:
        raise ProtocolError(CloseCode.NOT_ALLOWED, "This is another user's ticket; connect again with it")
    socket.credentials = credentials
    socket.opened_at = asyncio.get_running_loop().time()


async def _decide(socket: Commanded, said: Mapping[str, Any]) -> None:
    """Decide an approval of this trace; its event comes as all others do."""
    if "\0" in str(said.get("approval_id")):  # which PostgreSQL does not look for
        raise ProtocolError(NOT_FOUND, "This trace has no such approval")

    def decide() -> None:
        request = as_posted(socket.credentials.authenticate())
        decide_as(request, socket.trace_id, said.get("approval_id"), said, "socket")

    try:
        await asyncio.to_thread(with_fresh_connection, decide)
    except PermissionDenied as error:
        raise ProtocolError(CloseCode.NOT_ALLOWED, str(error)) from None
    except InvalidDecisionError as error:
        raise ProtocolError(CloseCode.BAD_REQUEST, str(error)) from None
    except ApprovalNotFoundError as error:
        raise ProtocolError(NOT_FOUND, str(error)) from None
    except ApprovalConflictError as error:
        raise ProtocolError(CONFLICT, str(error)) from None


async def _stop(socket: Commanded, comment: object) -> None:
    """Ask this trace's run to stop."""

    def stop() -> None:
        request_stop_as(as_posted(socket.credentials.authenticate()), socket.trace_id, comment, "socket")

    try:
        await asyncio.to_thread(with_fresh_connection, stop)
    except PermissionDenied as error:
        raise ProtocolError(CloseCode.NOT_ALLOWED, str(error)) from None
    except InvalidDecisionError as error:
        raise ProtocolError(CloseCode.BAD_REQUEST, str(error)) from None
    except NotStoppableError as error:
        raise ProtocolError(CONFLICT, str(error)) from None
