"""The rows of the table, by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final

from bench.many import many
from bench.receiving import receiving
from bench.recording import adapting, emitting, replaying, storing, streaming
from bench.row import Row, Scale
from bench.serving import deliveries, latency, memory, scaling

GROUPS: Final[Mapping[str, Callable[[Scale], AbstractContextManager[list[Row]]]]] = {
    "deliveries": deliveries,
    "latency": latency,
    "emitting": emitting,
    "streaming": streaming,
    "adapting": adapting,
    "storing": storing,
    "replaying": replaying,
    "receiving": receiving,
    "memory": memory,
    "scaling": scaling,
    "many": many,
}
