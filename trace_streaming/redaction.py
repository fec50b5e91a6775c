"""What is hidden: every event passes here once, in the emitter, before anything else can see it."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, Protocol

from .freezing import JSON

REDACTED_BY_KEY: Final = "[redacted:key]"
REDACTION_FAILED: Final = "[redacted:redactor failed]"

_SEGMENTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_SEGMENTS: Final = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "secrets", "apikey"}
    | {"authorization", "cookie", "cookies", "credential", "credentials"}
)
_SECRET_PAIRS: Final = frozenset(
    [
        ("api", "key"),
        ("access", "key"),
        ("private", "key"),
        ("secret", "key"),
        ("signing", "key"),
        ("encryption", "key"),
    ]
)


class Redactor(Protocol):
    """Replaces what must not be seen in frozen details; ``TRACE_STREAMING_REDACTOR`` names one by dotted path."""

    def __call__(self, details: dict[str, JSON], /) -> dict[str, JSON]:
        """Return the details to keep: others, or the same, changed in place; they are a copy. Called on every emit."""


def redact(details: dict[str, JSON]) -> dict[str, JSON]:
    """The default redactor: the values of keys that name a secret are replaced, at any depth."""
    for key, value in details.items():
        if is_secret_key(key) and value is not None:
            details[key] = REDACTED_BY_KEY
        elif isinstance(value, dict | list):
            _redact_inside(value)
    return details


def _redact_inside(value: JSON) -> None:
    if isinstance(value, dict):
        redact(value)
    elif isinstance(value, list):
        for item in value:
            _redact_inside(item)


def is_secret_key(key: str) -> bool:
    """Whether a key names a secret, judged by whole segments: ``db.password``, ``X-Api-Key``, ``accessToken``.

    A token is secret when the key ends in it: ``access_token`` is, ``token_count`` and ``max_tokens`` are not.
    """
    # Of a very long key both ends are judged, and no more than them is kept in memory.
    return _names_a_secret(key if len(key) <= 256 else f"{key[:128]} {key[-128:]}")


@lru_cache(maxsize=4096)
def _names_a_secret(key: str) -> bool:
    segments = [segment.lower() for segment in _SEGMENTS.findall(key)]
    return (
        not _SECRET_SEGMENTS.isdisjoint(segments)
        or any(pair in _SECRET_PAIRS for pair in pairwise(segments))
        or segments[-1:] == ["token"]
    )
