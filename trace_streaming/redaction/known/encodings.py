"""The ways in which a value is written where it is carried: as it is, escaped, in percents, base64, hexadecimal."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 6
"""Characters of a value, and of what is sought for it."""
_LONG: Final = 16
"""Characters of a value that is no other when it is written in small letters."""
_LEVELS: Final = 4
"""Of JSON in JSON."""
_QUOTES: Final = (
    ("&quot;", "&#x27;"),
    ("&#34;", "&#39;"),
    ("&quot;", "&#39;"),
    ("&quot;", "&#039;"),
    ("&quot;", "&apos;"),
    ("&quot;", "'"),
    ('"', "'"),
)
"""Double ones and single ones, as they are escaped together."""


def encodings(value: str) -> Iterator[str]:
    """The value itself, and its other forms; some may be the same."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    forms = (value, json.dumps(value)[1:-1], repr(value)[1:-1], repr(raw)[2:-1], *_as_html(value))
    for form in dict.fromkeys(forms):
        escaped = form
        for _ in range(_LEVELS):
            yield escaped
            escaped = json.dumps(escaped, ensure_ascii=False)[1:-1]
    for form in {quote(value, safe=""), quote(value), quote_plus(value)}:
        yield form
        yield _small_percents(form)
    yield value.replace("+", "-").replace("/", "_")
    if len(value) >= _LONG:
        yield value.upper()
        yield value.lower()
    if "'" in value:
        yield value.replace("'", "'\\''")
        yield value.replace("'", "'\\\\''")
        yield value.replace("'", "'\"'\"'")
    yield raw.hex()
    yield raw.hex().upper()


def _as_html(value: str) -> Iterator[str]:
    """As Django and Python escape it, and as Jinja, Go, PHP and XML do."""
    text = html.escape(value, quote=False)
    for double, single in _QUOTES:
        yield text.replace('"', double).replace("'", single)


def base64_parts(value: str) -> Iterator[str]:
    """What of its base64 is the same wherever in a longer text the value stands: three ways, by what is before it."""
    raw = value.encode("utf-8", "surrogatepass")
    yield from _parts(raw)
    yield from _parts(base64.b64encode(raw))


def _parts(raw: bytes) -> Iterator[str]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        begin = (0, 2, 3)[before]
        whole = (before + len(raw)) // 3 * 4 if (before + len(raw)) % 3 else len(encoded)
        core = encoded[begin:whole]
        if len(core) >= SHORTEST:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _small_percents(form: str) -> str:
    first, *others = form.split("%")
    return "%".join((first, *(other[:2].lower() + other[2:] for other in others)))
