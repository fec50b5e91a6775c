"""What a request of OTLP holds: its spans, and what is wrong about those that are none.

https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from rest_framework.exceptions import ParseError

from trace_streaming.access.bodies import TooLargeError
from trace_streaming.conventions.otel_spans import OtelSpan

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of a request, as it comes and as it is unpacked."""
MAX_SPANS: Final = 10_000
MAX_REASONS: Final = 5
"""That an answer gives."""
_GZIP: Final = 31
"""zlib's name for the format."""


@dataclass
class Refusals:
    """Spans that are not taken, and why."""

    reasons: Counter[str] = field(default_factory=Counter)
    _spans: set[tuple[str, str]] = field(default_factory=set)
    """Trace and id of those that are counted, as far as these are known."""

    def add(self, reason: object, span: tuple[str, str] | None = None) -> None:
        """One more.

        :param span: its trace and its id: both of its events may be refused, and it counts once
        """
        if span is None or span not in self._spans:
            self.reasons[str(reason)] += 1
        if span is not None:
            self._spans.add(span)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.reasons.total()

    @property
    def message(self) -> str:
        """Why, for whoever has sent them."""
        told = [f"{count} x {reason}" for reason, count in self.reasons.most_common(MAX_REASONS)]
        more = len(self.reasons) - len(told)
        return "; ".join([*told, f"{more} more reasons"] if more else told)


@dataclass
class Request:
    """What was sent."""

    spans: list[OtelSpan] = field(default_factory=list)
    refused: Refusals = field(default_factory=Refusals)

    announced: int = 0
    """How many are in what was looked at so far; a group of none counts, too."""

    def announce(self, count: int) -> None:
        """So many more follow; raise 413 for too many, before any of them is read."""
        self.announced += max(count, 1)
        if self.announced > MAX_SPANS:
            raise TooLargeError(f"A request has at most {MAX_SPANS} spans")


def unpacked(body: bytes) -> bytes:
    """What was packed with gzip; 413 where more than ``MAX_BYTES`` come out, and 400 for what is no gzip."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        told = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise ParseError("Not gzip") from None
    if len(told) > MAX_BYTES:
        raise TooLargeError(f"A request has at most {MAX_BYTES} bytes, unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise ParseError("Not one whole gzip")
    return told
