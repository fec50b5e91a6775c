"""What calls say while they say it: gathered, redacted, and told up to four times a second by a thread of its own.

To redact it takes the processor, and a thousand calls may say something at once: the more it takes, the longer are the
pieces, and what else this process does goes before it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from threading import Condition, RLock, Thread
from time import monotonic, sleep, thread_time
from typing import Final

from trace_streaming.events.deltas import TextDelta
from trace_streaming.redaction import Redactor
from trace_streaming.redaction.streams import StreamedText
from trace_streaming.starting import start

INTERVAL_SECONDS: Final = 0.25
"""Between two deltas of one call, at the least."""
SHARE_OF_A_STREAM: Final = 1 / 20
"""Of a processor's time: a long text without paragraphs is redacted again from its beginning."""
SHARE_OF_ALL: Final = 1 / 3
IDLE_SECONDS: Final = 5.0
"""After which a thread with nothing to do ends."""
MOST_CHARACTERS: Final = 65_536
"""In one delta."""

Tell = Callable[[TextDelta], None]


class TextStream:
    """The text of one call.

    :param redactor: of its emitter
    :param tell: called with each delta, in the thread of the teller; what it raises ends the stream
    """

    def __init__(self, trace_id: str, call_id: str, redactor: Redactor, tell: Tell) -> None:
        self._trace_id = trace_id
        self._call_id = call_id
        self._tell = tell
        self._text = StreamedText(trace_id, redactor)
        self._pieces: list[str] = []
        self._is_closed = False
        self.due = 0.0
        """When it may tell again, by the monotonic clock."""

    def put(self, text: str) -> None:
        """Add a piece; returns at once."""
        if self._is_closed or not text:
            return
        self._pieces.append(text)
        if len(self._pieces) == 1:
            teller.wake(self)

    def close(self) -> None:
        """The call has ended: its result follows as an event, and what was not told yet is not told."""
        self._is_closed = True
        self._pieces.clear()

    def tell(self) -> None:
        """Tell what can be told of what has gathered."""
        began = thread_time()
        self.due = monotonic() + INTERVAL_SECONDS
        self._tell_gathered()
        self.due = max(self.due, monotonic() + (thread_time() - began) / SHARE_OF_A_STREAM)

    def _tell_gathered(self) -> None:
        pieces, self._pieces = self._pieces, []
        offset = self._text.offset
        text = self._text.add("".join(pieces))
        for first in range(0, len(text), MOST_CHARACTERS):
            if self._is_closed:
                return
            self._tell(TextDelta(self._trace_id, self._call_id, offset + first, text[first : first + MOST_CHARACTERS]))


class Teller:
    """The thread that tells. It runs while there is something to tell."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: what waits is the parent's to tell."""
        self._waiting: list[tuple[float, int, TextStream]] = []
        """Those that have something to tell: first whose turn it is first."""
        self._numbers = itertools.count()
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._thread: Thread | None = None

    def wake(self, stream: TextStream) -> None:
        """A stream has something to tell."""
        # Not the condition itself, which is entered in two steps: Ctrl-C between them would leave it locked.
        with self._lock, suppress(RuntimeError):  # there may be no more threads; the next to wake tries again
            heappush(self._waiting, (max(stream.due, monotonic()), next(self._numbers), stream))
            if self._thread is None:
                thread = Thread(target=self._run, name="trace-text", daemon=True)
                start(thread)
                self._thread = thread
            else:
                self._changed.notify()

    def _run(self) -> None:
        while (stream := self._next()) is not None:
            began = thread_time()
            try:
                stream.tell()
            except Exception:  # whoever is told, the agent goes on; the result is an event
                stream.close()
            del stream  # while it waits for the next it keeps no emitter
            sleep((thread_time() - began) * (1 / SHARE_OF_ALL - 1))

    def _next(self) -> TextStream | None:
        """The next that may tell, as soon as it may; None when there was none for long."""
        with self._changed:
            while True:
                wait = self._waiting[0][0] - monotonic() if self._waiting else IDLE_SECONDS
                if wait <= 0:
                    return heappop(self._waiting)[-1]
                if not self._changed.wait(wait) and not self._waiting:
                    self._thread = None
                    return None


teller: Final = Teller()
os.register_at_fork(after_in_child=teller.forget)
