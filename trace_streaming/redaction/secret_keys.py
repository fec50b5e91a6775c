"""Which keys name a secret: of dictionaries, headers, queries, variables, options. Judged by whole segments."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

_SEGMENTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SECRET: Final = frozenset(
    "password passwords passwd pwd passphrase passphrases passcode passwort kennwort secret secrets "
    "authorization cookie cookies credential credentials sessionid sessid phpsessid jsessionid sshpass "
    "cvv cvv2 cvc cvc2 ssn otp totp mnemonic".split()
)
"""These name a secret wherever they stand: ``db.password``, ``passwordHash``."""
_SECRET_ENDINGS: Final = (
    *("password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey", "clientsecret"),
    *("authtoken", "accesstoken", "refreshtoken", "idtoken", "csrftoken", "xsrftoken", "middlewaretoken"),
)
"""Ends of words that are written in one: ``PGPASSWORD``, ``csrfmiddlewaretoken``."""
_SECRET_PAIRS: Final = frozenset(
    tuple(pair.split())
    for pair in (
        *("api key", "api keys", "access key", "access keys", "private key", "secret key", "signing key"),
        *("encryption key", "decryption key", "master key", "account key", "storage key", "shared key", "auth key"),
        *("service key", "session key", "subscription key", "license key", "deploy key", "consumer key", "app key"),
        *("ssh key", "ssl key", "tls key", "hmac key", "jwt key", "rsa key", "gpg key", "pgp key", "admin key"),
        *("webhook key", "write key", "functions key", "connect sid", "session cookie"),
        *("access tokens", "refresh tokens", "api tokens", "auth tokens", "token value", "token 1", "token 2"),
        *("db pass", "database pass", "user pass", "smtp pass", "mail pass", "email pass", "mysql pass", "ftp pass"),
        *("postgres pass", "pg pass", "redis pass", "admin pass", "root pass", "proxy pass", "http pass", "auth pass"),
        *("basic auth", "auth header", "proxy auth", "redis auth", "rediscli auth", "amz signature", "goog signature"),
        *("security code", "verification code", "otp code", "mfa code", "authorization code", "recovery code"),
        *("recovery codes", "backup codes", "seed phrase", "recovery phrase", "security answer", "card pin"),
        *("social security", "card cvv"),
    )
)
_PLAIN_TOKENS: Final = frozenset(
    "next page continuation sync previous prev cursor eos bos pad unk mask sep cls stop start end special "
    "first last per input output prompt completion total cancellation design syntax".split()
)
"""Before ``token``: cursors of lists, and the tokens of language models, which open no door."""
_ABOUT: Final = frozenset(
    "count counts length len size policy required enabled disabled strength expiry expires expired type types "
    "name names path file field fields domain provider status endpoint url uri age changed rotated "
    "hashers validators".split()
)
"""As the last segment: the key tells something about a secret, and not the secret."""
_WHETHER: Final = frozenset({"has", "is", "num", "needs", "requires", "require", "missing", "forgot"})
_PHONES: Final = frozenset("phone phones telephone mobile cellphone fax msisdn whatsapp".split())


def is_secret_key(key: str) -> bool:
    """Whether a key names a secret, judged by whole segments: ``db.password``, ``X-Api-Key``, ``accessToken``.

    A token is secret when the key ends in it: ``access_token`` is, ``token_count`` and ``max_tokens`` are not, and
    neither are the cursors of lists (``next_page_token``). What is told about a secret (``password_length``,
    ``has_password``, ``secret_name``) is none.
    """
    return _names_a_secret(_ends(key))


def is_phone_key(key: str) -> bool:
    """Whether a key says that digits are a phone number, which they need not look like."""
    return _names_a_phone(_ends(key))


def _ends(key: str) -> str:
    """Of a very long key both ends are judged, and no more than them is kept in memory."""
    return key if len(key) <= 256 else f"{key[:128]} {key[-128:]}"


def _segments(key: str) -> list[str]:
    return [segment.lower() for segment in _SEGMENTS.findall(key)]


@lru_cache(maxsize=4096)
def _names_a_secret(key: str) -> bool:
    segments = _segments(key)
    if not segments or segments[-1] in _ABOUT or segments[0] in _WHETHER or segments[-2:] in _TIMES:
        return False
    if not _SECRET.isdisjoint(segments) or any(segment.endswith(_SECRET_ENDINGS) for segment in segments):
        return True
    if any(pair in _SECRET_PAIRS for pair in pairwise(segments)):
        return "public" not in segments
    return segments[-1] in {"token", "jwt", "bearer"} and _PLAIN_TOKENS.isdisjoint(segments[-2:-1])


_TIMES: Final = [["changed", "at"], ["updated", "at"], ["expires", "at"], ["expires", "in"], ["expiry", "date"]]


@lru_cache(maxsize=4096)
def _names_a_phone(key: str) -> bool:
    return not _PHONES.isdisjoint(_segments(key)[-2:])
