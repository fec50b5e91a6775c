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


_ESCAPED: Final = 8
"""So many times as far back is looked where there are escaped backslashes; each level of JSON in JSON doubles them."""


def search_before(pattern: re.Pattern[str], text: str, start: int, length: int) -> re.Match[str] | None:
    """Search in the ``length`` characters before ``start``, however often the quotes in them were escaped."""
    begin = max(0, start - length)
    if text.find("\\\\", begin, start) < 0:
        return pattern.search(text, begin, start)
    return pattern.search(before(text, start, length))


def before(text: str, start: int, length: int) -> str:
    """The ``length`` characters before ``start``, and more where quotes were escaped often; then with one backslash."""
    begin = max(0, start - length)
    if text.find("\\\\", begin, start) < 0:
        return text[begin:start]
    begin = max(0, start - _ESCAPED * length)
    part = text[begin:start]
    while "\\\\" in part:
        part = part.replace("\\\\", "\\")
    return part if begin == 0 else f"-{part}"  # which is not the text's beginning


def is_set(text: str, start: int) -> bool:
    """Whether what stands before the key at ``start`` parts it from its value by a blank alone."""
    before = text[start - 1 : start]
    if before.isspace():  # almost always; the search for the whole takes long
        if not search_before(_SETTER_ENDS, text, start, 80):
            return False
    elif before not in {"/", ":", "."}:
        return False
    return search_before(_SETTER, text, start, 256) is not None


def is_behind_env(text: str, start: int) -> bool:
    """Whether ``ENV`` stands before the key at ``start``, wherever that is in the text."""
    return _ENV_INSIDE.search(text, max(0, start - 16), start) is not None
