"""What is hidden from everybody."""

from __future__ import annotations

import sys

import pytest

from trace_streaming.freezing import JSON
from trace_streaming.redaction import REDACTED_BY_KEY, is_secret_key, redact


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "db.password", "dbPassword", "DBPassword", "password1", "passwordHash", "user_passwd"]
    + ["api_key", "apiKey", "APIKey", "X-Api-Key", "apikey", "OPENAI_API_KEY", "accessKeyId", "private_key_pem"]
    + ["token", "access_token", "accessToken", "x-auth-token", "Authorization", "Set-Cookie", "client_secret"]
    + ["credentials", "passphrase", "signing key", "AWS_SECRET_ACCESS_KEY", '["password",1]'],
)
def test_keys_that_name_a_secret_are_recognised(key: str) -> None:
    """Secrets are named in many spellings; each is judged by its whole segments. Invariant 4."""
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    ["", "tool", "token_count", "max_tokens", "tokens", "tokenizer", "secretary", "key", "keyboard", "monkey", "pass"]
    + ["compass", "api", "api_keyboard", "primary_key", "author", "authorised", "prompt", "пароль", "\ufffd", "123"],
)
def test_other_keys_are_left_alone(key: str) -> None:
    """A word that only contains such a name hides nothing: a trace full of holes is of no use."""
    assert not is_secret_key(key)


@pytest.mark.parametrize("key", ["x" * 300 + "_password", "x" * 300 + "_access_token"])
def test_a_secret_at_the_end_of_a_long_key_is_recognised(key: str) -> None:
    """The length of a key's prefix does not decide whether its value is shown. Invariant 4."""
    assert is_secret_key(key)


@pytest.mark.parametrize("secret", ["hunter2", 1234, 0, False, "", ["a", "b"], {"plain": "hunter2"}])
def test_a_secrets_whole_value_is_replaced(secret: JSON) -> None:
    """Whatever the value is, nothing of it is left, nor whether it was empty. Invariant 4."""
    assert redact({"password": secret, "user": "ada"}) == {"password": REDACTED_BY_KEY, "user": "ada"}


def test_a_secret_that_is_absent_is_shown_as_absent() -> None:
    """That no password was given is no secret, and helps who looks for the fault."""
    assert redact({"password": None}) == {"password": None}


def test_secrets_are_found_at_any_depth() -> None:
    """Lists in objects in lists are walked through. Invariant 4."""
    details: dict[str, JSON] = {"calls": [[{"headers": {"Authorization": "Bearer x", "Accept": "*/*"}}], 1, "text"]}
    assert redact(details) == {"calls": [[{"headers": {"Authorization": REDACTED_BY_KEY, "Accept": "*/*"}}], 1, "text"]}


def test_keys_keep_their_order() -> None:
    """A watcher reads the details in the order in which they were written."""
    assert list(redact({"b": 1, "password": 2, "a": 3})) == ["b", "password", "a"]


def test_judging_a_long_key_does_not_keep_it_in_memory() -> None:
    """Keys may be texts of megabytes; what was judged once is let go."""
    key = "x" * 1_000_000
    before = sys.getrefcount(key)
    is_secret_key(key)
    assert sys.getrefcount(key) == before
