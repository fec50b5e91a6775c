"""E-mail addresses, as they are, encoded, and spelt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trace_streaming.redaction.effort import VALUES, Effort
from trace_streaming.redaction.spans import Span

_DOMAIN: Final = r"(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![^\W_]|_\w|\(|\.[\w])"
_PLAIN_DOMAIN: Final = re.compile(f"@{_DOMAIN}")
_ENCODED_DOMAIN: Final = re.compile(rf"(?:[@\uff20]|%40|&#(?:64|x40);){_DOMAIN}")
"""Which takes ten times as long to see that there is none."""
_ENCODED: Final = ("%40", "&#", "\uff20")
_FILE: Final = re.compile(
    r"\.(?:avif|bmp|cjs|css|gif|html?|ico|jpe?g|js|jsx|json|mjs|png|svg|tsx|webp)\Z", re.IGNORECASE
)
"""What no domain ends in: ``icon@2x.png``, ``chunk@1.2.3.js``."""
_NAME: Final = re.compile(r"[\w.+\-!#$%&'*/=?^{|}~]{1,64}")
_EDGE: Final = re.compile(r"(?:(?<=\\)(?:[nrt]|u00[0-9a-f]{2}|x[0-9a-f]{2})|(?<=\[)[0-9]{1,3}m|[^\w+]+)*")
"""Not of the name: what stands before it in a text, in a query, in a terminal or in an exception's."""
_ESCAPED: Final = re.compile(r"%(?!2[BDEbde]|5[Ff])[0-7][0-9A-Fa-f]")
"""A sign in a query that stands in hardly any name."""
_SPELT: Final = re.compile(
    r"(?<![\w.+\-])[\w.+\-]{1,64} ?[\[(] ?at ?[\])] ?[\w\-]{1,63}(?: ?(?:\.|[\[(] ?dot ?[\])]) ?[\w\-]{1,63}){1,5}",
    re.IGNORECASE,
)
"""As it is written where programs that collect addresses may read it: ``ada [at] example [dot] com``."""
_SPELT_SIGN: Final = re.compile(r"[\[(] ?at ?[\])]", re.IGNORECASE)


def find_addresses(text: str, effort: Effort) -> Iterator[Span]:
    """E-mail addresses, and not the user of a URL or of a repository."""
    done = 0
    is_encoded = any(map(text.__contains__, _ENCODED))
    for domain in (_ENCODED_DOMAIN if is_encoded else _PLAIN_DOMAIN).finditer(text):
        at = domain.start()
        if not effort.spend(VALUES, 4):
            yield Span(at, at, "")
            return
        start = _name_start(text, max(done, at - 64), at)
        if start == at or _is_no_address(text, start, at, domain.end()):
            continue
        yield Span(start, domain.end(), "email")
        done = domain.end()
    done = 0
    for sign in _SPELT_SIGN.finditer(text):
        if not effort.spend(VALUES, 4):
            yield Span(sign.start(), sign.start(), "")
            return
        if spelt := _SPELT.search(text, max(done, sign.start() - 65), sign.end() + 400):
            yield Span(*spelt.span(), "email")
            done = spelt.end()


def _name_start(text: str, least: int, at: int) -> int:
    """Where the name before ``at`` begins: behind the signs of a query or a quotation (they may stand in a name)."""
    if text[at - 1 : at] == '"':
        return text.rfind('"', least, at - 1) + 1 or at
    name = _NAME.match(text[least:at][::-1])
    if name is None:
        return at
    start = at - name.end()
    for sign in "=?&/'{|":
        start = max(start, text.rfind(sign, start, at) + 1)
    for escape in _ESCAPED.finditer(text, start, at):
        start = escape.end()
    edge = _EDGE.match(text, start, at)
    return edge.end() if edge else start


def _is_no_address(text: str, start: int, at: int, end: int) -> bool:
    """The user of a URL, or of a repository, or a file: ``https://ada@example.com``, ``git@github.com:ada/engine``."""
    if text.endswith("://", 0, start) or (text[start:at] == "git" and text[end : end + 1] in {":", "/"}):
        return True
    file = _FILE.search(text, max(at, end - 8), end)  # which may be called by an address: ``ada@example.com.json``
    return file is not None and _ENCODED_DOMAIN.fullmatch(text, at, file.start()) is None
