"""Text that a model says piece by piece: no secret passes, wherever it is cut."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security.redaction_corpus import IN_TEXT, INNOCENT_TEXTS, PASSWORD, PERSONAL, TOKENS
from trace_streaming.redaction import redact_text
from trace_streaming.redaction.known import memory
from trace_streaming.redaction.streams import MOST_CHARACTERS, StreamedText

PLANTED = [
    *((f"Here is what it says: {text} and so on.", PASSWORD) for text in IN_TEXT if PASSWORD in text),
    *((f"It is {secret} and so on.", secret) for secret in (*TOKENS, *PERSONAL)),
    ("Your code: 493817 is your login code, use it soon.", "493817"),
    (f"You may use {PASSWORD} as the passphrase, if you like.", PASSWORD),
]


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    memory.forget_traces()
    yield
    memory.forget_traces()


def streamed(*pieces: str) -> str:
    stream = StreamedText("t")
    return "".join(map(stream.add, pieces))


@pytest.mark.parametrize(("text", "secret"), PLANTED, ids=lambda value: value[:40])
def test_a_secret_that_is_cut_in_two_never_passes(text: str, secret: str) -> None:
    """At every place. Invariant 4."""
    half = max(len(secret) // 2, 4)
    for cut in range(len(text)):
        memory.forget_traces()
        shown = streamed(text[:cut], text[cut:], " And then there is more to say, quite a lot of it.\n\n")
        assert secret not in shown
        if secret[0] != "-":  # the armour of a key is none
            assert secret[:half] not in shown or secret[:half] in text.replace(secret, "")


@pytest.mark.parametrize(("text", "secret"), [each for each in PLANTED if " " in each[1]], ids=lambda value: value[:40])
def test_of_a_secret_in_groups_no_half_passes(text: str, secret: str) -> None:
    """As of a bank's account, whose first groups are words, in pieces of any size."""
    for size in range(1, 40):
        memory.forget_traces()
        shown = streamed(*(text[at : at + size] for at in range(0, len(text), size)))
        assert secret[0] == "-" or secret[: len(secret) // 3] not in shown


@given(st.sampled_from(PLANTED), st.lists(st.integers(1, 12), min_size=1, max_size=12))
@settings(deadline=None, max_examples=200)
def test_a_secret_in_many_pieces_never_passes(planted: tuple[str, str], lengths: list[int]) -> None:
    """As a model writes: some letters at a time. Invariant 4."""
    memory.forget_traces()
    text, secret = planted
    pieces: list[str] = []
    at = 0
    while at < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(text[at : at + length])
        at += length
    assert secret not in streamed(*pieces, " and more words behind it, as they come. " * 4)


@pytest.mark.parametrize("text", [text for text in INNOCENT_TEXTS if 8 < len(text) < 400], ids=lambda text: text[:40])
def test_what_is_innocent_is_shown_as_it_is(text: str) -> None:
    """All of it, in order, once the words behind it have come; letter by letter, too."""
    rest = "\n\nAnd so it goes on, with words that say nothing of it, as many as there may be. " * 4
    shown = streamed(*text, *rest.split(" ") and [rest])
    assert shown.startswith(text)
    assert (text + rest).startswith(shown)


SEED = "abandon ability able about above absent absorb abstract absurd abuse access accident"
BEHIND = "\n\nAnd so it goes on, with words that say nothing of it, as many as there may be. " * 4
TOLD_LATER = [
    (
        "apiVersion: v1\ndata:\n  dsn: cG9zdGdyZXM6Ly9hZGE\n  b: bW9yZSBvZiBpdA\nkind: Secret\n",
        "cG9z bW9y",
    ),
    ("data:\n  dsn: cG9zdGdyZXM6Ly9hZGE\nmetadata:\n  name: shop\nkind: Secret\n", "cG9z"),
    ("items:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  data:\n    dsn: cG9zdGdyZX\n  kind: Secret\n", "cG9z"),
    ('{\n  "apiVersion": "v1",\n  "data": {\n    "dsn": "cG9zdGdyZXM"\n  },\n  "kind": "Secret"\n}\n', "cG9z"),
    ('{"m": "apiVersion: v1\\ndata:\\n  dsn: cG9zdGdyZXM6\\n  b: bW9yZSBvZiBpdA\\nkind: Secret\\n"}\n', "cG9z bW9y"),
    (f"Some words before. seed phrase: {SEED}\nand behind it.\n", "abandon abstract"),
    (f"Your recovery phrase is: {SEED}. Keep it safe.\n", "abandon abstract"),
    ("The passphrase for the vault: three foxes hum softly\nand behind it.\n", "foxes softly"),
    ("PASSPHRASE=correct horse battery staple\nDEBUG=1\nX=1\n", "horse staple"),
    ("echo swordfish | docker login --password-stdin\nmore\n", "swordfish"),
    ("You may run `echo swordfish | docker login --password-stdin` there.\n", "swordfish"),
    ("$ printf '%s' swordfish | docker login -u ada --password-stdin\n", "swordfish"),
    ("| user | password |\n|---|---|\n| ada | sommerregen |\n| eve | mackerel |\n", "sommerregen mackerel"),
    (
        " user | password | a | b\n------+------+---+---\n ada | sommerregen | c | d\n e | wolken | f | g\n",
        "sommerregen wolken",
    ),
    ("user,password,note,x\nada, sommerregen, a note, z\neve, mackerel, another, z\n", "sommerregen mackerel"),
]
"""Texts, and parts of the secrets in them that no piece may show."""


@pytest.mark.parametrize(("text", "parts"), TOLD_LATER, ids=lambda value: value[:40])
def test_what_is_told_to_be_a_secret_later_never_passes(text: str, parts: str) -> None:
    """In pieces of any size; and all that the stored result shows is shown. Invariant 4."""
    whole = redact_text(text)
    for size in range(1, 80):
        memory.forget_traces()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        shown = streamed(*pieces)
        assert [part for part in parts.split() if part in shown] == [], size
        shown = streamed(*pieces, BEHIND)
        assert shown.startswith(whole), (size, shown)
        assert redact_text(text + BEHIND).startswith(shown)


@pytest.mark.parametrize("spelt", ["ada [at] example [dot] com", "ada(at)mail (dot) example (dot) org"])
def test_of_an_address_that_is_spelt_no_domain_passes(spelt: str) -> None:
    """The name before it is a word like any other, until what is behind it comes. Invariant 4."""
    text = f"Write to {spelt} and so on, as you like.\n"
    for size in range(1, 60):
        shown = streamed(*(text[at : at + size] for at in range(0, len(text), size)), "More.\n\n")
        assert not any(part in shown for part in ("example", "com", "uk", "org")), (size, shown)
    assert (
        streamed("Look [at] it, ", "and (at) last ", "he is [at] home\n")
        == "Look [at] it, and (at) last he is [at] home\n"
    )


def test_an_answer_with_data_and_tables_is_shown_once_it_is_told() -> None:
    """What is no secret comes with its paragraph's end, or its line's."""
    stream = StreamedText("t")
    assert stream.add("data:\n  a: plain\n") == ""
    assert stream.add("\nSo much for it.\n") == "data:\n  a: plain\n\nSo much for it.\n"
    assert stream.add("kind: Deployment\ndata:\n  a: ") == "kind: Deployment\ndata:\n  a: "
    assert stream.add("b\n\n| a | b |\n| 1 ") == "b\n\n| a | b |\n"
    assert stream.add("| 2 |\nRun `echo hello` ") == "| 1 | 2 |\nRun `echo hello` "


def test_words_come_at_once_and_numbers_a_little_later() -> None:
    """A reader sees the text grow: only the last word is held back."""
    stream = StreamedText("t")
    assert stream.add("The weather in Pa") == "The weather in "
    assert stream.add("ris is fine to") == "Paris is fine "
    assert stream.add("day.\n") == "today.\n"
    assert stream.offset == len("The weather in Paris is fine today.\n")


def test_a_value_that_was_hidden_in_the_trace_does_not_pass() -> None:
    """Whatever the model says of it. Invariant 12."""
    memory.remember("t", ["kJ8fxQ2z9Lm4"])
    assert "kJ8f" not in streamed("I have used kJ8f", "xQ2z9Lm4 for it, as you", " said I should, and it was fine.\n")


@pytest.mark.parametrize("between", [0, 40, 400])
@pytest.mark.parametrize("size", [3, 17, 200, 100_000])
def test_what_was_hidden_in_a_text_does_not_pass_further_down_in_it(size: int, between: int) -> None:
    """However far: as in the event that has the whole of it. Invariant 12."""
    told = "The password is kJ8fxQ2z9Lm4, keep it.\n\n"
    story = "It was a long story about the sea.\n\n" * between
    text = f"{told}{story}So I log in with kJ8fxQ2z9Lm4 again.\n"
    shown = streamed(*(text[at : at + size] for at in range(0, len(text), size)), BEHIND)
    assert "kJ8f" not in shown
    assert "log in with [redacted:known value] again" in shown


@pytest.mark.parametrize("group", ["GB29 ", "AB12A", "a(at)a", "a.a(at)a dot a ", "(at)", "1 ", "| a "])
def test_what_may_be_the_beginning_of_something_takes_no_long_look(group: str) -> None:
    """Nobody who streams the same beginning again and again has it looked at in all the ways it could go on."""
    stream = StreamedText("t")
    stream.add(group * 120)
    began = time.thread_time()
    for _ in range(20):
        stream.add(group)
    assert time.thread_time() - began < 0.1


def test_a_long_stream_is_bounded() -> None:
    """Its time is that of its length, and what is too long is not shown."""
    stream = StreamedText("t")
    line = "A line of words that says nothing, and then the next.\n\n"
    shown = sum(len(stream.add(line * 100)) for _ in range(MOST_CHARACTERS // (len(line) * 100) + 2))
    assert 0.9 * MOST_CHARACTERS < shown <= MOST_CHARACTERS
    assert len(stream._raw) < 20_000
