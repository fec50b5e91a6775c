"""What callers may catch: one base, and kinds that are also the standard type a caller would expect."""

from __future__ import annotations


class TraceStreamingError(Exception):
    """Base of every error that this app raises on purpose."""


class NonCanonicalEventError(TraceStreamingError, ValueError):
    """An event name that is neither canonical nor declared in ``TRACE_STREAMING_EXTRA_EVENTS``."""


class NonCanonicalStatusError(TraceStreamingError, ValueError):
    """A status that is not one of ``pending running success warning error``."""


class InvalidTraceIdError(TraceStreamingError, ValueError):
    """A trace id with letters the protocol does not allow, or longer than 128 characters."""


class InvalidEventIdError(TraceStreamingError, ValueError):
    """An event id that is no text, or has letters that are not allowed, or more than 64 of them."""


class ProtocolError(TraceStreamingError, ValueError):
    """A request or command from a client that the wire protocol does not allow.

    ``code`` is one of :class:`trace_streaming.wire.protocol.CloseCode`; ``message`` is safe to show to the client.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class ApprovalNotFoundError(TraceStreamingError, LookupError):
    """No approval has this id, or none of this trace."""


class OtherArgumentsError(TraceStreamingError, ValueError):
    """An approval was asked for with other arguments than those that it is to be used for."""


class InvalidDecisionError(TraceStreamingError, ValueError):
    """A decision that this approval does not allow, or arguments that do not fit."""


class ApprovalConflictError(TraceStreamingError):
    """Somebody has decided differently, or the time is over. ``decision`` is what holds.

    Empty: nobody has decided, but what was shown to whom decides is not what is asked for.
    """

    def __init__(self, decision: str) -> None:
        decided = f"This approval is decided already: {decision}"
        super().__init__(decided if decision else "Other arguments are asked for than you were shown; look again")
        self.decision = decision


class StopRequestedError(TraceStreamingError):
    """Somebody has asked this run to stop (:meth:`.TraceEmitter.check_stop`).

    :param requested_by: the name of whom
    :param comment: what he has said
    """

    def __init__(self, requested_by: str = "", comment: str = "") -> None:
        who = f" by {requested_by}" if requested_by else ""
        super().__init__(f"This run was asked to stop{who}{f': {comment}' if comment else ''}")
        self.requested_by = requested_by
        self.comment = comment


class NotStoppableError(TraceStreamingError):
    """The trace does not run."""


class StorageUnavailableError(TraceStreamingError, ConnectionError):
    """The database did not answer; the same request may work a moment later."""
