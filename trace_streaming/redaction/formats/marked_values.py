"""Secrets that are known by what is right around them: private keys, headers, URLs, signed links, webhooks."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Final

from trace_streaming.redaction.effort import VALUES, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import MARKER, is_placeholder, looks_random
from trace_streaming.redaction.secret_keys import is_secret_key
from trace_streaming.redaction.spans import Span

_PEM: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
    r"|PuTTY-User-Key-File-\d|LS0tLS1CRUdJTi[A-Za-z0-9+/]{3,40}UFJJVkFURSBLRVk[A-Za-z0-9+/=\s]*|LS0tLS1CRUdJTi[A-Za-z0-9+/]{1,40}(?:BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)[A-Za-z0-9+/=\s]*"
)
_PEM_END: Final = re.compile(
    r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|---- END SSH2 [A-Z ]{0,24}----|Private-MAC: \w+"
)
_HEADER: Final = re.compile(
    r"(bearer|Bearer|BEARER|basic|Basic|BASIC)(?:[ \t]|%20|\+){1,4}([A-Za-z0-9._~+/\-]{4,}={0,2})"
)
_URL_USER: Final = re.compile(
    r"""://([^\s/?#:@"'<>\\]{0,128})(?::(?!\[redacted:)([^\s"'<>]{0,256}?))?@(?=[\w\[(\-*$%{])"""
)
_URL_END: Final = re.compile(r"""[^\s"'<>]{0,400}""")
_PORT: Final = re.compile(r"[0-9]{1,5}/")
_VARIABLE: Final = re.compile(r"\$\{[^{}]*\}|\$\w+|\{+[^{}]*\}+|<[^<>]*>|%\(\w*\)s|\*+|\[redacted:[a-z ]+\]")
_SHARE: Final = re.compile(
    r"""(?<![\w:/\\.])//[^\s/?#:@"'<>]{1,128}:(?!\[redacted:)([^\s/?#"'<>@]{1,256})@"""
    r"""(?=[\w\-]+\.[\w.\-]*\w|[\w\-]{1,64}(?::[0-9]{1,5})?/)"""
)
_ORACLE: Final = re.compile(r"oracle:\w{2,8}:[^\s/@]{1,64}/([^\s@/]{1,128})@")
_QUERY_KEYS: Final = (
    *(
        "key",
        "code",
        "appid",
        "sig",
        "signature",
        "hash",
        "auth",
        "sid",
        "ticket",
        "otp",
        "t",
        "k",
        "pw",
        "apikey",
        "session",
    ),
    *("subscription-key", "state_token", "x-amz-signature", "x-goog-signature", "sharedkey", "u_token", "login"),
)
_QUERY: Final = re.compile(r"[A-Za-z0-9%+/=_\-.~]{8,512}(?=[&#\s\"'<>\\)]|$)")
_WEBHOOK: Final = re.compile(
    r"(?:hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]{1,24}/"
    r"|webhook\.office\.com/webhookb2/|outlook\.office\.com/webhook/|hooks\.zapier\.com/hooks/catch/|chat\.googleapis\.com/v1/spaces/[^\s?]{1,64}\?key="
    r"|hook\.(?:eu|us)\d\.make\.com/|maker\.ifttt\.com/trigger/\w{1,64}/with/key/|hooks\.teams\.\w+/|oapi\.dingtalk\.com/robot/send\?access_token="
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key="
    r"|api\.netlify\.com/build_hooks/|api\.vercel\.com/v1/integrations/deploy/prj_\w{1,64}/"
    r"|events\.pagerduty\.com/integration/|infura\.io/v3/|g\.alchemy\.com/v2/"
    r"|calendar\.google\.com/calendar/ical/[^\s/]{1,128}/private-)([A-Za-z0-9_/@\-]{8,})"
)
_RESET: Final = re.compile(r"[^/\s]{1,40}/(?:[\w=\-]{1,24}/)?([A-Za-z0-9_:\-]{16,256})(?=[/?#\s\"'<>)]|$)")
_HASH: Final = re.compile(
    r"\$(?:[1-9y]|gy|apr1)\$(?:(?:rounds=[0-9]{1,9}|j[./A-Za-z0-9]{1,8})\$)?[./A-Za-z0-9]{1,64}\$[./A-Za-z0-9]{20,128}"
    r"|\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{22,64}"
    r"|\$argon2(?:id|i|d)\$(?:[a-z]=[0-9]{1,9}[,$]){1,4}[A-Za-z0-9+/]{8,128}\$[A-Za-z0-9+/]{16,256}"
    r"|pbkdf2(?:_sha[0-9]{1,3}\$|:sha[0-9]{1,3}:)[0-9]{1,9}\$[\w./+=\-]{1,64}\$[A-Za-z0-9+/=]{20,256}"
    r"|scrypt:[0-9]{1,9}:[0-9]{1,3}:[0-9]{1,3}\$\w{1,64}\$[0-9a-f]{20,256}"
    r"|\{S?SHA[0-9]{0,3}\}[A-Za-z0-9+/]{20,256}={0,2}"
)
"""As ``/etc/shadow``, ``htpasswd``, a dump of Django's or Werkzeug's users, and LDAP have them."""
HASH_WORDS: Final = (
    *(
        f"${scheme}$"
        for scheme in (*"123456789y", "gy", "apr1", "2a", "2b", "2x", "2y", "argon2i", "argon2d", "argon2id")
    ),
    *("pbkdf2_sha", "pbkdf2:sha", "scrypt:", "{sha", "{ssha"),
)
HEADER_WORDS: Final = ("bearer", "basic")
KEY_WORDS: Final = ("private key", "putty-user-key-file", "ls0tls1crudjti")
URL_WORDS: Final = ("://",)
QUERY_WORDS: Final = tuple(f"{sign}{key}=" for sign in ("?", "&", ";") for key in _QUERY_KEYS)
LINK_WORDS: Final = (
    *(
        "hooks.",
        "discord.com/api/",
        "discordapp.com/api/",
        "webhook.office.com/",
        "outlook.office.com/",
    ),
    *("chat.googleapis.com/", "make.com/", "maker.ifttt.com/", "oapi.dingtalk.com/", "oracle:"),
    *("open.feishu.cn/", "open.larksuite.com/", "qyapi.weixin.qq.com/", "api.netlify.com/", "api.vercel.com/"),
    *("events.pagerduty.com/", "infura.io/v3/", "g.alchemy.com/v2/", "calendar.google.com/", "/hooks/"),
    *("reset-password/", "reset_password/", "password-reset/", "password_reset/", "password/reset/", "verify-email/"),
    *(
        "/reset/",
        "/activate/",
        "/verify/",
        "/invite/",
        "/invitation/",
        "magic-link/",
        "/magic/",
        "/confirm/",
        "confirm-email/",
    ),
    *("accept-invite/", "/unsubscribe/"),
)


def find_headers(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """The credentials behind ``Bearer`` and ``Basic``."""
    for start, _ in places:
        if not effort.spend(VALUES, 2):
            yield Span(start, start, "")
            return
        if header := _HEADER.match(text, start):
            scheme, credentials = header[1].lower(), header[2]
            if _is_basic(credentials) if scheme == "basic" else _is_bearer(credentials):
                yield Span(*header.span(2), f"{scheme} header")


def _is_basic(credentials: str) -> bool:
    try:
        return b":" in base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True)
    except ValueError:
        return False


def _is_bearer(credentials: str) -> bool:
    return len(credentials) >= 24 or (len(credentials) >= 8 and any(map(str.isdigit, credentials)))


def find_keys(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """Private keys in their armour; of one that was cut, all that is left."""
    at = 0
    for place, _ in places:
        if place < at or (begin := _PEM.search(text, max(at, place - 40), place + 80)) is None:
            continue
        if not effort.spend(VALUES, 1):
            yield Span(begin.start(), begin.start(), "")
            return
        if begin[0].startswith("LS0t"):
            at = begin.end()
        else:
            end = _PEM_END.search(text, begin.end())
            at = end.end() if end else len(text)
        yield Span(begin.start(), at, "private key")


def find_in_urls(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """Passwords and tokens before a URL's host."""
    done = 0
    for start, _ in places:
        if start < done:
            continue
        if not effort.spend(VALUES, 4):
            yield Span(start, start, "")
            return
        if (user := _URL_USER.match(text, start)) is None:
            continue
        name, password = user[1], user[2]
        if password is None or not password:
            if looks_random(name) and len(name) >= 16:
                yield Span(*user.span(1), "url password")
            continue
        if _PORT.match(password) or ("/" in password and "@" not in text[user.end(2) : user.end(2) + 1]):
            continue
        is_example = name.lower() in {"user", "username"} and is_secret_key(f"{password}".lower())
        rest = "" if is_example or is_placeholder(password) else _VARIABLE.sub("", password)
        first, last = user.span(2)
        # Of several signs the last one before the path parts the host from it.
        until = _URL_END.match(text, last)
        host = text[last : until.end() if until else last].partition("/")[0]
        last += max(host.rfind("@"), 0)
        if rest:
            yield Span(first, last, "url password")
            if password.endswith("-oauth-basic") or (looks_random(name) and len(name) >= 20):
                yield Span(*user.span(1), "url password")
        done = last


def find_in_queries(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """The signatures, codes and keys in a query."""
    for start, end in places:
        if not effort.spend(VALUES, 1):
            yield Span(start, start, "")
            return
        value = _QUERY.match(text, end)
        if value and len(value[0]) >= 16 and looks_random(value[0].replace("%", "x")):
            yield Span(*value.span(), "signature")


def find_in_links(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """What opens a door in a link: webhooks, the tokens of a reset."""
    for start, _ in places:
        if not effort.spend(VALUES, 3):
            yield Span(start, start, "")
            return
        if webhook := _WEBHOOK.match(text, start):
            if _is_any(webhook[1]):
                yield Span(*webhook.span(1), "webhook")
        elif oracle := _ORACLE.match(text, start):
            if _is_any(oracle[1]):
                yield Span(*oracle.span(1), "url password")
        elif (link := _RESET.match(text, start + (text[start] == "/"))) and looks_random(link[1]):
            yield Span(*link.span(1), "link token")


def find_hashes(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """Passwords as they are stored: who has one can try what it was made of."""
    for start, _ in places:
        if not effort.spend(VALUES, 2):
            yield Span(start, start, "")
            return
        if found := _HASH.match(text, start):
            yield Span(*found.span(), "password hash")


def find_in_shares(text: str, effort: Effort) -> Iterator[Span]:
    """The password in ``//user:password@host``, which no scheme stands before."""
    at = text.find("//")
    while at >= 0:
        if not effort.spend(VALUES, 3):
            yield Span(at, at, "")
            return
        share = _SHARE.match(text, at)
        if share and _is_any(share[1]):
            yield Span(*share.span(1), "url password")
        at = text.find("//", share.end() if share else at + 1)


def _is_any(value: str) -> bool:
    return MARKER.match(value) is None and not is_placeholder(value)
