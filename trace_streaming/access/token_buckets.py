"""How often something may happen: token buckets, one for each key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import RLock
from time import monotonic
from typing import Final

from trace_streaming.conf import Rate

MAX_BUCKETS: Final = 10_000
"""So many keys are remembered; of more, those unused for longest begin anew."""


class TokenBucket:
    """Lets a rate's number through at once, and goes on filling at the rate. Not thread-safe."""

    __slots__ = ("_rate", "_tokens", "_updated")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = float(rate.times)
        self._updated = monotonic()

    def take(self) -> float:
        """Take a token. 0 when there was one, otherwise the seconds until there is."""
        now = monotonic()
        times, seconds = self._rate
        self._tokens = min(self._tokens + (now - self._updated) * times / seconds, times)
        self._updated = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) * seconds / times


class TokenBuckets:
    """A bucket for each key, of a bounded number of keys. Thread-safe."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self._lock = RLock()  # reentrant: a finalizer that the garbage collector runs inside may emit

    def take(self, key: Hashable, rate: Rate) -> float:
        """Take a token of this key. 0 when there was one, otherwise the seconds until there is."""
        with self._lock:
            bucket = self._buckets.setdefault((key, rate), TokenBucket(rate))
            self._buckets.move_to_end((key, rate))
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
            return bucket.take()

    def clear(self) -> None:
        """Forget all keys."""
        with self._lock:
            self._buckets.clear()
