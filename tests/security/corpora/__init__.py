"""Corpora of what agents' payloads hold: secrets that must go, innocents that must stay. None is real.

``given`` was there before the rules; those that are called blind were written without a look at them, each when those
before it were in order. ``docs/redaction.md`` tells what they said the first time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

BREAK: Final = "¦"
"""Stands in the files alone, and nowhere else in them."""
NAMES: Final = ("given", "blind_1", "blind_2", "blind_3", "blind_4", "blind_5", "blind_6", "blind_7")


class Corpus(NamedTuple):
    """Details as an agent emits them."""

    secrets: list[tuple[dict[str, Any], str]]
    """Each with the part of it that nobody may read."""
    innocents: list[dict[str, Any]]


class Decision(NamedTuple):
    """A case that is left as it is, on purpose."""

    quoted: str
    """What of its JSON text tells it from all others."""
    reason: str
    is_innocent: bool = False
    """Whether it is an innocent that goes; else a secret that stays."""


def corpus(name: str) -> Corpus:
    """One of ``NAMES``.

    The scanners of hosts and of editors would take invented tokens for real ones. So in the files each word of 16 and
    more letters, digits, ``_`` and ``-`` has a ``¦`` behind its third character, and so have ``BEGIN`` of an armour and
    ``hooks`` of a host: it is removed here, in keys and texts.
    """
    text = (Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8")
    cases = json.loads(text.replace(BREAK, ""))
    return Corpus([(details, secret) for details, secret in cases["secrets"]], cases["innocents"])


DECIDED_AGAINST: Final = (
    Decision("password: MyString", "A type's name stands there as often: `password: MyString` of a schema."),
    Decision("my_secret_password", "The name of a variable, in most code that is written so."),
    Decision("sonne-und-moos", "Words joined by hyphens behind “the key is” are mostly a key's name: `user-id`."),
    Decision(
        "ist jetzt Neu3s-Jahr!", "The value stands two clauses behind what names it: that takes a language model."
    ),
    Decision("steht am Router: 58213 90447 12065", "Groups of digits; the sentence before them says where, not what."),
    Decision(r"nachtig\r\n    all-trapst", "A value of words alone is not remembered, and here it is torn, too."),
    Decision("WLAN-Ahorn-88", "A word and a number, as names of networks, rooms and models are."),
    Decision("login kb Auerhahn_Forst", "A value of words alone is not remembered: `Order_Status` would go as well."),
    Decision("Write to user@example.com", "All addresses go; the domains of examples are not asked for.", True),
    Decision("admin@example.org", "The same.", True),
    Decision("name: stripe", "The list below `secrets:` tells values that are none as often."),
    Decision("MSW¦AgG9c08zNmYO07Z5ibhcoGv".replace(BREAK, ""), "No token of Discord begins with what is no number."),
    Decision("646ESGQRmwg8NB", "An attribute without quotes, which names the field behind its value."),
    Decision(
        '"login.token": "Zugriffsschl\u00fcssel"',
        "One word behind `login.token`; a label is told by words that are known.",
        True,
    ),
    Decision("theme=dark; Path=/", "What a cookie is for is not asked: the header goes whole.", True),
)
"""At most fifteen. ``docs/redaction.md`` shows them."""
