"""Sends what is emitted to a server elsewhere: the rules of the recorder, over HTTP."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Final
from weakref import WeakValueDictionary

from trace_streaming.emitting.stopping import Listeners
from trace_streaming.events import TraceEnd, TraceEvent, TraceRecord, TraceStart
from trace_streaming.recording import process_exit
from trace_streaming.recording.record_queue import Barrier, RecordQueue
from trace_streaming.telemetry.logs import BurstLog

from .beats import OpenTraces
from .ingest import MAX_EVENTS, MAX_SIZE, Answer, IngestClient, NotYet, Refused, Sent, Stored, TooLarge, fitting, size
from .telling import DeltaClient

logger = logging.getLogger(__name__)

QUEUE_SIZE: Final = 100_000
"""How many events a process may hold that a server has not stored yet."""
EXIT_FLUSH_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
"""After this long without an event, the thread ends, and its connection with it."""
END_SECONDS: Final = 2.0
"""How long the end of the thread is waited for; a request may hang for longer."""
LOOK_SECONDS: Final = 1.0
"""Between looks whether it is time for a beat, while a server asks to be left alone."""
_RETRY_SECONDS: Final = (0.05, 5.0)
"""First and longest wait between attempts, where the server asks for none."""


class Sender:
    """Takes records of any thread and trace; one thread sends them, in their order.

    While a request runs, events gather: batches grow under load, and stay at one when idle. What the server does not
    answer to is sent again, with the same event ids, until it does.
    """

    def __init__(self, base_url: str, authorization: str) -> None:
        self._server = base_url
        self._authorization = authorization
        self.forget()

    def forget(self) -> None:
        """Begin anew; in a forked child: what waits here is the parent's to send."""
        self.lost = 0
        """Records that were given up: the server refused them, or the queue was full."""
        self._queue = RecordQueue()
        self.listeners = Listeners()
        """Emitters that want to know whether they are asked to stop."""
        self.open_traces = OpenTraces(self.listeners)
        self.deltas = DeltaClient(self._server, self._authorization)
        self._lock = threading.Lock()
        """Held by whoever begins or ends the thread."""
        self._thread: _Thread | None = None
        self._log = BurstLog(logger, logging.ERROR)
        self._names = BurstLog(logger, logging.ERROR)

    def put(self, item: TraceRecord | Barrier, *, is_held: bool = False) -> None:
        """Take a record or a barrier; returns at once, and never raises.

        :param is_held: this process goes on with its trace, until that is ended here
        """
        if isinstance(item, TraceEnd):
            self.open_traces.closed(item.trace_id)
        elif is_held and isinstance(item, TraceStart | TraceEvent):
            self.open_traces.opened(item.trace_id)
        if len(self._queue) >= QUEUE_SIZE:
            for trace_id, count in self._queue.make_room(QUEUE_SIZE).items():
                self.lose(count, "the queue is full", trace_id)
        self._queue.put(item)
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                process_exit.outlive_sigterm(all_senders)
                self._thread = self._started()
            if self._thread is not None:
                self._thread.wake.set()

    def _started(self) -> _Thread | None:
        client = IngestClient(self._server, self._authorization)
        thread = _Thread(self, client, self._queue, self._log)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads, or be ending
            client.close()
            self._log.failed("thread", "Trace events wait: no thread can be started to send them")
            return None
        return thread

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was put before is stored, or given up; False when ``timeout`` seconds did not suffice."""
        barrier = Barrier()
        if not self._queue and self._thread is None:
            return True
        self.put(barrier)
        if not barrier.done() and self._thread is None:  # none could be started
            return barrier.done()
        try:
            barrier.result(timeout)
        except TimeoutError:
            return False
        return True

    def close(self, timeout: float = EXIT_FLUSH_SECONDS) -> None:
        """Send what waits, for at most ``timeout`` seconds, and end the thread. The next record starts another."""
        self.flush(timeout)
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()
        records, barriers = self._queue.take(len(self._queue))
        for barrier in barriers:
            if barrier.set_running_or_notify_cancel():
                barrier.set_exception(TimeoutError())
        if unsent := len(records) + (0 if thread is None else thread.in_hand):
            self.lost += unsent
            logger.error("%d trace events were not sent to %s in time", unsent, self._server)

    def lets_go(self, thread: _Thread) -> bool:
        """Whether a thread may end now: nothing waits or is open, and the next record starts another."""
        with self._lock:
            if self._queue or self.open_traces.are_told:
                return False
            if self._thread is thread:
                self._thread = None
            return True

    def lose(self, count: int, reason: str, trace_id: str) -> None:
        """Count what is given up, and say so once per burst; of names that are not declared once for all."""
        self.lost += count
        is_name = reason.startswith("Non-canonical event")
        (self._names if is_name else self._log).failed(
            "names" if is_name else reason,
            "Trace events are not taken by %s: %s",
            *(self._server, reason),
            extra={"trace_id": trace_id},
        )


class _Thread(threading.Thread):
    """Takes from a queue until it is ended, or has had nothing to do for some time."""

    def __init__(self, sender: Sender, client: IngestClient, queue: RecordQueue, log: BurstLog) -> None:
        super().__init__(name="trace-sender", daemon=True)
        self.wake = threading.Event()
        """Set by whoever puts something into the queue."""
        self.in_hand = 0
        """Records that are taken, and not known to be stored."""
        self._stop_asked = threading.Event()
        self._sender = sender
        self._client = client
        self._queue = queue
        self._log = log
        self._open_traces = sender.open_traces
        self._most = MAX_EVENTS
        self._max_size = MAX_SIZE

    def run(self) -> None:
        """The thread itself."""
        try:
            while not self._stop_asked.is_set():
                while self._queue and not self._stop_asked.is_set():
                    self._send_load()
                self._open_traces.tell(self._client)
                self._log.works()
                wait = self._open_traces.wait if self._open_traces.are_told else IDLE_SECONDS
                if not self.wake.wait(wait) and self._sender.lets_go(self):
                    return
                self.wake.clear()  # before the queue is asked: a record put after this wakes us again
            if not self.in_hand:  # otherwise the server is away
                self._open_traces.leave(self._client)
        finally:
            self._client.close()

    def end(self) -> None:
        """Stop between two requests, or while waiting for the next attempt; one that runs is not waited for."""
        self._stop_asked.set()
        self.wake.set()
        self.join(END_SECONDS)

    def _send_load(self) -> None:
        records, barriers = self._queue.take(MAX_EVENTS)
        by_trace: dict[str, list[Sent]] = {}
        for record in records:
            if isinstance(record, Sent):
                by_trace.setdefault(record.trace_id, []).append(record)
        self.in_hand = sum(map(len, by_trace.values()))
        for sent in by_trace.values():
            self._send(sent)
        if not self._stop_asked.is_set():
            self._open_traces.tell(self._client)  # whoever waits for what is stored may be killed behind that
        for barrier in barriers:
            if barrier.set_running_or_notify_cancel():  # whoever waited may have given up
                if self.in_hand:
                    barrier.set_exception(TimeoutError())
                else:
                    barrier.set_result(None)

    def _send(self, records: Sequence[Sent]) -> None:
        """Records of one trace, until the server has all of them, or refuses them."""
        wait, longest = _RETRY_SECONDS
        while records and not self._stop_asked.is_set():
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
                    self._sender.listeners.tell(batch[0].trace_id, answer.stop)
                for count, reason in _given_up(answer, len(batch)):
                    self._sender.lose(count, reason, batch[0].trace_id)
                records = records[len(batch) :]
                self.in_hand -= len(batch)
                self._most = min(self._most * 2, MAX_EVENTS)
                wait = _RETRY_SECONDS[0]

    def _rest(self, seconds: float) -> None:
        """Wait, and tell meanwhile that this process lives, and what it goes on with."""
        until = monotonic() + seconds
        while not self._stop_asked.is_set() and (left := until - monotonic()) > 0:
            self._open_traces.tell(self._client, again=True)
            self._stop_asked.wait(min(left, max(self._open_traces.wait, LOOK_SECONDS)))


def _given_up(answer: Answer, sent: int) -> Iterator[tuple[int, str]]:
    """How many of the records, and why."""
    match answer:
        case Stored(refused=refused):
            yield from ((1, reason) for reason in refused)
        case Refused(reason):
            yield sent, reason
        case TooLarge():
            yield sent, "it is too large"


class _AllSenders:
    """Those of this process: what its end, and a fork, are told to."""

    def __init__(self) -> None:
        self._senders: WeakValueDictionary[tuple[str, str], Sender] = WeakValueDictionary()
        """One to each server, for each authorization; gone when no emitter is left, and nothing to send."""
        self._lock = threading.Lock()

    def to(self, base_url: str, authorization: str) -> Sender:
        """The sender to a server, for whoever has this authorization."""
        with self._lock:
            sender = self._senders.get((base_url, authorization))
            if sender is None:
                sender = self._senders[base_url, authorization] = Sender(base_url, authorization)
            return sender

    def close(self) -> None:
        """Send what waits."""
        for sender in list(self._senders.values()):
            sender.close()

    def before_fork(self) -> None:
        """The child shares no connection: nothing has to be waited for."""

    def after_fork(self) -> None:
        """The same."""

    def forget(self) -> None:
        """In the child: all that waits is the parent's to send."""
        self._lock = threading.Lock()
        for sender in list(self._senders.values()):
            sender.forget()


all_senders = _AllSenders()
process_exit.install(all_senders)
