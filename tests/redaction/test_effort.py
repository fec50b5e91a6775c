"""What an event takes to be looked at is bounded, and what is not looked at is not shown."""

from __future__ import annotations

import functools
import gc
import math
import time
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter

import pytest

from trace_streaming.events.fitting import encode_details
from trace_streaming.events.freezing import MAX_BYTES, freeze_details
from trace_streaming.events.kinds import JSON
from trace_streaming.redaction import redact, redact_text
from trace_streaming.redaction.assignments import assigned, documents, manifests
from trace_streaming.redaction.formats import marked_values
from trace_streaming.redaction.formats.token_shapes import PATTERNS, SHAPES
from trace_streaming.redaction.spans import TOO_MUCH
from trace_streaming.redaction.wordings import commands, phrases

TOKENS = [
    sorted(prefixes)
    for _, prefixes in groupby(sorted({each.prefix for each in (*SHAPES, *PATTERNS)}), key=itemgetter(0))
]
"""All prefixes of tokens, by their first letters."""
KEYS = [" ".join(words) for _, words in groupby(sorted(assigned.WORDS), key=lambda word: word[:2])]
COMMANDS = [" ".join(names) for _, names in groupby(sorted(commands.WORDS), key=itemgetter(0))]
LINKS = (
    *marked_values.LINK_WORDS,
    *marked_values.KEY_WORDS,
    *marked_values.HASH_WORDS,
    *documents.WORDS,
    *manifests.WORDS,
)
PREFIXES = [
    *(
        "ENV token ",
        "setenv token ",
        "config set token ",
        "machine a.b login c ",
        "set -gx ",
        "api key ",
        "password is ",
    ),
    *(
        "0171 ",
        "01 23 45 ",
        "4111 1111 1111 1111 ",
        "DE89 3704 0044 0532 0130 00 ",
        "+49 171 1234567 ",
        "2026-01-05 12 ",
    ),
    *(
        "ada@example.com ",
        "@b.cd",
        "://a:b@",
        "//a:b@c.d ",
        "Bearer abcdefgh1 ",
        "-u a:b ",
        "hooks.slack.com/services/x ",
    ),
    *("sshpass -p x ", "mysql -px ", "docker login -p x ", "redis-cli -a x ", "zip -P x ", "?sig=aaaaaaaaaaaaaaaa "),
    *("1-2-", "a1.", "eyJ1-", "-----BEGIN PRIVATE KEY-----", "<password>x</password> ", 'name="token" value="x" '),
    *("612 34 56 7 ", "phone: 4155550132 ", "(11) 96123-", "4111\u202f", "a [at] b [dot] ", 'b"@', "&#64;"),
    *(f"{' '.join(prefixes)}1 " for prefixes in TOKENS),
    *(f"{'1-'.join(prefixes)}1-" for prefixes in TOKENS),
    *(f"{words} " for words in KEYS),
    *(f"{words}=x&" for words in KEYS),
    *(f"{words}: " for words in KEYS),
    *(f'"name": "{words}", "value": "' for words in KEYS),
    *(f"{names} -p x " for names in COMMANDS),
    *(f"{word}{behind}" for word in LINKS for behind in ("", "aaaaaaaa1/ ")),
    *(
        "".join(f"{word}{behind}" for word in phrase.begins)
        for phrase in phrases.PHRASES
        for behind in ("", "'a', 'x1' ")
    ),
    *(phrase.example for phrase in phrases.PHRASES),
    *(
        "token,a\n",
        "| token | a |\n",
        "insert into a (token) values ('a1'),",
        "kind: Secret\ndata:\n  a: b1\n",
        "kind: Secret\\ndata:\\n  a: b1\\n",
        *(
            "&quot;",
            "&quot;password&quot;: &quot;x1&quot;, ",
            "recovery codes: ab12c-d34ef, ",
            "1. ab12c-d34ef\nbackup codes\n",
        ),
        *("ab12c-d34 is the password ", "password changed from ab12c-d34 to ab12c-d35 ", "password \u2014 ab12c-d34 "),
        *("$6$a$bbbbbbbbbbbbbbbbbbbbbbbb ", "$6$a", "--secret id=a,", "password from ", "password \\\\\\\\"),
        *("hmac.new(key=", "token,a\nab12c-d34ef56,", '{"secrets": ["A_TOKEN", '),
        "kind: Secret\n---\ndata:\n",
        '{"kind":"Secret","data":{"a":"b1"}}',
        '{"data":{"a":"b1",',
        '"kind":"Secret",[',
        '["kind":"Secret\'',
        "token: |\n  a",
        # Values without an end, of keys and in code that tell nothing to hide: each is the rest of the one before it.
        *("auth=", "auth:", "session=[", "auth=${A}", "password=f()+", "token=self.a."),
        "authorization: Bearer [redacted:key] ",
    ),
]
"""Something of each rule."""


def seconds(function: Callable[[], object]) -> float:
    """Of this thread's CPU."""
    started = time.thread_time()
    function()
    return time.thread_time() - started


def least(*functions: Callable[[], object], holds: Callable[..., bool]) -> list[float]:
    """Seconds of this thread's CPU that each takes, in turn, at the least: what else the machine does only adds to it.

    Measured three times, and while `holds` is false of them up to thirty times: what is truly too much stays so.
    """
    times = [math.inf] * len(functions)
    gc.disable()  # it would look at whatever else the tests have made
    try:
        for turn in range(30):
            for index, function in enumerate(functions):
                times[index] = min(times[index], seconds(function))
            if turn >= 2 and holds(*times):
                break
    finally:
        gc.enable()
    return times


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_text_of_what_a_rule_looks_for_takes_no_more_than_its_length(prefix: str) -> None:
    """Twice the text takes at most about twice as long, and a dense one not much longer than any other. Invariant 3."""

    def text(length: int) -> str:
        return ("1 " + prefix * (length // len(prefix)))[:length]

    def holds(once: float, twice: float) -> bool:
        return twice < min(3 * max(once, 0.002), 0.15)  # of a slow machine; a quiet one takes a tenth

    half, whole = (functools.partial(redact_text, text(length)) for length in (100_000, 200_000))
    if seconds(whole) < 0.05:
        return  # however little half of it takes, nobody waits for it
    once, twice = least(half, whole, holds=holds)
    assert holds(once, twice), (once, twice)


@pytest.mark.parametrize(
    "details",
    [
        {f"user{number}@example.com": number for number in range(8_000)},
        {"to": [f"user{number}@example.com" for number in range(8_000)]},
        {"keys": {f"key {number}": number for number in range(20_000)}},
        {"texts": [f"text number {number}" for number in range(20_000)]},
        {"cards": [4111111111111111] * 20_000},
        {"users": [{"password": number} for number in range(20_000)]},
    ],
    ids=["addresses as keys", "addresses", "keys", "texts", "cards", "passwords"],
)
def test_many_small_finds_take_bounded_time(details: dict[str, JSON]) -> None:
    """What pairs the event stays, what is left out is marked, and no address or card is shown. Invariants 3 and 4."""
    whole = {**details, "tool": "search an unusual place", "call_id": "c1"}
    bound = 0.2  # of a slow machine; a quiet one takes a tenth
    assert least(lambda: redact(freeze_details(whole)), holds=lambda took: took < bound) < [bound]
    redacted, text = encode_details(redact(freeze_details(whole)))
    assert (redacted["tool"], redacted["call_id"]) == ("search an unusual place", "c1")
    assert "[truncated: " in text or TOO_MUCH in text or "[redacted:card]" in text
    assert "@example.com" not in text
    assert "411111" not in text


@pytest.mark.parametrize(
    ("piece", "secret"),
    [
        ("password=hunter2 ", "hunter2"),
        ("ada@example.com ", "ada@"),
        ("4111 1111 1111 1111, ", "4111"),
        ("https://ada:hunter2@example.com ", "hunter2"),
        ("mysql -phunter2 ", "hunter2"),
        ("Bearer abcdefgh1hunter2 ", "hunter2"),
    ],
)
def test_what_is_too_much_to_look_at_is_left_out_and_not_shown(piece: str, secret: str) -> None:
    """Behind ten thousand secrets there may be another one. Invariant 4."""
    text = redact_text(piece * (MAX_BYTES // len(piece)))
    assert secret not in text
    assert TOO_MUCH in text
    assert text.endswith(" more characters]")


def test_a_log_of_any_usual_length_is_looked_at_whole() -> None:
    """Two thousand lines with their times, and a table of ids."""
    log = "".join(
        f"2026-01-05 12:00:{n % 60:02},{n:03} INFO app: request {n} was answered in {n} ms\n" for n in range(2_000)
    )
    assert redact_text(log) == log
    texts: dict[str, JSON] = {
        "rows": [f"row {n} of an answer, with some words in it, as they come" for n in range(3_000)]
    }
    assert "[truncated" not in str(redact(texts))


def test_no_more_keys_that_become_the_same_take_no_longer_each() -> None:
    """Eight thousand addresses as keys took nine seconds."""

    def details(count: int) -> dict[str, JSON]:
        return {f"u{number}@example.com": number for number in range(count)}

    def holds(few: float, many: float) -> bool:
        return many < 3 * max(few, 0.001)

    few, many = least(*(functools.partial(redact, details(count)) for count in (500, 1_000)), holds=holds)
    assert holds(few, many), (few, many)
