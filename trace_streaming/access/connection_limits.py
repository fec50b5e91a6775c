"""How much each may take of a process: connections, and attempts to connect. Held before anybody is authenticated."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable
from ipaddress import IPv6Address
from math import ceil
from threading import Lock
from typing import Final

from trace_streaming.conf import conf
from trace_streaming.exceptions import ProtocolError
from trace_streaming.wire.protocol import CloseCode

from .token_buckets import TokenBuckets

RETRY_SECONDS: Final = 10
"""When to try again where nobody can know when a place is free."""


class Places:
    """The places of one process that are taken, by what limits them. Thread-safe."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """None is taken, as in a forked child."""
        self._taken: Counter[Hashable] = Counter()
        self._lock = Lock()
        self._attempts = TokenBuckets()

    def attempt(self, address: str) -> None:
        """Count an attempt to connect.

        :raises ProtocolError: 4029, too many from this address
        """
        if (rate := conf.limits.connects_per_address) and (seconds := self._attempts.take(address, rate)):
            raise ProtocolError(
                CloseCode.TOO_MANY, f"Too many connections at once from this address; retry in {ceil(seconds)} s"
            )

    def taken(self) -> dict[Hashable, int]:
        """How many are taken of each limit."""
        with self._lock:
            return dict(self._taken)

    def _take(self, key: Hashable, most: int | None, where: str) -> None:
        with self._lock:
            if most is not None and self._taken[key] >= most:
                raise ProtocolError(
                    CloseCode.TOO_MANY, f"Too many connections {where}: at most {most}; retry in {RETRY_SECONDS} s"
                )
            self._taken[key] += 1

    def _give_back(self, keys: list[Hashable]) -> None:
        with self._lock:
            for key in keys:
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]


class Place:
    """What one connection takes. Each method raises :exc:`ProtocolError`, 4029, when there is no place."""

    def __init__(self) -> None:
        self._keys: list[Hashable] = []

    def enter(self, address: str) -> None:
        """Of the process, and of the client's address."""
        network = network_of(address)
        places.attempt(network)
        self._take("process", conf.limits.connections, "to this process")
        self._take(("address", network), conf.limits.connections_per_address, "from this address")

    def watch(self, trace_id: str, user_key: object) -> None:
        """Of a trace, and of a user, who is None when nobody is known."""
        self._take(("trace", trace_id), conf.limits.connections_per_trace, "to this trace")
        if user_key is not None:
            self._take(("user", user_key), conf.limits.connections_per_user, "of this user")

    def give_back(self) -> None:
        """The connection has ended. Called again, it does nothing."""
        keys, self._keys = self._keys, []
        places._give_back(keys)

    def _take(self, key: Hashable, most: int | None, where: str) -> None:
        places._take(key, most, where)
        self._keys.append(key)


def network_of(address: str) -> str:
    """What one client can have: an IPv4 address, or the first 64 bits of one of IPv6 (RFC 6177)."""
    try:
        ip = IPv6Address(address)
    except ValueError:  # IPv4, or no address
        return address
    return str(ip.ipv4_mapped or IPv6Address(int(ip) >> 64 << 64))


places = Places()
os.register_at_fork(after_in_child=places.reset)
