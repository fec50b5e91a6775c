"""Secrets of command lines that no key names: ``sshpass -p value``, ``mysql -pvalue``, ``//user:value@host``."""

from __future__ import annotations

import re
from typing import Final

from .assigned_values import is_placeholder
from .effort import COMMANDS, Effort, ended, substituted

_OPTION: Final = re.compile(
    r"""(\bsshpass[ \t]{1,4}-p[ \t]{0,4}
    |\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)[ \t][^\n|;&]{0,200}?(?<=\s)-p
    |\b(?:docker|podman|helm[ ]registry|buildah|skopeo)[ ]login[ \t][^\n|;&]{0,200}?(?<=\s)-p[ \t]{1,4}
    |\bredis-cli[ \t][^\n|;&]{0,200}?(?<=\s)-a[ \t]{1,4}|\b(?:un)?zip[ \t][^\n|;&]{0,200}?(?<=\s)-P[ \t]{0,4})
    (?!\[redacted:)(\\*["'])?((?(2)[^"'\\\n]+|[^\s"'\\;|&<>]+))""",
    re.VERBOSE,
)
"""Of the commands that take a password behind a single letter, and that letter."""
_COMMANDS: Final = ("sshpass", "mysql", "mariadb", " login", "redis-cli", "zip")
"""One of these is in each of them: the search for it takes no time beside that for the whole."""
_COMMAND: Final = re.compile(
    r"\b(?:sshpass|mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|docker|podman|helm registry|buildah|skopeo|redis-cli"
    r"|(?:un)?zip)(?=[ \t])"
)
_VARIABLE: Final = re.compile(r"\$[\w{(]")
_SHARE: Final = re.compile(
    r"""((?<![\w:/\\.])//[^\s/?#:@"'<>]{1,128}:)(?!\[redacted:)([^\s/?#"'<>@]{1,256})@"""
    r"""(?=[\w\-]+\.[\w.\-]*\w|[\w\-]{1,64}(?::[0-9]{1,5})?/)"""
)


def redact_commands(text: str, effort: Effort) -> str:
    """Replace the passwords."""
    if "-" in text and any(map(text.__contains__, _COMMANDS)):
        text = _without_options(text, effort)
    if "@" in text and "//" in text:
        text = substituted(_SHARE, _share, text, effort, COMMANDS, 3, "//")
    return text


def _without_options(text: str, effort: Effort) -> str:
    kept: list[str] = []
    done = at = 0
    while command := _COMMAND.search(text, at):
        at = command.end()
        if not effort.spend(COMMANDS, 4):
            return ended(kept, text, done, command.start())
        if option := _OPTION.match(text, command.start()):
            kept += (text[done : option.start()], _option(option))
            done = at = option.end()
    return "".join((*kept, text[done:])) if kept else text


def _option(option: re.Match[str]) -> str:
    before, quote, value = option.groups(default="")
    is_variable = not quote.endswith("'") and _VARIABLE.match(value)
    return option[0] if is_variable or is_placeholder(value) else f"{before}{quote}[redacted:password]"


def _share(share: re.Match[str]) -> str:
    return share[0] if is_placeholder(share[2]) else f"{share[1]}[redacted:url password]@"
