"""Values that another process has hidden, known by keyed digests alone: found where they stand as words."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote

_WORD: Final = re.compile(r"""[^\s"'`\\,;<>(){}\[\]|]{6,256}""")
_PIECES: Final = re.compile(r"[=:/&?@#]+")
_MOST_WORDS: Final = 4_000
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_\-]{8,}={0,2}")


def key_of(secret: str | bytes) -> bytes:
    """A key for digests, of a project's ``SECRET_KEY``."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return blake2b(raw, digest_size=32, person=b"trace.hidden").digest()


def digest(value: str, key: bytes) -> str:
    """Of a value, with its length: 128 bits of BLAKE2b, which nobody without the key can try values against."""
    return f"{len(value)}:{blake2b(value.encode('utf-8', 'surrogatepass'), key=key, digest_size=16).hexdigest()}"


def found(text: str, digests: Collection[str], keys: Sequence[bytes]) -> Iterator[str]:
    """The values in a text that have one of the digests."""
    lengths = {int(each.partition(":")[0]) for each in digests}
    for word in dict.fromkeys(_words(text)):
        if len(word) in lengths and any(digest(word, key) in digests for key in keys):
            yield word


def _words(text: str) -> Iterator[str]:
    """The text itself, its words, and the pieces and decoded forms of these."""
    yield text
    count = 0
    for plain in dict.fromkeys((text, unquote(text))):
        for match in _WORD.finditer(plain):
            count += 1
            if count > _MOST_WORDS:
                return
            word = match[0]
            yield word
            yield word.rstrip(".!?:")
            for piece in _PIECES.split(word) if _PIECES.search(word) else ():
                yield piece
                yield piece.rstrip(".!?")
                yield word[word.index(piece) :]
            if _ENCODED.fullmatch(word):
                yield from _decoded(word)


def _decoded(word: str) -> Iterator[str]:
    try:
        plain = base64.urlsafe_b64decode(word.replace("+", "-").replace("/", "_") + "=" * (-len(word) % 4)).decode()
    except ValueError:
        return
    yield plain
    yield from _PIECES.split(plain)
