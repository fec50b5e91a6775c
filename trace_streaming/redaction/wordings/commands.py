"""Secrets of command lines that no key names: ``sshpass -p value``, ``mysql -pvalue``, ``curl -u user:value``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from trace_streaming.redaction.effort import COMMANDS, Effort
from trace_streaming.redaction.hints import Place
from trace_streaming.redaction.judging import MARKER, is_placeholder, is_uuid, looks_chosen, looks_random
from trace_streaming.redaction.secret_keys import is_secret_key
from trace_streaming.redaction.spans import Span

from .shell_words import Word, words

RULE: Final = "password"


class Command(NamedTuple):
    """What of a program's arguments is a secret; names of options as they are written, parted by blanks."""

    names: str
    value: str = ""
    """Options whose value is one, behind a blank or ``=``."""
    attached: str = ""
    """Options whose value is one where it is written in the same word: ``-pvalue``, ``/p:value``."""
    user: str = ""
    """Options whose value is a user's name and the secret, with a colon between."""
    percent: str = ""
    """Options whose value is a user's name and the secret, with ``%`` between."""
    cookie: str = ""
    """Options whose value is a name and the secret, with ``=`` between; else a file's name."""
    needs: str = ""
    """A word that has to stand in the command, by itself or before a dot."""
    is_wrapper: bool = False
    """Whether its own options end where the first word stands that is none: another command begins there."""
    positional: int | None = None
    """Which argument that is no option is one; -1 is the last."""
    positional_least: int = 1
    """So many such arguments there have to be."""


COMMANDS_TABLE: Final = (
    Command("sshpass", value="-p", attached="-p", is_wrapper=True),
    Command("mysql mysqldump mysqladmin mysqlimport mysqlpump mariadb mariadb-dump mariadb-admin mycli", attached="-p"),
    Command("docker podman buildah skopeo nerdctl helm oras crane", value="-p --password --creds", needs="login"),
    Command("docker podman skopeo", user="--creds --src-creds --dest-creds -u", needs="copy"),
    Command("redis-cli", value="-a --pass"),
    Command("redis-cli valkey-cli keydb-cli", needs="auth", positional=-1, positional_least=2),
    Command("zip unzip 7z 7za 7zr rar unrar", value="-P", attached="-P -p -hp"),
    Command(
        "curl", user="-u --user -U --proxy-user", value="--pass --proxy-pass --oauth2-bearer --key-pass", attached=""
    ),
    Command("curl", cookie="-b --cookie"),
    Command("curl wget", value="--password --http-password --ftp-password --proxy-password"),
    Command("http https httpie xh xhs", user="-a --auth", value="--bearer"),
    Command(
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami ldapcompare", value="-w -s -a", attached="-w"
    ),
    Command("psexec psexec64 winexe paexec", value="-p /p"),
    Command("xfreerdp wfreerdp rdesktop mstsc", value="-p /p", attached="/p: -p /gp:"),
    Command("htpasswd", needs="-b", positional=-1, positional_least=3),
    Command("htpasswd", needs="-bc", positional=-1, positional_least=3),
    Command("htpasswd", needs="-nb", positional=-1, positional_least=2),
    Command("htpasswd", needs="-nbB", positional=-1, positional_least=2),
    Command("htpasswd", needs="-bB", positional=-1, positional_least=3),
    Command("ssh-keygen", value="-N -P"),
    Command("az", value="-p --password --account-key --sas-token --client-secret --connection-string", needs="login"),
    Command("az acr", value="-p --password"),
    Command("openssl", value="-k -K -pass -passin -passout -passwd -macopt"),
    Command("gpg gpg2", value="--passphrase"),
    Command("smbclient rpcclient net smbget", percent="-U --user", value="--password"),
    Command("smbmap crackmapexec nxc netexec evil-winrm hydra medusa", value="-p"),
    Command("mongo mongosh mongodump mongorestore mongoexport mongoimport", value="-p --password"),
    Command("sqlcmd bcp osql isql tsql", value="-P -p", attached="-P"),
    Command("psql pg_dump pg_restore", value="--password"),
    Command("influx clickhouse-client clickhouse cqlsh snowsql presto trino", value="-p --password -t --token"),
    Command("rabbitmqadmin", value="-p --password"),
    Command("rabbitmqctl", needs="add_user", positional=-1, positional_least=3),
    Command("rabbitmqctl", needs="change_password", positional=-1, positional_least=3),
    Command("mosquitto_pub mosquitto_sub", value="-P --pw"),
    Command("keytool jarsigner", value="-storepass -keypass -srcstorepass -deststorepass"),
    Command("vault", needs="login", positional=-1, positional_least=2),
    Command("gh", value="--body -b", needs="secret"),
    Command("gh", value="--with-token", needs="login"),
    Command("glab", value="-t --token", needs="login"),
    Command("heroku flyctl fly vercel netlify railway wrangler", value="-t --token -a --auth --auth-token"),
    Command("twine", value="-p --password"),
    Command("poetry", needs="pypi-token", positional=-1, positional_least=3),
    Command("poetry composer", needs="http-basic", positional=-1, positional_least=4),
    Command("composer", needs="bearer", positional=-1, positional_least=3),
    Command("composer", needs="github-oauth", positional=-1, positional_least=3),
    Command("composer", needs="gitlab-token", positional=-1, positional_least=3),
    Command("cargo", needs="login", positional=-1, positional_least=2),
    Command("gem bundle", value="--key"),
    Command("dotnet", needs="user-secrets", positional=-1, positional_least=4),
    Command("nuget dotnet", value="-k --api-key -p --password -ApiKey -Password"),
    Command("npm yarn pnpm", value="--_authToken --_password --otp"),
    Command("ansible ansible-playbook ansible-vault", value="--vault-password --become-password"),
    Command("kubectl oc", value="--token --password -p", needs="login"),
    Command("kubectl oc", value="--token --password"),
    Command("svn git-svn hg", value="--password"),
    Command("useradd usermod adduser", value="-p --password"),
    Command("wpa_passphrase", positional=-1, positional_least=2),
    Command("nmcli iwctl", value="password --passphrase wifi-sec.psk"),
    Command("cryptsetup", value="--key"),
    Command("bw", needs="unlock", positional=-1, positional_least=2),
    Command("doctl", value="-t --access-token", needs="auth"),
    Command("drush", needs="user:password", positional=-1, positional_least=3),
    Command("etcdctl", user="--user"),
    Command("grafana grafana-cli", needs="reset-admin-password", positional=-1, positional_least=2),
    Command("jenkins-cli", user="-auth"),
    Command("security", value="-w", needs="add-generic-password"),
    Command("security", value="-w", needs="add-internet-password"),
    Command("security", value="-p", needs="create-keychain"),
    Command("security", value="-p", needs="unlock-keychain"),
    Command("wandb", needs="login", positional=-1, positional_least=2),
    Command("snyk", needs="auth", positional=-1, positional_least=2),
    Command("setx", positional=-1, positional_least=2),
    Command("lftp ftp ncftp ncftpput", user="-u", value="-p"),
    Command("lftp", value="-u"),
    Command("expressvpn nordvpn", value="--token --password"),
    Command("cmdkey", attached="/pass: /p:"),
    Command("schtasks sc", value="/rp password= /p"),
    Command("runas", attached="/password:"),
    Command("dsmod dsadd", value="-pwd"),
    Command("convertto-securestring", value="-String", positional=0, positional_least=1),
    Command(
        "restic borg duplicity rclone", value="pass password --password --passphrase --pass --s3-secret-access-key"
    ),
    Command("s3cmd", value="--secret_key --access_key"),
    Command("mc", needs="alias", positional=-1, positional_least=5),
    Command("aws", value="--master-user-password --password --secret-string --temporary-password"),
    Command("aws", value="--value", needs="SecureString"),
    Command("az", value="--value", needs="keyvault"),
    Command("gcloud", value="--password --root-password"),
    Command("wg", needs="set", value="preshared-key"),
    Command("sendmail swaks msmtp sendemail", value="-ap -xp --auth-password -w"),
    Command("pdftk qpdf", value="user_pw owner_pw --password"),
    Command("ipmitool", value="-P"),
    Command("snmpwalk snmpget snmpset", value="-A -X -c"),
    Command("kinit", value="--password"),
    Command("realm adcli", value="--login-password"),
    Command("chpass mkpasswd", positional=-1, positional_least=1),
)
"""A line for each way in which a program takes a secret that its option does not name, or names by a letter."""

_BY_NAME: Final[dict[str, list[Command]]] = {}
for _command in COMMANDS_TABLE:
    for _name in _command.names.split():
        _BY_NAME.setdefault(_name, []).append(_command)

_TAKES_STDIN: Final = (
    *(
        "chpasswd",
        "sudo -s",
        "passwd --stdin",
        "--password-stdin",
        "--with-token",
        "--passphrase-fd",
        "cryptsetup",
        "su -",
    ),
    *(
        "vault login -",
        "kinit",
        "openssl enc",
        "secret create",
        "create secret",
        "secret set",
        "secrets create",
        "secret put",
        "secret add",
    ),
    *("--stdin", "passwd", "--pass-stdin", "login -p -", "vipe"),
)
"""Programs that read a secret from what is piped into them."""
_HAS_ITS_OWN: Final[dict[str, re.Pattern[str]]] = {
    **dict.fromkeys(
        ("sqlplus", "rman", "expdp", "impdp", "sqlldr"),
        re.compile(
            r"[ \t]+(?:-\w+[ \t]+)*(?:\\*[\"'])?[\w$#]{1,64}/(?P<secret>[^\s/@\"'\\]{2,128})(?=@|\s|$|\\*[\"'])"
        ),
    ),
    "net use": re.compile(
        r"(?m)[ \t]+(?:[a-zA-Z*]:[ \t]+)?\\{2,8}[^\s]{2,256}(?:[ \t]+/[^\s]{1,128}){0,3}[ \t]+"
        r"(?!/)(?P<secret>[^\s/\"'][^\s\"']{2,128})(?=[ \t\"']|$)"
    ),
    "net user": re.compile(r"(?m)[ \t]+[\w.\\-]{1,64}[ \t]+(?!/)(?P<secret>[^\s/*][^\s]{2,128})(?=[ \t]|$)"),
    "<<<": re.compile(r"""[ \t]*(\\*["'])?(?P<secret>(?(1)[^"'\n]{4,256}|[^\s"'|;&]{6,256}))"""),
}
"""Behind these words stands the secret, in a way of their own."""
_KINDS: Final = ("value", "user", "percent", "cookie")
_SIGNS: Final = {"user": ":", "percent": "%", "cookie": "="}
"""Between what is no secret and the secret."""
WORDS: Final = (*_BY_NAME, *_TAKES_STDIN, *_HAS_ITS_OWN)
_VARIABLE: Final = re.compile(r"\$[\w{(]|%\w+%")
_BEFORE: Final = re.compile(r"[\w\-./\\]")
_PIPED: Final = re.compile(
    r"""\b(?:echo|printf)[ ]+(?:-[neE]+[ ]+)?(?:(\\*["'])%s(?:\\+n)?\1[ ]+)?(\\*["'])?"""
    r"""(?P<secret>(?(2)[^"'\n]{1,256}?|[^\s"'|;&]{1,256}))(?:\\+n)?(?(2)\2)[ ]*\|[ ]*[\w\-./ =]{0,80}?\Z"""
)


def find_in_commands(text: str, places: Sequence[Place], effort: Effort) -> Iterator[Span]:
    """The secrets in the arguments of commands, and in what is piped into them."""
    at = 0
    for start, end in sorted(places):
        if (
            start < at
            or (start and _BEFORE.match(text, start - 1) and text[start - 1] not in "/\\")
            or text[end : end + 1].isalnum()
        ):
            continue
        if not effort.spend(COMMANDS, 4):
            yield Span(start, start, "")
            return
        name = text[start:end].lower()
        if name in _TAKES_STDIN or name in _HAS_ITS_OWN:
            yield from _special(text, start, end, name)
        if name not in _BY_NAME:
            continue
        if text[end : end + 1] not in {" ", "\t", "."}:
            continue
        arguments = words(text, end + 4 if text.startswith(".exe", end) else end)
        if not effort.spend(COMMANDS, 2 + len(arguments)):
            yield Span(start, start, "")
            return
        for word in secret_arguments(name, arguments):
            yield Span(word.start, word.end, RULE)
            at = max(at, word.end)


def secret_arguments(name: str, arguments: Sequence[Word]) -> Iterator[Word]:
    """Of a program's arguments, the parts that are secrets."""
    for command in _BY_NAME.get(name, ()):
        if command.needs and not any(_is_or_begins(word.text, command.needs) for word in arguments):
            continue
        yield from _by_options(command, arguments)
        if command.positional is not None:
            yield from _by_position(command, arguments)


def _is_or_begins(word: str, needed: str) -> bool:
    """Whether a word is the one that is needed, also as in ``http-basic.example.com``."""
    return f"{word}.".lower().startswith(f"{needed}.".lower())


def _by_options(command: Command, arguments: Sequence[Word]) -> Iterator[Word]:
    for index, word in enumerate(arguments):
        following = arguments[index + 1] if index + 1 < len(arguments) else None
        if command.is_wrapper and not word.text.startswith("-"):
            before = arguments[index - 1].text if index else ""
            if before not in command.value.split():
                return
        option, value = _option(command, word, following)
        if value is None:
            continue
        if (sign := _SIGNS.get(_kind(command, option))) is not None:
            value = _behind(sign, value)
        if value is not None and _is_value(value.text):
            yield value


def _option(command: Command, word: Word, following: Word | None) -> tuple[str, Word | None]:
    """An option of a command, and its value, if the word is one: in the next word, or joined to it."""
    option, sign, rest = word.text.partition("=")
    if sign and rest and _kind(command, option):
        return option, Word(rest.strip("\"'"), word.start + len(option) + 1, word.end)
    if following is not None and _kind(command, word.text) and not following.text.startswith("-"):
        return word.text, following
    for option in (*command.attached.split(), *(each for each in command.user.split() if len(each) == 2)):
        if word.text.startswith(option) and len(word.text) > len(option):
            return option, Word(word.text[len(option) :].strip("\"'"), word.start + len(option), word.end)
    return "", None


def _kind(command: Command, option: str) -> str:
    """In which of a command's fields an option is; empty when in none."""
    return next((kind for kind in _KINDS if option in getattr(command, kind).split()), "")


def _behind(sign: str, word: Word) -> Word | None:
    """The password in ``user:password``, or in ``name=value``."""
    name, found, secret = word.text.partition(sign)
    is_example = name.lower() in {"user", "username"} and is_secret_key(secret)
    if not found or is_example or secret.startswith("//") or name.startswith(("[redacted", "http")):
        return None
    return Word(secret, word.start + len(name) + 1, word.end)


def _by_position(command: Command, arguments: Sequence[Word]) -> Iterator[Word]:
    plain = [word for word in arguments if not word.text.startswith("-")]
    if command.positional is not None and len(plain) >= command.positional_least:
        word = plain[command.positional]
        if _is_value(word.text) and (looks_chosen(word.text) or is_uuid(word.text) or command.positional_least > 2):
            yield word


def _is_value(text: str) -> bool:
    plain = text.strip("\"'\\")
    if plain.startswith(("pass:", "env:", "file:", "fd:", "stdin")):
        return plain.startswith("pass:")
    return bool(plain) and not _VARIABLE.match(plain) and not is_placeholder(plain) and MARKER.match(plain) is None


def _special(text: str, start: int, end: int, name: str) -> Iterator[Span]:
    own = _HAS_ITS_OWN.get(name)
    match = own.match(text, end) if own else _PIPED.search(text, max(0, start - 300), start)
    if match is None or not _is_value(match["secret"]) or (name == "<<<" and not looks_random(match["secret"])):
        return
    first, last = match.span("secret")
    if name == "chpasswd":
        first += match["secret"].find(":") + 1
    yield Span(first, last, RULE)
