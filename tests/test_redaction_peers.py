"""The table that holds the redactor against its peers: what is counted, and that the page shows all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.redaction_peers import BEGIN, END, PAGE, PEERS, PINS, Score, ours, pinned, score, table, with_table
from tests.security.corpora import NAMES, Corpus, corpus

CASES = Corpus(
    [({"password": "fog-7731-elm"}, "fog-7731-elm"), ({"fog-7731-elm": [17]}, "fog-7731-elm"), ({"n": 17}, "17")],
    [{"steps": 2}, {"note": "a plan"}],
)


def test_a_secret_that_can_be_read_is_missed_and_a_changed_innocent_spoiled() -> None:
    """In values, keys and numbers; whoever changes nothing misses all."""

    def nothing(many: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"readable": ["17", "a fog-7731-elm"], "is_changed": False} for _ in many]

    def everything(many: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"readable": [], "is_changed": True} for _ in many]

    assert score(CASES, nothing) == Score(3, 3, 0, 2)
    assert score(CASES, everything) == Score(0, 3, 2, 2)
    assert score(CASES, ours) == Score(2, 3, 0, 2)


def test_a_hit_has_to_cover_the_secret() -> None:
    """Of a scanner, which changes nothing."""

    def half(many: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"covered": ["fog-7731"], "is_changed": True} for _ in many]

    def more(many: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"covered": ["x=fog-7731-elm", "17"], "is_changed": True} for _ in many]

    assert score(CASES, half).missed == 3
    assert score(CASES, more).missed == 0


def test_the_table_stands_between_its_marks() -> None:
    """Whatever was there before; of all corpora together in percent."""
    scores = [Score(1, 4, 0, 5)] * len(NAMES)
    text = table({"ours": scores}, {"ours": "1.0"}, "2026-11-27")
    assert text.splitlines()[2].startswith("| missed / spoiled | given: 4 + 5 | blind 1: 4 + 5 |")
    assert text.splitlines()[4] == "| ours 1.0 |" + " 1 / 0 |" * len(NAMES) + " 25.0 % / 0.0 % |"
    once = with_table(f"a\n{BEGIN}\nold\n{END}\nb\n", text)
    assert once == f"a\n{BEGIN}\n\n{text}\n{END}\nb\n" == with_table(once, text)


def test_the_page_shows_all_peers_on_the_corpora_as_they_are() -> None:
    """A corpus more, or another version of a peer, wants `make redaction`."""
    shown = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    cases = [corpus(name) for name in NAMES]
    sizes = [(len(each.secrets), len(each.innocents)) for each in cases]
    assert [(int(n), int(m)) for n, m in re.findall(r": (\d+) \+ (\d+) ", shown)] == sizes
    pins = pinned(PINS.read_text())
    versions = [f"{name} {pins[package]}" for name, package in PEERS.items()]
    assert re.findall(r"^\| (\S+ \d\S+) \|", shown, re.MULTILINE)[1:] == versions
