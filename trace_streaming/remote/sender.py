"""Sends what is emitted to a server elsewhere: the rules of the recorder, over HTTP."""

from __future__ import annotations

import logging
import threading
from typing import Final
from weakref import WeakValueDictionary

from trace_streaming.events import TraceEnd, TraceEvent, TraceRecord, TraceStart
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.recording import process_exit
from trace_streaming.recording.record_queue import Barrier, RecordQueue
from trace_streaming.starting import Bell, check_may_start, start
from trace_streaming.telemetry.logs import BurstLog, on_one_line

from .beats import OpenTraces
from .delivery import Delivery
from .ingest import MAX_EVENTS, IngestClient, Sent
from .telling import DeltaClient

logger = logging.getLogger(__name__)

QUEUE_SIZE: Final = 100_000
"""How many events a process may hold that a server has not stored yet."""
EXIT_FLUSH_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
"""After this long without an event, the thread ends, and its connection with it."""
END_SECONDS: Final = 2.0
"""How long the end of the thread is waited for; a request may hang for longer."""


class Sender:
    """Takes records of any thread and trace; one thread sends them, in their order.

    While a request runs, events gather: batches grow under load, and stay at one when idle.
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
        self.open_traces = OpenTraces()
        self.deltas = DeltaClient(self._server, self._authorization)
        self._lock = threading.RLock()  # a finalizer, or a signal's handler, may emit while it is held
        """Held by whoever begins or ends the thread."""
        self._thread: _Thread | None = None
        self._is_starting = False
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
            if self._is_starting:  # it takes all that waits then
                return
            if self._thread is None or self._thread.has_ended:
                self._is_starting = True
                try:
                    process_exit.outlive_sigterm(all_senders)
                    self._thread = self._started()
                finally:
                    self._is_starting = False
            if self._thread is not None:
                self._thread.bell.ring()

    def _started(self) -> _Thread | None:
        client = None
        try:
            check_may_start()
            client = IngestClient(self._server, self._authorization)
            thread = _Thread(self, client, self._queue, self._log)
            start(thread)
        except RuntimeError:  # the process may have no more threads, or be ending
            if client is not None:
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
        except TimeoutError as error:
            if is_for_the_process(error):
                raise
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
        if unsent := len(records) + (0 if thread is None else thread.delivery.in_hand):
            self.lost += unsent
            logger.error("%d trace events were not sent to %s in time", unsent, self._server)

    def takes(self, thread: _Thread) -> bool:
        """Whether a thread is the one: Ctrl-C may have come while its start was waited for, and the next started."""
        with self._lock:
            return self._thread is thread

    def lets_go(self, thread: _Thread) -> bool:
        """Whether a thread may end now: nothing waits or is open, and the next record starts another."""
        with self._lock:
            if self._thread is thread:
                self._thread = None  # from here on whoever puts something starts another, in this thread, too
            if self._thread is None and (self._queue or self.open_traces.are_told):
                self._thread = thread
            return self._thread is not thread

    def lose(self, count: int, reason: str, trace_id: str) -> None:
        """Count what is given up, and say so once per burst; of names that are not declared once for all."""
        self.lost += count
        is_name = reason.startswith("Non-canonical event")
        (self._names if is_name else self._log).failed(
            "names" if is_name else reason,
            "Trace events are not taken by %s: %s",
            *(self._server, on_one_line(reason)),
            extra={"trace_id": trace_id},
        )


class _Thread(threading.Thread):
    """Takes from a sender's queue until it is ended, or has had nothing to do for some time."""

    def __init__(self, sender: Sender, client: IngestClient, queue: RecordQueue, log: BurstLog) -> None:
        super().__init__(name="trace-sender", daemon=True)
        self.has_ended = False
        """Not ``is_alive``: Ctrl-C in the middle of that makes Python 3.11 take a thread for dead that lives."""
        self.bell = Bell()
        """Rung by whoever has put something into the queue."""
        self.delivery = Delivery(client, sender.open_traces, sender.lose, log)
        self._sender = sender
        self._client = client
        self._queue = queue
        self._log = log
        self._open_traces = sender.open_traces

    def run(self) -> None:
        """The thread itself."""
        is_stopped = self.delivery.is_stopped
        try:
            if not self._sender.takes(self):
                return
            while not is_stopped.is_set():
                while self._queue and not is_stopped.is_set():
                    self._send_load()
                self._open_traces.tell(self._client)
                self._log.works()
                wait = self._open_traces.wait if self._open_traces.are_told else IDLE_SECONDS
                if not self.bell.wait(wait) and self._sender.lets_go(self):
                    return
            if not self.delivery.in_hand:  # otherwise the server is away
                self._open_traces.leave(self._client)
        finally:
            self.has_ended = True
            self._client.close()

    def end(self) -> None:
        """Stop between two requests, or while waiting for the next attempt; one that runs is not waited for."""
        self.delivery.is_stopped.set()
        self.bell.ring()
        self.join(END_SECONDS)

    def _send_load(self) -> None:
        records, barriers = self._queue.take(MAX_EVENTS)
        self.delivery.deliver([record for record in records if isinstance(record, Sent)])
        if not self.delivery.is_stopped.is_set():
            self._open_traces.tell(self._client)  # whoever waits for what is stored may be killed behind that
        for barrier in barriers:
            if barrier.set_running_or_notify_cancel():  # whoever waited may have given up
                if self.delivery.in_hand:
                    barrier.set_exception(TimeoutError())
                else:
                    barrier.set_result(None)


class _AllSenders:
    """Those of this process: what its end, and a fork, are told to."""

    def __init__(self) -> None:
        self._senders: WeakValueDictionary[tuple[str, str], Sender] = WeakValueDictionary()
        """One to each server, for each authorization; gone when no emitter is left, and nothing to send."""
        self._lock = threading.RLock()

    def to(self, base_url: str, authorization: str) -> Sender:
        """The sender to a server, for whoever has this authorization."""
        with self._lock:
            sender = self._senders.get((base_url, authorization))
            if sender is None:
                sender = self._senders.setdefault((base_url, authorization), Sender(base_url, authorization))
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
        self._lock = threading.RLock()
        for sender in list(self._senders.values()):
            sender.forget()


all_senders = _AllSenders()
process_exit.install(all_senders)
