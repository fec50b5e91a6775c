"""Which keys name a secret: of dictionaries, headers, queries, variables, options. Judged by whole segments."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final

_SEGMENTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FOREIGN_SEGMENTS: Final = re.compile(r"[^\W\d_]+|\d+")

_SECRET: Final = frozenset(
    "password passwords passwd pwd passphrase passphrases passcode passkey secret secrets psk bindpw rootpw userpw "
    "authorization cookie cookies credential credentials sessionid sessid phpsessid jsessionid sshpass "
    "cvv cvv2 cvc cvc2 ssn otp totp mnemonic dockerconfigjson dockercfg "
    "passwort kennwort geheimnis contraseña contrasena clave_secreta senha motdepasse wachtwoord lösenord losenord "
    "lösenordet adgangskode kodeord passord passordet salasana hasło haslo heslo jelszó parola şifre sifre şifreniz "
    "şifren пароль пароля "
    "κωδικός סיסמה סיסמא лозинка "
    "密码 密碼 口令 パスワード 비밀번호 암호".split()
)
"""These name a secret wherever they stand: ``db.password``, ``passwordHash``."""
_SECRET_ENDINGS: Final = (
    *("dbpass", "userpass", "adminpass", "rootpass", "smtppass", "ftppass", "mysqlpass", "pgpass", "pwhash"),
    *("password", "passwd", "passphrase", "passcode", "apikey", "secretkey", "accesskey", "privatekey", "clientsecret"),
    *("authtoken", "accesstoken", "refreshtoken", "idtoken", "csrftoken", "xsrftoken", "middlewaretoken", "passwort"),
    *("zugriffstoken", "zugangstoken", "zugangsschl\u00fcssel"),
    *("accountkey", "sharedkey", "masterkey", "encryptionkey", "signingkey", "sessiontoken", "bearertoken"),
    *(
        "apitoken",
        "authkey",
        "bottoken",
        "identitytoken",
        "registrytoken",
        "resettoken",
        "apisecret",
        "appsecret",
        "jwtsecret",
    ),
    *("consumersecret", "sharedsecret"),
)
"""Ends of words that are written in one: ``PGPASSWORD``, ``csrfmiddlewaretoken``."""
_SECRET_PAIRS: Final = frozenset(
    tuple(pair.split())
    for pair in (
        *("api key", "api keys", "access key", "access keys", "private key", "secret key", "signing key", "apikey v2"),
        *("encryption key", "decryption key", "master key", "account key", "storage key", "shared key", "auth key"),
        *("service key", "session key", "subscription key", "license key", "deploy key", "consumer key", "app key"),
        *("application key", "recovery key", "code verifier", "client assertion", "saml response", "secret answer"),
        *("ssh key", "ssl key", "tls key", "hmac key", "jwt key", "rsa key", "gpg key", "pgp key", "admin key"),
        *("webhook key", "write key", "functions key", "connect sid", "session cookie", "client key", "private pem"),
        *("access tokens", "refresh tokens", "api tokens", "auth tokens", "token value", "token 1", "token 2"),
        *("db pass", "database pass", "user pass", "smtp pass", "mail pass", "email pass", "mysql pass", "ftp pass"),
        *("postgres pass", "pg pass", "redis pass", "admin pass", "root pass", "proxy pass", "http pass", "auth pass"),
        *(
            "db pw",
            "root pw",
            "admin pw",
            "user pw",
            "bind pw",
            "ldap pw",
            "wifi key",
            "wifi pass",
            "preshared key",
            "sonar login",
            "network key",
            "pre shared",
        ),
        *("pass word", "pass phrase", "pass code", "pass key", "sas token", "zugangs code", "clave secreta"),
        *("basic auth", "auth header", "proxy auth", "redis auth", "rediscli auth", "amz signature", "goog signature"),
        *("security code", "verification code", "otp code", "mfa code", "authorization code", "recovery code"),
        *("time code", "auth code", "login code", "factor code", "confirmation code", "access code", "pin code"),
        *(
            "recovery codes",
            "backup codes",
            "backup code",
            "scratch codes",
            "seed phrase",
            "recovery phrase",
            "security answer",
        ),
        *("mật khẩu", "kata sandi", "كلمة المرور", "كلمة السر"),
        *("card pin", "social security", "card cvv", "secret phrase", "de passe", "palabra clave"),
        *(
            "unseal key",
            "unseal key",
            "crypt key",
            "unseal keys",
            "de api",
            "api schlüssel",
            "wlan schlüssel",
            "wlan key",
            "clé api",
            "clave api",
            "chiave api",
            "root token",
            "unlock pin",
            "sim pin",
            "user pin",
            "bank pin",
            "account pin",
        ),
    )
)
_PLAIN_TOKENS: Final = frozenset(
    "next page continuation sync previous prev cursor eos bos pad unk mask sep cls stop start end special "
    "first last per input output prompt completion total cancellation design syntax max min".split()
)
"""Before ``token``: cursors of lists, and the tokens of language models, which open no door."""
_ABOUT: Final = frozenset(
    "count counts length len size policy required enabled disabled strength expiry expires expired type types "
    "name names path file field fields domain provider status endpoint url uri age changed rotated id ids ref "
    "hashers validators validator hasher manager helper hint label prompt placeholder format regex pattern error "
    "errors limit limits usage list store version rotation reset management header headers prefix suffix source "
    "location algorithm alg param parameter var variable env set present configured valid ok match matches "
    "exists given provided missing saved encoder decoder java py js ts go "
    "rb php cs kt rs page screen form button tab modal section flow flag dir folder directory stdin prompt fd "
    "history question timeout ttl seconds minutes hours days max "
    "min attempts duration interval method methods samesite secure httponly".split()
)
"""As the last segment: the key tells something about a secret, and not the secret."""
_STILL_SECRET: Final = frozenset({("access", "key", "id"), ("session", "id")})
_WHETHER: Final = frozenset("has is num no needs requires require missing forgot forgotten count".split())
_DONE_WITH: Final = frozenset(
    "password passwords passwd passphrase secret secrets cookie cookies credential credentials".split()
)
_VERBS: Final = frozenset(
    "load reset change update validate check verify show hide toggle use with without allow disable enable".split()
)
"""As the first segment: the key may as well name what is done with a secret."""
_TIMES: Final = [["changed", "at"], ["updated", "at"], ["expires", "at"], ["expires", "in"], ["expiry", "date"]]
_WEAK: Final = frozenset(
    "pass pw pin mdp clave geheim pat session signature salt hmac sid appid auth tokens signed nonce apikeys "
    "code pepper csrf xsrf".split()
)
"""As the last segment: a key that may name a secret, and as well something else; its value tells."""
_KINDS_OF_PASSES: Final = frozenset(
    "first second last next render forward backward band low high multi single test tests by".split()
)
_OF_SECRET: Final = frozenset(
    "key keys token tokens access value values api data string strings text answer answers codes words".split()
)
"""Behind ``secret``; other things are only secret to somebody: ``secret_levels``."""
_PHONES: Final = frozenset(
    "phone phones telephone tel telefon telefono t\u00e9l\u00e9phone handy mobile cellphone fax msisdn whatsapp".split()
)

_LOOKALIKES: Final = str.maketrans("аеорсухіѕјһԁѡАЕОРСХІЅЈΑΒΕΙΚΜΝΟΡΤΧο", "aeopcyxisjhdwAEOPCXISJABEIKMNOPTXo")  # noqa: RUF001
"""Letters of other alphabets that look like Latin ones."""

JOINTS: Final = ("", "_", "-", ".", " ")
WORDS: Final = tuple(
    sorted(
        {word.lower() for word in (*_SECRET, *_SECRET_ENDINGS, "token", "jwt", "bearer")}
        | {joint.join(pair) for pair in _SECRET_PAIRS for joint in JOINTS}
        | {"mot de passe", "signature", "hmac", "salt", "nonce", "x-auth", "session", "pass"}
        | {
            f"{word}{sign}"
            for word in (
                "pw",
                "pat",
                "pin",
                "sid",
                "auth",
                "_pat",
                "-pat",
                "mdp",
                "clave",
                "geheim",
                "_key",
                "pepper",
                "csrf",
                "xsrf",
            )
            for sign in (":", "=", " =", '"', "'", " :", "\n", " ")
        }
    )
)
"""What every key that names a secret has in it, in small letters."""


def is_secret_key(key: str) -> bool:
    """Whether a key names a secret, judged by whole segments: ``db.password``, ``X-Api-Key``, ``accessToken``.

    A token is secret when the key ends in it: ``access_token`` is, ``token_count`` and ``max_tokens`` are not, and
    neither are the cursors of lists (``next_page_token``). What is told about a secret (``password_length``,
    ``has_password``, ``secret_name``) is none.
    """
    return _names_a_secret(_ends(key))


def may_be_secret_key(key: str) -> bool:
    """Whether a key may name a secret, or as well something else, as its value tells: ``pass``, ``session``."""
    return _may_name_a_secret(_ends(key))


def is_phone_key(key: str) -> bool:
    """Whether a key says that digits are a phone number, which they need not look like."""
    return _names_a_phone(_ends(key))


def plain_letters(text: str) -> str:
    """A text as it reads: without invisible characters, with usual letters for those that look like them."""
    if text.isascii():
        return text
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    plain = unicodedata.normalize("NFKC", visible)
    return plain.translate(_LOOKALIKES) if any("a" <= letter <= "z" for letter in plain.lower()) else plain


def _ends(key: str) -> str:
    """Of a very long key both ends are judged, and no more than them is kept in memory."""
    return key if len(key) <= 256 else f"{key[:128]} {key[-128:]}"


def _segments(key: str) -> list[str]:
    if key.isascii():
        return [segment.lower() for segment in _SEGMENTS.findall(key)]
    plain = plain_letters(key)
    pattern = _SEGMENTS if plain.isascii() else _FOREIGN_SEGMENTS
    return [segment.lower() for segment in pattern.findall(plain)]


@lru_cache(maxsize=4096)
def _names_a_secret(key: str) -> bool:
    segments = _segments(key)
    if not segments or key.startswith("/") or (segments[0] in _VERBS and segments[-1] in _DONE_WITH):
        return False
    return _tells_of_a_secret(segments)


def _tells_of_a_secret(segments: list[str]) -> bool:
    if _is_about(segments):
        return False
    if segments[-1] == "pass" and len(segments) > 1:
        return segments[-2] not in _KINDS_OF_PASSES
    if not _SECRET.isdisjoint(segments) or any(segment.endswith(_SECRET_ENDINGS) for segment in segments):
        return True
    if any(pair in _SECRET_PAIRS for pair in pairwise(segments)):
        return "public" not in segments
    return segments[-1] in {"token", "jwt", "bearer"} and _PLAIN_TOKENS.isdisjoint(segments[-2:-1])


def _is_about(segments: list[str]) -> bool:
    """Whether a key only tells something about a secret, or of what is secret to somebody."""
    if segments[0] in _WHETHER or segments[-2:] in _TIMES:
        return True
    if segments[-1] in _ABOUT and tuple(segments[-3:]) not in _STILL_SECRET:
        return True
    if "public" in segments and segments[-1] in {"key", "keys", "token"}:
        return True
    is_adjective = segments[0] == "secret" and len(segments) > 1 and segments[1] not in _OF_SECRET
    return is_adjective and _SECRET.isdisjoint(segments[1:]) and {"key", "token"}.isdisjoint(segments)


@lru_cache(maxsize=4096)
def _may_name_a_secret(key: str) -> bool:
    segments = _segments(key)
    if not segments or segments[0] in _WHETHER:
        return False
    if segments[0] in _VERBS and segments[-1] in _DONE_WITH:
        return _tells_of_a_secret(segments)
    if key.isupper() and segments[-1] == "key" and len(segments) > 1:  # of an environment
        return "public" not in segments
    return segments[-1] in _WEAK or segments[-2:] == ["secret", "id"]


@lru_cache(maxsize=4096)
def _names_a_phone(key: str) -> bool:
    return not _PHONES.isdisjoint(_segments(key)[-2:])
