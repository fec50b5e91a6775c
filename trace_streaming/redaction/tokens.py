"""Tokens that are known by their own shape, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .effort import VALUES, Effort
from .spans import Span

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


def find_tokens(text: str, effort: Effort) -> Iterator[Span]:
    """The tokens in the long words of a text: they start where a word does, or behind one of its joints."""
    at = 0
    while word := _LONG_WORD.match(text, at):
        at = word.end()
        start = word.start(1)
        if text[start - 1 : start] == "\\" and text[start] in "nrt":
            start += 1
        if _UNLIKE_WORDS.search(text, start, at):
            joints = 0 if at - start < _LONG else sum(text.count(joint, start, at) for joint in "._-")
            if not effort.spend(VALUES, 1 + joints * (3 if text.find("eyJ", start, at) >= 0 else 1)):
                yield Span(start, start, "")
                return
            yield from _tokens(text, start, at)


def _tokens(text: str, at: int, end: int) -> Iterator[Span]:
    token = _TOKEN.match(text, at, end)
    if token is None:
        token = _TOKEN_BEHIND_JOINT.search(text, at, end)
    while token:
        start = token.start() + (text[token.start()] in "._-")
        yield Span(start, token.end(), next(name for name, shape in _TOKEN_RULES if shape.match(text, start, end)))
        token = _TOKEN_BEHIND_JOINT.search(text, token.end(), end)
