"""What is sealed is read by processes with the same key alone."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from trace_streaming.emitting.asking.sealing import seal, unseal


def test_what_is_sealed_is_read_again() -> None:
    """And looks like nothing meanwhile."""
    token = seal({"to": "bob", "n": 1})
    assert unseal(token) == {"to": "bob", "n": 1}
    assert "bob" not in token


def test_a_key_may_be_rotated(settings: Settings) -> None:
    """While it is among the fallbacks."""
    token, old = seal({"n": 1}), settings.SECRET_KEY
    settings.SECRET_KEY = "another"
    with pytest.raises(ValueError, match="another SECRET_KEY"):
        unseal(token)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert unseal(token) == {"n": 1}
