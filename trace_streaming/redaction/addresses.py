"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .effort import VALUES, Effort
from .spans import Span

_DOMAIN: Final = re.compile(r"@((?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24})(?![\w(]|\.[\w])")
_ENCODED_DOMAIN: Final = re.compile(_DOMAIN.pattern.replace("@", "%40", 1))
_EMAIL_NAME: Final = re.compile(r"[\w.+\-!#$%&'*/=?^{|}~]{1,64}")
_EMAIL_EDGE: Final = re.compile(r"[^\w+]*")
"""Not of the name: what stands before it in a text, in a query or in an exception's."""


_WRITTEN_OUT: Final = re.compile(
    r"[\w.+\-]{1,64} ?[\[(]at[\])] ?[\w\-]{1,63}(?: ?(?:[\[(]dot[\])]|\.) ?[\w\-]{2,63}){1,4}", re.IGNORECASE
)
"""``ada [at] example [dot] com``."""


def find_addresses(text: str, effort: Effort) -> Iterator[Span]:
    """E-mail addresses, and not the user of a URL or of a repository."""
    done = 0
    for domain in (
        sorted((*_DOMAIN.finditer(text), *_ENCODED_DOMAIN.finditer(text)), key=re.Match.start)
        if "%40" in text
        else _DOMAIN.finditer(text)
    ):
        at = domain.start()
        if not effort.spend(VALUES, 4):
            yield Span(at, at, "")
            return
        name = _EMAIL_NAME.match(text[max(done, at - 64) : at][::-1])
        if name is None:
            continue
        start = at - name.end()
        start = _name_start(text, start, at)
        if start == at or _is_no_address(text, start, at, domain.end()):
            continue
        yield Span(start, domain.end(), "email")
        done = domain.end()
    for written in _WRITTEN_OUT.finditer(text) if "[at]" in text or "(at)" in text else ():
        yield Span(*written.span(), "email")


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
