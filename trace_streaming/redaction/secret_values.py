"""Secrets that are known by their own shape, wherever they stand: tokens, keys, headers, URLs, addresses."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final

from .effort import VALUES, Effort, ended, substituted

_PEM: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_HEADER: Final = re.compile(
    r"(bearer|Bearer|BEARER|basic|Basic|BASIC)((?:[ \t]|%20|\+){1,4})([A-Za-z0-9._~+/\-]{4,}={0,2})"
)
_URL_PASSWORD: Final = re.compile(
    r"""(://[^\s/?#:@"'<>]{0,128}:)(?!\[redacted:)(?![0-9]{1,5}/)([^\s?#"'<>]{1,256})@(?=[\w\[(\-*$%{])"""
)
_CURL_USER: Final = re.compile(
    r"""((?<![\w\-\]])(?:-u|--user)[ =](?:\\*["'])?[^\s:"'@/\\]{1,64}:)(?!\[redacted:)([^\s"'\\]+)"""
)
_WEBHOOK: Final = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/[0-9]{1,24}/"
    r"|webhook\.office\.com/webhookb2/|outlook\.office\.com/webhook/)([A-Za-z0-9_/@\-]{8,})"
)
_SAS: Final = re.compile(r"([?&;]sig=)([A-Za-z0-9%+/=]{16,})")

_LONG_WORD: Final = re.compile(r"(?:[\w.\-]{0,19}+[^\w.\-]++)*+([\w.\-]{20,})", re.ASCII)
"""The next word of twenty or more characters: no known token is shorter, and few other words are as long.

Possessive: what was passed is not looked at again. Only for ``match``."""
_OTHER_PREFIXES: Final = (
    r"(?:pypi-|do[opr]_v1_|shp(?:at|ca|pa|ss)_|lin_(?:api|oauth)_|PMAK-|gsk_|xai-|r8_|pplx-|figd_|sntrys_|sntryu_|glsa_"
    r"|glc_|nfp_|pul-|pscale_\w{2,5}_|rubygems_|dckr_pat_|lsv2_[ps][tk]_|pcsk_|tvly-(?:dev-|prod-)?|csk-|phx_|xkeysib-"
    r"|nvapi-|jina_|e2b_|ATCTT3|HRKU-|fm2_|fo1_|dt0c01\.|tfp_|sgp_|cfut_|cfat_|AKCp|secret-token-)"
)
# What may fail behind a long word is bounded: it may be tried at each joint of that word.
_TOKENS: Final = (
    ("jwt", r"eyJ[\w\-]{10,1024}(?:\.[\w\-]*){1,4}"),
    ("anthropic key", r"sk-ant-[\w\-]{16,}"),
    ("stripe key", r"(?:[sr]k_(?:live|test)_|whsec_)\w{16,}"),
    ("openai key", r"sk-(?:(?:proj|svcacct|admin|or-v1|lf|None)-[\w\-]{20,}|[A-Za-z0-9]{20,})|sess-[A-Za-z0-9]{30,}"),
    ("github token", r"gh[opusr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}"),
    ("gitlab token", r"gl(?:pat|ptt|dt|rt|cbt|soat|imt|ft|agent|oas)-[\w\-]{16,}|GR1348941[\w\-]{16,}"),
    ("aws key", r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("google key", r"AIza[\w\-]{30,}|ya29\.[\w\-]{16,}|GOCSPX-[\w\-]{20,}"),
    ("slack token", r"xox[a-z]-[\w\-]{10,}(?:\.[\w\-]+)*|xoxe\.xox[a-z]-[\w\-]{10,}|xapp-[\w\-]{16,}"),
    ("sendgrid key", r"SG\.[\w\-]{16,64}\.[\w\-]{16,}"),
    ("mailgun key", r"key-[0-9a-f]{32}(?![0-9a-f])"),
    ("mailchimp key", r"[0-9a-f]{32}-us[0-9]{1,2}(?!\w)"),
    ("twilio key", r"SK[0-9a-f]{32}(?![0-9a-f])"),
    ("square key", r"sq0[a-z]{3}-[\w\-]{20,}|EAAA[\w\-]{56,}"),
    ("facebook token", r"EAACEdEose0cBA[A-Za-z0-9]+"),
    ("discord token", r"[MNO][\w\-]{23,27}\.[\w\-]{6}\.[\w\-]{27,}"),
    ("databricks token", r"dapi[0-9a-f]{32}(?:-[0-9])?"),
    ("vault token", r"hv[sbr]\.[\w\-]{20,}"),
    ("doppler token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.\-]{30,}"),
    ("airtable token", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{40,}"),
    ("terraform token", r"[A-Za-z0-9]{14}\.atlasv1\.[\w\-]{40,}"),
    ("notion token", r"secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{30,}"),
    ("atlassian token", r"ATATT3[\w\-=]{30,}"),
    ("telegram token", r"(?<=[0-9]:)AA[\w\-]{32,36}(?![\w\-])"),
    ("age key", r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    ("new relic key", r"NRAK-[A-Z0-9]{20,}"),
    ("mapbox token", r"sk\.eyJ[\w\-]{10,1024}\.[\w\-]+"),
    ("huggingface token", r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}"),
    ("npm token", r"npm_[A-Za-z0-9]{30,}"),
    ("supabase key", r"sb[pt]_[0-9a-f]{40}|sb_secret_[\w\-]{20,}"),
    ("token", _OTHER_PREFIXES + r"(?=[\w\-]{0,64}[0-9])[A-Za-z0-9]{15}[\w.\-]*"),
)
_LONG: Final = 256
"""Characters of a word, in which tokens may begin at many places."""
_TOKEN: Final = re.compile("|".join(shape for _, shape in _TOKENS), re.ASCII)
_TOKEN_BEHIND_JOINT: Final = re.compile(f"[._\\-](?![._\\-])(?:{_TOKEN.pattern})", re.ASCII)
"""Without named groups, of which the engine would enter each to see that it does not begin so."""
_TOKEN_RULES: Final = tuple((name, re.compile(shape, re.ASCII)) for name, shape in _TOKENS)
_UNLIKE_WORDS: Final = re.compile("[0-9]|hf_|api_org_")
"""Tokens are random: hardly one has no digit; those that never have are named."""

_EMAIL_DOMAIN: Final = re.compile(r"(?:@|%40)((?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24})(?![\w(]|\.[\w])")
_EMAIL_NAME: Final = re.compile(r"[\w.+\-!#$%&'*/=?^{|}~]{1,64}")
_EMAIL_EDGE: Final = re.compile(r"[^\w+]*")
"""Not of the name: what stands before it in a text, in a query or in an exception's."""


def redact_values(text: str, lowered: str, effort: Effort) -> str:
    """Replace what is secret by its shape. Each rule runs where a text has what all its secrets have in them.

    :param lowered: the text in small letters, as it was before any rule
    """
    if "-----BEGIN" in text:
        text = _without_private_keys(text, effort)
    if "://" in text and "@" in text:
        text = substituted(_URL_PASSWORD, _url, text, effort, VALUES, 4, "://")
    if "bearer" in lowered or "basic" in lowered:
        text = substituted(_HEADER, _header, text, effort, VALUES, 6)
    if "=" in text and "sig=" in text:
        text = substituted(_SAS, _signature, text, effort, VALUES, 1)
    if ".com/" in text and "hook" in text:
        text = substituted(_WEBHOOK, _webhook, text, effort, VALUES, 1)
    if "-u " in text or "--user" in text or "-u=" in text:
        text = substituted(_CURL_USER, _curl_user, text, effort, VALUES, 1)
    text = _without_tokens(text, effort)
    if "@" in text or ("%" in text and "%40" in text):
        text = _without_emails(text, effort)
    return text


def _without_private_keys(text: str, effort: Effort) -> str:
    kept: list[str] = []
    at = 0
    while begin := _PEM.search(text, at):
        if not effort.spend(VALUES, 1):
            return ended(kept, text, at, begin.start())
        end = _PEM_END.search(text, begin.end())
        kept += (text[at : begin.start()], "[redacted:private key]")
        at = end.end() if end else len(text)  # of a key that was cut, all that is left
    return "".join((*kept, text[at:])) if kept else text


def _url(url: re.Match[str]) -> str:
    is_variable = url[2].startswith(("${", "{", "<", "%(")) or set(url[2]) <= {"*"}
    return url[0] if is_variable else f"{url[1]}[redacted:url password]@"


def _signature(found: re.Match[str]) -> str:
    return f"{found[1]}[redacted:signature]"


def _webhook(found: re.Match[str]) -> str:
    return f"{found[1]}[redacted:webhook]"


def _curl_user(found: re.Match[str]) -> str:
    return f"{found[1]}[redacted:password]"


def _header(header: re.Match[str]) -> str:
    scheme, blank, credentials = header.groups()
    if scheme.lower() == "basic":
        try:
            is_secret = b":" in base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True)
        except ValueError:
            is_secret = False
    else:
        is_secret = len(credentials) >= 24 or (len(credentials) >= 8 and any(map(str.isdigit, credentials)))
    return f"{scheme}{blank}[redacted:{scheme.lower()} header]" if is_secret else header[0]


def _without_tokens(text: str, effort: Effort) -> str:
    kept: list[str] = []
    done = at = 0
    while word := _LONG_WORD.match(text, at):
        at = word.end()
        start = word.start(1)
        if text[start - 1 : start] == "\\" and text[start] in "nrt":
            start += 1
        if _UNLIKE_WORDS.search(text, start, at):
            joints = 0 if at - start < _LONG else sum(text.count(joint, start, at) for joint in "._-")
            if not effort.spend(VALUES, 1 + joints * (3 if text.find("eyJ", start, at) >= 0 else 1)):
                return ended(kept, text, done, start)
            for first, last, rule in _tokens(text, start, at):
                kept += (text[done:first], f"[redacted:{rule}]")
                done = last
    return "".join((*kept, text[done:])) if kept else text


def _tokens(text: str, at: int, end: int) -> Iterator[tuple[int, int, str]]:
    """The tokens in the word at ``at:end``: they start where it does, or behind one of its joints."""
    token = _TOKEN.match(text, at, end)
    if token is None:
        token = _TOKEN_BEHIND_JOINT.search(text, at, end)
    while token:
        start = token.start() + (text[token.start()] in "._-")
        yield start, token.end(), next(name for name, shape in _TOKEN_RULES if shape.match(text, start, end))
        token = _TOKEN_BEHIND_JOINT.search(text, token.end(), end)


def _without_emails(text: str, effort: Effort) -> str:
    kept: list[str] = []
    done = 0
    for domain in _EMAIL_DOMAIN.finditer(text):
        at = domain.start()
        if not effort.spend(VALUES, 4):
            return ended(kept, text, done, at)
        name = _EMAIL_NAME.match(text[max(done, at - 64) : at][::-1])
        if name is None:
            continue
        start = at - name.end()
        start = _name_start(text, start, at)
        if start == at or _is_no_address(text, start, at, domain.end()):
            continue
        kept += (text[done:start], "[redacted:email]")
        done = domain.end()
    return "".join((*kept, text[done:])) if kept else text


def _name_start(text: str, start: int, at: int) -> int:
    """Behind the signs of a query or a quotation that may stand in a name, but hardly do."""
    for sign in "=?&/'{|":
        start = max(start, text.rfind(sign, start, at) + 1)
    if start < at and text[start - 1 : start] == "\\" and text[start] in "nrt":
        start += 1
    edge = _EMAIL_EDGE.match(text, start, at)
    return edge.end() if edge else start


def _is_no_address(text: str, start: int, at: int, end: int) -> bool:
    """The user of a URL, or of a repository: ``https://ada@example.com``, ``git@github.com:ada/engine``."""
    return text.endswith("://", 0, start) or (text[start:at] == "git" and text[end : end + 1] in {":", "/"})
