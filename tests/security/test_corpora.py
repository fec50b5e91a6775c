"""The corpora, through the door that all events go through: no secret can be read, and no innocent is changed."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security import corpora
from tests.security.corpora import DECIDED_AGAINST, NAMES, Corpus
from trace_streaming.emitting.event_factory import safe_details
from trace_streaming.events.freezing import freeze_details
from trace_streaming.redaction import redact
from trace_streaming.redaction.effort import Effort
from trace_streaming.redaction.formats.tokens import find_tokens

MARKER = re.compile(r"\[redacted:[a-z ]{2,30}\]")
MISSED = {decision.quoted for decision in DECIDED_AGAINST if not decision.is_innocent}
SPOILED = {decision.quoted for decision in DECIDED_AGAINST if decision.is_innocent}
PAGE = Path(__file__).parent.parent.parent / "docs" / "redaction.md"


@pytest.fixture(params=NAMES)
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return corpora.corpus(request.param)


def emitted(details: dict[str, Any]) -> dict[str, Any]:
    """As the first event of a trace."""
    return safe_details(copy.deepcopy(details), trace_id=uuid.uuid4().hex)[0]


def texts(value: object) -> Iterator[str]:
    """All that can be read, keys and numbers, too."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from texts(inside)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif value is not None:
        yield str(value)


def as_text(details: object) -> str:
    return json.dumps(details, ensure_ascii=False)


def is_among(quoted: set[str], details: dict[str, Any]) -> bool:
    return any(each in as_text(details) for each in quoted)


def test_no_secret_is_missed(corpus: Corpus) -> None:
    """Wherever it stands in the event: what was hidden in one place is hidden in the others. Invariant 4."""
    missed = [
        f"{secret} in {as_text(details)}"
        for details, secret in corpus.secrets
        if any(secret in text for text in texts(emitted(details))) and not is_among(MISSED, details)
    ]
    assert not missed, "\n".join(missed)


def test_no_innocent_is_spoiled(corpus: Corpus) -> None:
    """Byte for byte what was emitted."""
    spoiled = [
        f"{as_text(details)}\n  => {as_text(redacted)}"
        for details in corpus.innocents
        if (redacted := emitted(details)) != details and not is_among(SPOILED, details)
    ]
    assert not spoiled, "\n".join(spoiled)


def test_what_was_decided_against_is_still_so() -> None:
    """A case that no rule fails any more is no exception; each is one case, and there are few."""
    secrets = [case for name in NAMES for case in corpora.corpus(name).secrets]
    innocents = [details for name in NAMES for details in corpora.corpus(name).innocents]
    for quoted in sorted(MISSED):
        (case,) = [(details, secret) for details, secret in secrets if quoted in as_text(details)]
        assert any(case[1] in text for text in texts(emitted(case[0]))), quoted
    for quoted in sorted(SPOILED):
        (details,) = [details for details in innocents if quoted in as_text(details)]
        assert emitted(details) != details, quoted
    assert len(MISSED | SPOILED) == len(DECIDED_AGAINST) <= 15


def test_the_page_shows_what_was_decided_against() -> None:
    """Each case with its reason, and no other."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Decided against\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (stays|goes) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [
        (decision.quoted, "goes" if decision.is_innocent else "stays", decision.reason) for decision in DECIDED_AGAINST
    ]


def test_every_marker_names_its_rule(corpus: Corpus) -> None:
    """In small letters and blanks, so that whoever reads a trace, or a program, knows a marker when it sees one."""
    wrong = [
        found
        for details in (*(details for details, _ in corpus.secrets), *corpus.innocents)
        for found in re.findall(r"\[redacted[^\]]{0,60}\]?", as_text(emitted(details)))
        if not MARKER.fullmatch(found) and found not in as_text(details)
    ]
    assert wrong == []


def test_redacting_twice_is_redacting_once(corpus: Corpus) -> None:
    """Markers are left alone, and make a secret of nothing else."""
    changed = []
    for details in (*(details for details, _ in corpus.secrets), *corpus.innocents):
        once = redact(freeze_details(details))
        twice = redact(copy.deepcopy(once))
        if twice != once:
            changed.append(f"{as_text(once)}\n  => {as_text(twice)}")
    assert not changed, "\n".join(changed)


UNBROKEN = re.compile(r"-BEGIN |hooks\.|(?<![A-Za-z0-9_\-\\\u00a6])[A-Za-z0-9_\-]{16}")
"""Behind a backslash, the first letter is that of an escape."""


@pytest.mark.parametrize("name", NAMES)
def test_no_scanner_takes_a_corpus_for_real(name: str) -> None:
    """In its file, no line has a word that is not broken, nor a token of any format that is known here."""
    lines = (Path(corpora.__file__).parent / f"{name}.json").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if UNBROKEN.search(line) or [*find_tokens(line, Effort())]] == []
