"""Secrets in code, protocols and sentences, each behind words of its own: ``IDENTIFIED BY``, ``AUTH``, ``the code is``.

A rule more is an entry more, with an example beside it, which is its test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from trace_streaming.redaction.effort import WORDING, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import MARKER, is_placeholder, looks_chosen, looks_random
from trace_streaming.redaction.secret_keys import is_secret_key
from trace_streaming.redaction.spans import Span

_NAME: Final = re.compile(r"[A-Za-z]?[a-z]+(?:[_-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*")
_ALGORITHM: Final = re.compile(
    r"(?:sha|aes|[hrep]s)[-_]?(?:\d[-_])?(?:128|192|224|256|384|512)(?:[-_/]?(?:k|224|256|cbc|ctr|ecb|gcm))?",
    re.IGNORECASE,
)
"""As a call is told it beside the key."""
_UNITS: Final = 4
_BEFORE: Final = 160
"""Characters before its words in which a secret is looked for that stands before them."""


class Looks(Enum):
    """What a value has to be like, to be a secret there."""

    ANY = "whatever it is"
    CHOSEN = "as a person would choose a password"
    RANDOM = "as a machine would"
    CODE = "a code of some digits or letters"


class Phrase(NamedTuple):
    """One way in which people or programs write a secret that no key names."""

    begins: tuple[str, ...]
    """Words in small letters, which all of it have in them; the pattern is matched where one begins."""
    pattern: str
    """Its first group is the secret. ``Q`` stands for a quote, ``V`` for what is between two."""
    looks: Looks
    example: str
    """With ``s3cr3tPw99x`` for the secret, or ``493817`` for a code."""
    is_before: bool = False
    """Whether the secret stands before the words."""


PHRASES: Final = (
    # SQL
    Phrase(
        ("identified by", "identified with"),
        r"(?i)identified (?:with [\w\"'`]{1,60} )?(?:by|as)(?: password| values)? QVQ",
        Looks.ANY,
        "CREATE USER ada IDENTIFIED BY 's3cr3tPw99x'",
    ),
    Phrase(
        ("identified by",),
        r"(?i)identified by ([^\s\"'`;]{3,128})",
        Looks.CHOSEN,
        "ALTER USER ada IDENTIFIED BY s3cr3tPw99x;",
    ),
    Phrase(
        ("pragma key", "pragma rekey"),
        r"(?i)pragma (?:re)?key\s{0,16}=\s{0,16}QVQ",
        Looks.ANY,
        "PRAGMA key = 's3cr3tPw99x'",
    ),
    Phrase(
        ("set password",),
        r"(?i)set password [^;\n]{0,80}?=\s{0,16}(?:password\()?QVQ",
        Looks.ANY,
        "SET PASSWORD FOR 'ada'@'%' = PASSWORD('s3cr3tPw99x')",
    ),
    Phrase(
        ("pgp_sym_", "aes_encrypt", "aes_decrypt"),
        r"(?i)(?:pgp_sym_\w{1,40}|aes_\w{1,40})\([^,)\n]{1,200},\s{0,16}QVQ",
        Looks.CHOSEN,
        "SELECT pgp_sym_decrypt(body, 's3cr3tPw99x')",
    ),
    # Protocols
    Phrase(
        ("auth ",),
        r"(?<![\w-])AUTH {1,4}(?:LOGIN |PLAIN |XOAUTH2 |CRAM-MD5 )?(?:[\w.@-]{1,64} )?([^\s\"'\\]{6,512})(?=\s"
        r"|\\r|\\n|$|[\"'])",
        Looks.CHOSEN,
        "AUTH s3cr3tPw99x\r\n",
    ),
    Phrase(
        ("pass ",),
        r"(?:(?<=> )|(?<=C: ))PASS ([^\s\"'\\]{3,256})",
        Looks.ANY,
        "C: PASS s3cr3tPw99x\r\n",
    ),
    Phrase(
        ("pass ",),
        r"(?m)(?:(?<=\n)|(?<=\\n)|(?<=^))PASS ([^\s\"'\\/]{3,256})(?=\s|\\|$)",
        Looks.CHOSEN,
        "USER ada\r\nPASS s3cr3tPw99x\r\n",
    ),
    Phrase(
        ("login ",),
        r"(?<=\S )LOGIN \"?[\w.@+-]{1,128}\"? \"?(?!WITH|FROM|IN )([^\s\"\\]{3,256})",
        Looks.ANY,
        "a1 LOGIN ada s3cr3tPw99x",
    ),
    Phrase(
        ("login ",), r"(?i)(?<=[.\d] )login [\w.@+-]{1,128} ([^\s\"\\]{6,256})", Looks.CHOSEN, ". login ada s3cr3tPw99x"
    ),
    Phrase(
        ("oper ", "identify "),
        r"(?i)(?:\boper \w{1,32}|\bidentify) ([^\s\"'\\]{6,128})",
        Looks.CHOSEN,
        "PRIVMSG NickServ :IDENTIFY s3cr3tPw99x",
    ),
    Phrase(
        ("requirepass", "masterauth", "enable secret", "snmp-server community", "rocommunity", "rwcommunity"),
        r"(?i)[\w-]{1,60}(?: secret(?: \d)?| community)? (?:\\*[\"'])?([^\s\"'\\]{4,256})",
        Looks.ANY,
        "requirepass s3cr3tPw99x",
    ),
    Phrase(
        ("acl setuser",),
        r"(?i)acl setuser [^\n]{0,80}? [\"']?>([^\s\"'\\]{3,256})",
        Looks.ANY,
        "ACL SETUSER ada on >s3cr3tPw99x ~* +@all",
    ),
    Phrase(
        ('"kty"', '"kty\\'),
        r"\"kty\\*\"[^{}]{0,600}?\"[dk]\\*\"\s{0,16}:\s{0,16}\\*\"([\w\-]{11,1024})\\*\"",
        Looks.ANY,
        '{"kty": "EC", "crv": "P-256", "d": "s3cr3tPw99x"}',
    ),
    Phrase(
        ('"kty"', '"kty\\'),
        r"\"[dk]\\*\"\s{0,16}:\s{0,16}\\*\"([\w\-]{11,256})\\*\"[^{}]{0,100}?\"kty\\*\"",
        Looks.ANY,
        '{"crv": "P-256", "d": "s3cr3tPw99x", "kty": "EC"}',
        is_before=True,
    ),
    Phrase(
        ("password 7 ", "key 7 ", "secret 7 "),
        r"(?i)[a-z]{3,8} 7 ([0-9]{2}[0-9A-F]{4,256})(?!\w)",
        Looks.ANY,
        "username ada password 7 493817",
    ),
    # Code
    Phrase(
        ("<(echo", "<(printf"),
        r"<\((?:echo|printf) (?:-n )?['\"]?([^\s'\")]{6,256})",
        Looks.RANDOM,
        "cryptsetup --key-file=<(echo s3cr3tPw99x)",
    ),
    Phrase(
        (
            *("httpbasicauth(", "httpdigestauth(", "basicauth(", "basic_auth(", "http_basic(", "userpass("),
            *("passwordauthentication(", "credentials(", "networkcredential(", "authprovider(", ".login("),
            ".authenticate(",
        ),
        r"[\w.]{4,60}\(\s{0,16}(?:\w{1,40}\s{0,16}=\s{0,16})?(?:Q[^\"'`\\\n]{0,128}Q|[\w.]{1,64})\s{0,16},\s{0,16}(?:\w{1,40}\s{0,16}=\s{0,16})?[bru]?QVQ",
        Looks.ANY,
        "requests.get(u, auth=HTTPBasicAuth('ada', 's3cr3tPw99x'))",
    ),
    Phrase(
        tuple(
            f"{name}{sign}{bracket}"
            for name in ("auth", "credentials")
            for sign in ("=", " = ", ": ", '": ')
            for bracket in "(["
        ),
        r"\w{1,40}Q?\s{0,16}[=:]\s{0,16}[\[(]\s{0,16}Q[^\"'`\\\n]{0,128}Q\s{0,16},\s{0,16}QVQ",
        Looks.ANY,
        "requests.get(u, auth=('ada', 's3cr3tPw99x'))",
    ),
    Phrase(
        (
            *("fernet(", "createcipheriv("),
            *("jwt.sign(", "jwt.verify(", "jwt.encode(", "jwt.decode(", "signer(", "serializer(", "cookieparser("),
        ),
        r"[\w.]{1,60}\((?:[^\n]{1,120}?,\s{0,16}|Q[\w-]{1,32}Q\s{0,16},\s{0,16})?[bru]?QVQ",
        Looks.CHOSEN,
        "jwt.encode({'sub': 1}, 's3cr3tPw99x', algorithm='HS256')",
    ),
    Phrase(
        ("hmac.new(", "hmac.digest("),
        r"(?i)hmac\.\w{3,6}\(\s{0,16}(?:(?:[^\n\"'`]{1,120}?,\s{0,16})?key\s{0,4}=\s{0,4})?[bru]{0,2}QVQ",
        Looks.CHOSEN,
        "hmac.new(b's3cr3tPw99x', message, 'sha256')",
    ),
    Phrase(
        ("createhmac(", "hmac.hexdigest("),
        r"(?i)[\w.]{8,60}\(\s{0,16}(?:Q[\w\-/]{1,32}Q|[\w.:]{1,40}(?:\(Q[\w\-/]{1,32}Q\))?)\s{0,16},\s{0,16}[bru]{0,2}QVQ",
        Looks.CHOSEN,
        "crypto.createHmac('sha256', 's3cr3tPw99x')",
    ),
    Phrase(
        ("hash_hmac(",),
        r"\w{9}\(\s{0,16}[^,\n]{1,60},\s{0,16}[^,\n]{1,120},\s{0,16}QVQ",
        Looks.CHOSEN,
        "hash_hmac('sha256', $data, 's3cr3tPw99x')",
    ),
    Phrase(
        ("secretstr(", "secretbytes(", "securestring("),
        r"\w{1,40}\(\s{0,16}[bru]?QVQ",
        Looks.ANY,
        "Credentials(username='ada', value=SecretStr('s3cr3tPw99x'))",
    ),
    Phrase(
        ("[sudo] password for",),
        r"(?i)\[sudo\] password for [\w.-]{1,60}: ([^\s]{4,128})",
        Looks.ANY,
        "[sudo] password for ada: s3cr3tPw99x",
    ),
    Phrase(
        ('"auth" "',),
        r'(?i)"auth"(?: "[^"\\]{1,64}")? "([^"\\]{3,256})"',
        Looks.ANY,
        '[0 127.0.0.1:5] "AUTH" "s3cr3tPw99x"',
    ),
    Phrase(
        ("sendline(", "send_keys(", "sendkeys(", ".fill(", ".type("),
        r"[\w.]{1,60}\(\s{0,16}[bru]?QVQ\s{0,16}\)?;?\s{0,16}(?:#|//)[^\n]{0,40}(?:pass|secret|token|pin)",
        Looks.ANY,
        "child.sendline('s3cr3tPw99x')  # password",
    ),
    Phrase(
        ("dbi->connect(", "create_superuser(", "create_user(", "createuser(", "adduser("),
        r"[\w>-]{1,60}\(\s{0,16}[^,\n]{1,120},\s{0,16}[^,\n]{1,80},\s{0,16}QVQ",
        Looks.CHOSEN,
        "User.objects.create_superuser('admin', mail, 's3cr3tPw99x')",
    ),
    Phrase(
        (".auth(",),
        r"\.auth\(\s{0,16}Q[^\"'`\\\n]{1,128}Q\s{0,16},\s{0,16}QVQ",
        Looks.CHOSEN,
        "db.auth('ada', 's3cr3tPw99x')",
    ),
    Phrase(
        ("curlopt_userpwd", "curlopt_proxyuserpwd"),
        r"\w{1,40}\s{0,16},\s{0,16}Q[^\"'`:\n]{1,64}:([^\"'`\n]{1,256})Q",
        Looks.ANY,
        'curl_setopt($ch, CURLOPT_USERPWD, "ada:s3cr3tPw99x");',
    ),
    Phrase(
        (
            "mysqli_connect(",
            "mysql_connect(",
            "pdo(",
            "getconnection(",
            "pymysql.connect(",
            "pyodbc.connect(",
            "ftp(",
            "ftp_tls(",
            "telnet(",
            "ftp_login(",
        ),
        r"[\w.]{1,60}\(\s{0,16}[^,\n]{1,120},\s{0,16}[^,\n]{1,80},\s{0,16}QVQ",
        Looks.ANY,
        "mysqli_connect('db', 'ada', 's3cr3tPw99x', 'shop')",
    ),
    Phrase(
        ("*:*:", ":5432:", ":*:"),
        r"(?m):[\w*.-]{1,64}:[\w*.-]{1,64}:(?:[\w*.-]{1,64}:)?([^\s:\"'\\/]{6,128})$",
        Looks.CHOSEN,
        "db.internal:5432:shop:ada:s3cr3tPw99x",
    ),
    Phrase(
        ("convertto-securestring",),
        r"[\w-]{1,60}\s{1,16}(?:-\w{1,40}\s{1,16})?QVQ",
        Looks.ANY,
        "ConvertTo-SecureString 's3cr3tPw99x' -AsPlainText -Force",
    ),
    Phrase(
        ("openai(", "anthropic(", "stripe(", "twilio(", "client(", "api(", "sdk(", "octokit(", "pusher("),
        r"\w{1,40}\(\s{0,16}(?:Q[\w.@-]{1,64}Q\s{0,16},\s{0,16})?QVQ\s{0,16}[,)]",
        Looks.RANDOM,
        "const stripe = new Stripe('s3cr3tPw99x')",
    ),
    # Sentences
    Phrase(
        (
            *(
                "code is",
                "code:",
                "code was",
                "code to",
                "code for",
                "code =",
                "code lautet",
                "code est",
                "code f\u00fcr",
                "code zum",
            ),
            *(
                "pin is",
                "pin:",
                "pin for",
                "pin to",
                "pin was",
                "pin f\u00fcr",
                "pin der",
                "pin zur",
                "pin ist",
                "pin de",
                "otp:",
                "otp is",
                "c\u00f3digo es",
                "c\u00f3digo:",
            ),
        ),
        r"(?i)[\w\u00f3]{1,60}(?: (?:for|to|of|der|f\u00fcr|de|du|zur|zum) [\w' ]{1,40}?)?\s{0,2}(?:is|was|ist"
        r"|lautet|est|es|to|:|=)[ :]{0,2}"
        r"(\d{3}[ -]?\d{3}|\d{4,8}|[A-Z0-9]{3,4}-[A-Z0-9]{3,4})(?![\w%/:]|\.\d|-\d)",
        Looks.CODE,
        "Your verification code is 493817",
    ),
    Phrase(
        ("tan:", "tan lautet", "tan ist", "tan is"),
        r"(?<![A-Z])TAN(?: (?:lautet|ist|is))?[ :]{1,3}(\d{3}[ -]?\d{3}|\d{4,8})(?![\w%/:]|\.\d|-\d)",
        Looks.CODE,
        "Ihre TAN lautet 493817",
    ),
    Phrase(
        (
            *("one-time password ", "one time password ", "einmalpasswort ", "otp ", "mtan ", "smstan "),
            *("2fa code ", "mfa code ", "verification code "),
            *("sicherheitscode ", "best\u00e4tigungscode ", "freischaltcode "),
        ),
        r"(?i)[\w-]{3,16}(?: time)?(?: password| code)? (\d{3}[ -]?\d{3}|\d{4,8})(?![\w%/:]|\.\d|-\d)",
        Looks.CODE,
        "Use the one-time password 493817 to continue.",
    ),
    Phrase(
        (
            *(
                "c\u00f3digo de ",
                "code de ",
                "codice di ",
                "verificatiecode",
                "weryfikacyjny",
                "kodunuz",
                "\u043a\u043e\u0434 ",
            ),
            *("\u9a8c\u8bc1\u7801", "\u9a57\u8b49\u78bc", "\u8a8d\u8a3c\u30b3\u30fc\u30c9", "\uc778\uc99d\ubc88\ud638"),
        ),
        r"(?i)(?:c(?:\u00f3digo|ode|odice) d[ei] (?:v\u00e9?e?rifica\w{0,8}|s\u00e9?e?[cg]ur\w{2,8}|sicurezza"
        r"|ac\w{3,6}|con\w{6,10}|validation)"
        r"|\u043a\u043e\u0434 (?:\u043f\u043e\u0434\u0442\u0432\u0435\u0440\w{3,8}"
        r"|\u0434\u043e\u0441\u0442\u0443\u043f\u0430)"
        r"|(?!\u043a\u043e\u0434)[^\W\d]{3,16})"
        r"\s?(?:is|es|est|\u00e9|\u00e8|to|[:\uff1a\u306f\u662f\u4e3a\u70ba\ub294\uc740\u2014-])?\s{0,2}"
        r"(\d{3}[ -]?\d{3}|\d{4,8})(?![0-9A-Za-z_%/:]|\.\d|-\d)",
        Looks.CODE,
        "Tu c\u00f3digo de verificaci\u00f3n es 493817",
    ),
    Phrase(
        ("\u5bc6\u7801", "\u5bc6\u78bc", "\u53e3\u4ee4", "\u30d1\u30b9\u30ef\u30fc\u30c9", "\ube44\ubc00\ubc88\ud638"),
        r"\w{2,5}?\s?(?:[:\uff1a\u306f\u662f\u4e3a\u70ba\ub294]|\s)\s{0,2}[\u300c\u300e\u201c\"'`]?"
        r"([!-~]{5,127}[A-Za-z0-9!@#$%^&*+=~])(?=[^!-~]|[.,;\"'`)]|$)",
        Looks.CHOSEN,
        "\u5bc6\u7801\u662fs3cr3tPw99x\u3002",
    ),
    Phrase(
        ("is your ", "ist ihr ", "ist dein ", "est votre ", "es tu "),
        r"(?i)(?<!\S)(?:[A-Z]-)?(\d{3}[ -]?\d{3}|\d{4,8}) (?:is your|ist ihr|ist dein|est votre|es tu)"
        r" (?:[\w-]{1,24} ){0,3}[\w\u00f3-]*(?:code|pin|otp|passcode|c\u00f3digo)",
        Looks.CODE,
        "493817 is your login code",
        is_before=True,
    ),
    Phrase(
        ("api key provided", "invalid token", "invalid api key", "incorrect api key", "bad credentials"),
        r"(?i)(?:\w{1,40} ){1,2}\w{1,40}(?: provided)?\s?[:\"'( ]{1,3}([^\s\"')]{8,256})",
        Looks.RANDOM,
        "Invalid API key provided: s3cr3tPw99x",
    ),
    Phrase(
        tuple(
            f"as {whose}{what}"
            for whose in ("", "the ", "my ", "your ")
            for what in ("pass", "secret", "token", "api key")
        ),
        r"(?i)(?<!\S)[\"'`]?([^\s\"'`]{6,128})[\"'`]? as (?:the |my |your )?(?:pass\w*|secret|token|api key)\b",
        Looks.CHOSEN,
        "use s3cr3tPw99x as the passphrase",
        is_before=True,
    ),
    Phrase(
        (
            "credentials",
            "creds",
            "zugangsdaten",
            "anmeldedaten",
            "identifiants",
            "credenciales",
            "credenziali",
            "log in",
            "login",
            "logged in",
            "sign in",
            "signed in",
        ),
        r"(?i)\w{1,40}(?: in)?(?: for [\w.-]{1,40})?(?: with| as| using| are| is| the| credentials)*(?: ?:| ?[-=]>"
        r"| =)?\s{1,16}[\"'`(]?[\w.@+-]{2,64}\s?[/:|]\s?"
        r"([^\s\"'`,;)/\\]{6,128})(?=[\s\"'`,;).\\]|$)",
        Looks.CHOSEN,
        "Connecting with credentials ada/s3cr3tPw99x",
    ),
    Phrase(
        ("log in as", "logged in as", "login as", "sign in as", "signed in as", "connect as"),
        r"(?i)[\w ]{1,60}? as [\w.@+-]{1,64} (?:with|using|and)(?: the| password| passphrase)* ([^\s\"'`,]{6,128})",
        Looks.CHOSEN,
        "Sign in as root with s3cr3tPw99x",
    ),
    Phrase(
        ("as the pass", "as pass", "as my pass", "as your pass", "as the secret", "as the key"),
        r"(?i)Q([^\"'`\n]{6,128})Q as (?:the |my |your )?(?:pass\w*|secret|key)\b",
        Looks.ANY,
        'use "s3cr3tPw99x" as the passphrase',
        is_before=True,
    ),
    Phrase(
        ("password for ",),
        r"(?i)password for [^\n:]{1,120}:[ \t]{0,4}\n[ \t]{0,8}(\S{6,128})(?=\s|$)",
        Looks.CHOSEN,
        "Password for the [elastic] user (reset with `bin/reset`):\n  s3cr3tPw99x\n",
    ),
    Phrase(
        ("it is `", "it's `", 'it is "', "it is '"),
        r"(?i)(?:token|secret|\bkey|passw\w{2,4}|passphrase|credential)[^\n`]{0,80}?\bit(?: is|'s) "
        r"Q([^\s\"'`\\]{6,256})Q",
        Looks.RANDOM,
        "I found the token in the file; it is `s3cr3tPw99x`.",
        is_before=True,
    ),
    Phrase(
        ("assword:", "assphrase:"),
        r"[\w]{1,60}:[^\n;]{0,20}[;\n}]\s{0,16}(?:exp_)?send(?:line)?\s{1,16}(?:-- )?Q"
        r"([^\"'`\\\n]{1,256})(?:\\+[rn]){0,2}Q",
        Looks.ANY,
        'expect "assword:"; send "s3cr3tPw99x\\r"; interact',
    ),
    Phrase(
        (":587 ", ":465 ", ":25 "),
        r":\d+\]?\s{1,16}[\w.@+-]{1,128}:([^\s:\"'\\]{6,256})",
        Looks.CHOSEN,
        "[mx]:587 ada:s3cr3tPw99x",
    ),
    Phrase(
        ("334 ugfzc3dvcmq6",),
        r"\w{1,40} \w{1,40}(?:\r?\n|\\r\\n)(?:C: )?([^\s\"'\\]{4,256})",
        Looks.ANY,
        "334 UGFzc3dvcmQ6\ns3cr3tPw99x\n235 ok",
    ),
    Phrase(("secret ",), r"(?i)secret ([A-Za-z0-9/+=]{20,})", Looks.RANDOM, "key AKIA, secret s3cr3tPw99xs3cr3tPw99x"),
)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("QVQ", "Q([^\"'`\\\\\\n]{1,256})Q").replace("Q", "(?:\\\\*[\"'`])"))


FAMILIES: Final = tuple(phrase.begins for phrase in PHRASES)
_PATTERNS: Final = tuple(_compiled(phrase.pattern) for phrase in PHRASES)


def find_phrases(text: str, places: Sequence[Sequence[Place]], effort: Effort) -> Iterator[Span]:
    """What stands behind such words, or before them.

    :param places: for each of ``FAMILIES``
    """
    for phrase, pattern, here in zip(PHRASES, _PATTERNS, places, strict=True):
        for start, end in here:
            if not effort.spend(WORDING, _UNITS):
                yield Span(start, start, "")
                return
            if phrase.is_before:
                found = pattern.search(text, max(0, start - _BEFORE), end + _BEFORE)
            else:
                found = pattern.match(text, start)
            if found and _is_secret(found[1], phrase.looks):
                yield Span(*found.span(1), "code" if phrase.looks is Looks.CODE else "key")


def _is_secret(found: str, looks: Looks) -> bool:
    if is_placeholder(found) or MARKER.match(found) or _ALGORITHM.fullmatch(found):
        return False
    if is_secret_key(found) and _NAME.fullmatch(found):
        return False
    if looks is Looks.CHOSEN:
        return looks_chosen(found)
    return looks is not Looks.RANDOM or looks_random(found)
