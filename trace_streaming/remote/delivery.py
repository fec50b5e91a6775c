"""Brings records to a server elsewhere, until it has them or refuses them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Final

from trace_streaming.telemetry.logs import BurstLog

from .beats import OpenTraces
from .ingest import MAX_EVENTS, MAX_SIZE, Answer, IngestClient, NotYet, Refused, Sent, Stored, TooLarge, fitting, size

LOOK_SECONDS: Final = 1.0
"""Between looks whether it is time for a beat, while a server asks to be left alone."""
_RETRY_SECONDS: Final = (0.05, 5.0)
"""First and longest wait between attempts, where the server asks for none."""


class Delivery:
    """What the server does not answer to is sent again, with the same event ids, until it does.

    :param lose: told of what is given up: how many records, why, and of which trace
    """

    def __init__(
        self, client: IngestClient, open_traces: OpenTraces, lose: Callable[[int, str, str], None], log: BurstLog
    ) -> None:
        self.is_stopped = threading.Event()
        """Whether to end between two requests, or while waiting for the next attempt."""
        self.in_hand = 0
        """Records that are taken, and not known to be stored."""
        self._client = client
        self._open_traces = open_traces
        self._lose = lose
        self._log = log
        self._most = MAX_EVENTS
        self._max_size = MAX_SIZE

    def deliver(self, records: Sequence[Sent]) -> None:
        """Records of any traces, of each in their order."""
        by_trace: dict[str, list[Sent]] = {}
        for record in records:
            by_trace.setdefault(record.trace_id, []).append(record)
        self.in_hand = len(records)
        for sent in by_trace.values():
            self._deliver(sent)

    def _deliver(self, records: Sequence[Sent]) -> None:
        """Records of one trace."""
        wait, longest = _RETRY_SECONDS
        while records and not self.is_stopped.is_set():
            batch = fitting(records, self._most, self._max_size)
            answer = self._client.send(batch)
            if isinstance(answer, NotYet):
                self._log.failed("send", "Trace events are kept and sent again: %s", answer.reason)
                self._most = max(1, len(batch) // 2) if answer.is_taken else self._most
                self._rest(answer.retry_after or wait * random.uniform(0.5, 1.5))
                wait = min(wait * 2, longest)
            elif isinstance(answer, TooLarge) and len(batch) > 1:
                self._max_size = size(batch) // 2
            else:
                if isinstance(answer, Stored) and answer.stop is not None:
                    self._open_traces.listeners.tell(batch[0].trace_id, answer.stop)
                for count, reason in _given_up(answer, len(batch)):
                    self._lose(count, reason, batch[0].trace_id)
                records = records[len(batch) :]
                self.in_hand -= len(batch)
                self._most = min(self._most * 2, MAX_EVENTS)
                wait = _RETRY_SECONDS[0]

    def _rest(self, seconds: float) -> None:
        """Wait, and tell meanwhile that this process lives, and what it goes on with."""
        until = monotonic() + seconds
        while not self.is_stopped.is_set() and (left := until - monotonic()) > 0:
            self._open_traces.tell(self._client, again=True)
            self.is_stopped.wait(min(left, max(self._open_traces.wait, LOOK_SECONDS)))


def _given_up(answer: Answer, sent: int) -> Iterator[tuple[int, str]]:
    """How many of the records, and why."""
    match answer:
        case Stored(refused=refused):
            yield from ((1, reason) for reason in refused)
        case Refused(reason):
            yield sent, reason
        case TooLarge():
            yield sent, "it is too large"
