"""What may be in the database for an agent alone: sealed with ``SECRET_KEY``, so that nobody reads it there."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

_SALT = "trace_streaming.sealing"


def seal(value: Mapping[str, Any]) -> str:
    """A JSON object as a token (Fernet) that only a process with this ``SECRET_KEY`` reads."""
    return _fernet().encrypt(orjson.dumps(value)).decode()


def unseal(token: str) -> dict[str, Any]:
    """The object again; raises ``ValueError`` when the key is another, and not among ``SECRET_KEY_FALLBACKS``."""
    try:
        return orjson.loads(_fernet().decrypt(token.encode()))  # type: ignore[no-any-return]
    except InvalidToken:
        raise ValueError("This was sealed with another SECRET_KEY") from None


def _fernet() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = (salted_hmac(_SALT, "", secret=key, algorithm="sha256").digest() for key in keys)
    return MultiFernet([Fernet(urlsafe_b64encode(digest)) for digest in digests])
