"""For the project's own logs: which trace a line belongs to.

All lines of this app come from loggers below ``trace_streaming``. What they are about is in ``extra``, never in the
text of an event: ``trace_id``, and of a socket ``connection`` (the client's address) and ``sequence`` (the last event
that was sent).
"""

from __future__ import annotations

import logging

from .emitting.contract import current_emitter

FIELDS = ("trace_id", "sequence", "connection")


class TraceIdFilter(logging.Filter):
    """Adds the current emitter's ``trace_id`` to a record that names none, and what is missing of the fields as "-".

    Put it on a handler, so that the records of all loggers pass it; it keeps all of them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """True."""
        if not getattr(record, "trace_id", None):
            emitter = current_emitter()
            record.trace_id = "-" if emitter is None else emitter.trace_id
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, "-")
        return True
