"""What sets a key without a sign: ``ENV TOKEN value``, ``setenv``, ``config set``, a line of ``.netrc``."""

from __future__ import annotations

import re
from typing import Final

_SETTER: Final = re.compile(
    r"(?:(?:\A|\n|\\n|Step \d+/\d+ :|\d/\d+\])[ \t]*ENV|\b[Ss]et[Ee]nv|\bset -[gUl]?x|\bconfig(?:ure)? set"
    r"|\bmachine\s+(?:\S{1,64}\.\S{1,64}|localhost)\s+login\s+\S{1,64})\s{1,8}(?:\S{1,80}[/:.])?\Z"
)
"""Before a key that a blank parts from its value: of a Dockerfile, a shell, a tool's configuration, or ``.netrc``."""
_SETTER_ENDS: Final = re.compile(r"(?:E[Nn][Vv]|et[Ee]nv|x|set|login\s+\S{1,64})\s{1,8}\Z")
"""How what stands right before a key ends there; hardly any other text does."""
_ENV_INSIDE: Final = re.compile(r"(?<![\w.$\-])ENV[ \t]{1,8}\Z")
"""The same of a Dockerfile where it is quoted in something else; then the value has to look like a secret, too."""


def is_set(text: str, start: int) -> bool:
    """Whether what stands before the key at ``start`` parts it from its value by a blank alone."""
    before = text[start - 1 : start]
    if before.isspace():  # almost always; the search for the whole takes long
        if not _SETTER_ENDS.search(text, max(0, start - 80), start):
            return False
    elif before not in {"/", ":", "."}:
        return False
    return _SETTER.search(text, max(0, start - 256), start) is not None


def is_behind_env(text: str, start: int) -> bool:
    """Whether ``ENV`` stands before the key at ``start``, wherever that is in the text."""
    return _ENV_INSIDE.search(text, max(0, start - 16), start) is not None
