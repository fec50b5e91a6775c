"""What was hidden once is hidden everywhere, whatever surrounds it and however it is written."""

from __future__ import annotations

import base64
import json
import os
import warnings
from collections.abc import Iterator
from random import Random
from string import ascii_letters
from threading import Thread
from time import thread_time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trace_streaming.emitting import surroundings
from trace_streaming.emitting.event_factory import make_event, safe_details
from trace_streaming.redaction import register_secret
from trace_streaming.redaction.known import memory, values
from trace_streaming.redaction.known.automaton import Automaton
from trace_streaming.redaction.known.learning import is_telling
from trace_streaming.redaction.known.values import MOST_CHARACTERS, MOST_VALUES, KnownValues, masked_text

SECRET = "kJ8#fx" + '"Q2z/9+Lm'
MARKER = "[redacted:known value]"


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    memory.forget_traces()
    yield
    memory.forget_traces()


def shown(details: Any, trace_id: str = "t") -> str:
    return safe_details(details, trace_id=trace_id)[1]


@pytest.mark.parametrize(
    "carrier",
    [
        {"text": f"it says {SECRET} here"},
        {f"{SECRET}": 1},
        {"list": ["a", [SECRET]]},
        {"json": json.dumps({"a": SECRET})},
        {"json": json.dumps([json.dumps({"a": SECRET})])},
        {"query": f"a={quote(SECRET, safe='')}&b=1"},
        {"query": f"a={quote(SECRET, safe='').replace('%2F', '%2f').replace('%2B', '%2b')}&b=1"},
        {"hex": SECRET.encode().hex()},
        {"html": "<b>" + SECRET.replace('"', "&quot;") + "</b>"},
        {"colours": f"{SECRET[:5]}\x1b[31m{SECRET[5:]}\x1b[0m"},
        {"lines": f"{SECRET[:5]}\n    {SECRET[5:]}"},
        {"lines": f"{SECRET[:5]}\\\n{SECRET[5:]}"},
        {"mail": f"{SECRET[:5]}=\r\n{SECRET[5:]}"},
        {"invisible": f"{SECRET[:5]}\u200b{SECRET[5:]}"},
        {"code": f"'{SECRET[:5]}' + '{SECRET[5:]}'"},
        {"error": ValueError(SECRET)},
        {"tool": SECRET},
    ],
    ids=lambda carrier: str(carrier)[:30],
)
def test_a_value_that_was_hidden_by_its_key_is_hidden_everywhere_in_its_trace(carrier: Any) -> None:
    """In texts, keys and lists, encoded, escaped and torn; in another trace it is not known. Invariant 12."""
    before = shown(carrier)
    assert MARKER not in before
    shown({"password": SECRET})
    assert MARKER in shown(carrier)
    assert SECRET[:5] not in shown(carrier)
    assert shown(carrier, "another") == before


@pytest.mark.parametrize(
    "written",
    [
        "it&#x27;s&quot;q\u00fc9\\d",
        "it&#39;s&#34;q\u00fc9\\d",
        "it&#039;s&quot;q\u00fc9\\d",
        "it&apos;s&quot;q\u00fc9\\d",
        repr("it's\"q\u00fc9\\d"),
        repr("it's\"q\u00fc9\\d".encode()),
    ],
)
def test_a_value_with_quotes_is_hidden_however_they_are_escaped(written: str) -> None:
    """As Django, Jinja, PHP and XML escape it in a page, and Python in a traceback. Invariant 12."""
    shown({"password": "it's\"q\u00fc9\\d"})
    assert MARKER in shown({"text": f"it says {written} here"})


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("encoder", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_is_found_in_base64_wherever_it_stands_in_it(before: int, encoder: Any) -> None:
    """Three bytes are four letters: what stands before it shifts it."""
    shown({"password": SECRET})
    text = encoder(b"x" * before + SECRET.encode() + b"yz").decode()
    assert MARKER in shown({"text": f"see {text} there"})


@pytest.mark.parametrize(
    ("first", "value"),
    [
        ({"headers": {"Authorization": "Bearer a8Kq2mZx91Lw"}}, "a8Kq2mZx91Lw"),
        ({"headers": {"Authorization": "Basic " + base64.b64encode(b"ada:Tr0ub4dor-9").decode()}}, "Tr0ub4dor-9"),
        ({"cmd": "mysql -u root --password 'Tr0ub4dor-9' shop"}, "Tr0ub4dor-9"),
        ({"cmd": "sshpass -p Tr0ub4dor-9 ssh db"}, "Tr0ub4dor-9"),
        ({"url": "postgres://ada:Tr0ub4dor-9@db/shop"}, "Tr0ub4dor-9"),
        ({"file": '{"db": {"password": "Tr0ub4dor-9"}}'}, "Tr0ub4dor-9"),
        ({"credentials": {"user": "ada", "password": "Tr0ub4dor-9"}}, "Tr0ub4dor-9"),
        ({"text": "see gh" + "p_" + "a8Kq2mZx91Lw" * 3}, "gh" + "p_" + "a8Kq2mZx91Lw" * 3),
        ({"name": "DB_PASSWORD", "value": "Tr0ub4dor-9"}, "Tr0ub4dor-9"),
        ({"text": "Your verification code is 493817"}, "493817"),
        ({"password": 90210424242}, "90210424242"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_whatever_rule_hid_it(first: Any, value: str) -> None:
    """By a header, an option, a URL, a form, a pair, a sentence. Invariant 12."""
    shown(first)
    assert value not in shown({"note": f"and then {value} was seen"})


def test_a_number_that_was_hidden_is_hidden_as_a_number_and_not_in_longer_ones() -> None:
    """Digits stand in times and amounts, too."""
    shown({"pin_code": "493817"})
    assert json.loads(shown({"a": 493817, "b": 1764938170, "c": "1764938170"})) == {
        "a": MARKER,
        "b": 1764938170,
        "c": "1764938170",
    }


@pytest.mark.parametrize(
    "word", ["swordfish", "postgres", "Strict", "us-east-1", "2026-01-05", "/etc/app.json", "True", "short"]
)
def test_what_stands_for_something_else_elsewhere_is_not_remembered(word: str) -> None:
    """A trace full of holes is of no use: words of a dictionary, regions, paths, times."""
    assert not is_telling(word)
    shown({"password": word})
    assert json.loads(shown({"note": f"a {word} b"})) == {"note": f"a {word} b"}


def test_a_project_secret_is_hidden_in_all_traces() -> None:
    """By register_secret, by the settings' names, by the environment's."""
    register_secret("a8Kq2mZx91Lw")
    assert MARKER in shown({"text": "a8Kq2mZx91Lw"}, "one")
    assert MARKER in shown({"text": "a8Kq2mZx91Lw"}, "another")
    with pytest.raises(ValueError, match="at least 6 characters"):
        register_secret("short")


def test_settings_and_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """SECRET_KEY and its fallbacks, passwords of databases and caches, in URLs, variables with secret names."""

    class Settings:
        SECRET_KEY = "s1-kq82mzx91lw"
        SECRET_KEY_FALLBACKS = ["s2-kq82mzx91lw"]
        DATABASES = {"default": {"ENGINE": "x", "PASSWORD": "s3-kq82mzx91lw", "NAME": "name-of-it"}}
        CACHES = {"default": {"LOCATION": "redis://:s4-kq82mzx91lw@cache:6379/0"}}
        CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": ["rediss://u:s5-kq82mzx91lw@h:1/0"]}}}
        EMAIL_HOST_PASSWORD = "s6-kq82mzx91lw"
        SESSION_COOKIE_SAMESITE = "Strict"

        @property
        def EMAIL_HOST(self) -> str:
            warnings.warn("Django 7.0 will do without it", DeprecationWarning, stacklevel=2)
            return "localhost"

    monkeypatch.setitem(os.environ, "SHOP_API_TOKEN", "s7-kq82mzx91lw")
    surroundings.learn_settings(Settings())
    surroundings.learn_environment()
    for number in range(1, 8):
        assert MARKER in shown({"text": f"s{number}-kq82mzx91lw"})
    assert shown({"text": "Strict name-of-it"}) == '{"text":"Strict name-of-it"}'


def test_memory_is_bounded() -> None:
    """Values and characters of a trace, and the number of traces; what was named longest ago goes first."""
    known = KnownValues()
    known.add(f"value-number-{number:05}" for number in range(2 * MOST_VALUES))
    assert len(known) == MOST_VALUES
    assert "value-number-00000" not in known
    assert known.is_in(f"value-number-{2 * MOST_VALUES - 1:05}")
    long = KnownValues()
    long.add(f"{number:05}" * 1_000 for number in range(30))
    assert len(long) <= MOST_CHARACTERS // 5_000
    for number in range(memory.MOST_TRACES + 10):
        memory.remember(f"trace-{number}", ["a8Kq2mZx91Lw"])
    assert memory.of_trace("trace-0") is None
    assert memory.of_trace(f"trace-{memory.MOST_TRACES}") is not None


def test_an_event_carries_digests_and_no_values() -> None:
    """Once each: what leaves the process for others that go on with the trace."""

    def event(details: Any) -> Any:
        return make_event("t", "plan_created", details, "pending", digest=lambda value: f"digest of {len(value)}")[0]

    assert event({"password": SECRET}).hidden == (f"digest of {len(SECRET)}",)
    assert event({"password": SECRET}).hidden == ()
    assert event({"text": SECRET}).hidden == ()


LETTERS = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"])


@settings(deadline=None, max_examples=200)
@example(secret=r"abc\ndef-12", before="", behind="")
@example(secret='0000000"', before="", behind="")  # which looks like the end of one text and the beginning of another
@given(
    secret=st.text(LETTERS, min_size=8, max_size=40).filter(is_telling),
    before=st.text(max_size=20),
    behind=st.text(max_size=20),
)
def test_no_value_that_is_remembered_is_shown_again(secret: str, before: str, behind: str) -> None:
    """Whatever letters it is of, and whatever surrounds it. Invariant 12."""
    memory.forget_traces()
    memory.remember("t", [secret])
    for details in ({"text": f"{before} {secret} {behind}"}, {"json": json.dumps([secret])}, {secret: 1}):
        assert secret not in str(json.loads(shown(details)))


@pytest.mark.parametrize(("length", "count"), [(24, 320), (1_000, 120)], ids=["tokens", "web tokens"])
def test_to_learn_another_takes_no_longer_for_those_before(length: int, count: int) -> None:
    """Invariant 13: of a trace whose every call has a token of its own."""
    known, letters = KnownValues(), Random(1)
    secrets = ["".join(letters.choices(ascii_letters, k=length)) for _ in range(count)]
    took = []
    for secret in secrets:
        began = thread_time()
        known.add([secret])
        took.append(thread_time() - began)
        assert known.is_in(f"it is {secret} now")
    assert sum(took[-40:]) < 0.4


def test_long_values_that_are_alike_are_told_apart() -> None:
    """Invariant 12: web tokens begin alike, keys end so, and a part of one stays."""
    letters = Random(1)
    middles = ["".join(letters.choices(ascii_letters, k=90)) for _ in range(12)]
    secrets = [f"{'eyJhbGciOiJIUzI1NiJ9.' * 2}{middle}{'.same-at-the-end' * 2}" for middle in middles]
    known = KnownValues()
    known.add(secrets[:-1])
    for secret in secrets[:-1]:
        for form in (secret, base64.b64encode(secret.encode()).decode(), quote(secret, safe="")):
            assert masked_text(f"{form} or {form[:40]}", (known,)) == f"{MARKER} or {form[:40]}"
    for other in (secrets[-1], secrets[0][1:], secrets[0][:-1], middles[0]):
        assert masked_text(other, (known,)) == other


@pytest.mark.parametrize("known_before", [0, 1, 8, 255, 256])
def test_what_emits_a_secret_while_another_is_learnt_waits_for_nothing(
    known_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer, or a signal's handler, in the same thread: both values are hidden behind it."""
    memory.remember("t", [f"value-{number:03}-before" for number in range(known_before)])
    build, is_inside = Automaton, False

    def interrupted(*args: Any) -> Automaton:
        nonlocal is_inside
        automaton = build(*args)
        if not is_inside:
            is_inside = True
            memory.remember("t", ["kJ8fxQ2z9Lm4"])
        return automaton

    monkeypatch.setattr(values, "Automaton", interrupted)
    remembering = Thread(target=memory.remember, args=("t", ["Zt7pWq3xB1vN"]), daemon=True)
    remembering.start()
    remembering.join(10)
    assert not remembering.is_alive()
    known = memory.of_trace("t")
    assert known is not None
    assert [known.is_in(f"it is {secret} now") for secret in ("kJ8fxQ2z9Lm4", "Zt7pWq3xB1vN")] == [True, True]
